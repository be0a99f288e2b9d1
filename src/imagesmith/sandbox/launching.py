"""New entries for what a launch and a save make, decided without any effect."""

from dataclasses import dataclass, field

from imagesmith.sandbox import config, seed
from imagesmith.sandbox.seed import Seed
from imagesmith.sandbox.state import Image, Instance, Snapshot, Volume, new_id


@dataclass
class Launch:
    """One request for instances, already checked by the door."""

    image: Image
    instance_type: str
    count: int = 1
    key_name: str = ""
    group_ids: list[str] = field(default_factory=list)
    user_data: str = ""
    disk_gib: int = 0
    keep_disk: bool = False
    shutdown_behavior: str = "stop"
    client_token: str = ""
    request_digest: str = ""
    instance_profile: str = ""
    hostname: str = ""
    private_address: str = ""
    login_user: str = config.DEFAULT_USER
    volume: Volume | None = None
    instance_tags: dict[str, str] = field(default_factory=dict)
    volume_tags: dict[str, str] = field(default_factory=dict)


def root_volume(request: Launch, snapshot: Snapshot) -> Volume:
    """The disk of one instance, standing on its image's."""
    volume = Volume(
        id=new_id("vol"),
        size_gib=max(request.disk_gib, request.image.disk_gib),
        snapshot_id=snapshot.id,
        delete_on_termination=not request.keep_disk,
        tags=dict(request.volume_tags),
        chain=[snapshot.disk, *snapshot.chain],
        layout=request.image.layout,
    )
    volume.disk = f"{volume.id}.qcow2" if request.image.kind == "qemu" else ""
    return volume


def instance_of(
    request: Launch,
    volume: Volume,
    *,
    reservation_id: str,
    launch_index: int,
    addresses: tuple[str, str],
) -> Instance:
    """One instance in state pending; `addresses` are the public and the private one."""
    return Instance(
        id=new_id("i"),
        kind=request.image.kind,
        image_id=request.image.id,
        instance_type=request.instance_type,
        volume_id=volume.id,
        reservation_id=reservation_id,
        address=addresses[0],
        private_address=addresses[1],
        launch_index=launch_index,
        key_name=request.key_name,
        group_ids=list(request.group_ids),
        user_data=request.user_data,
        client_token=request.client_token,
        request_digest=request.request_digest,
        shutdown_behavior=request.shutdown_behavior,
        instance_profile=request.instance_profile,
        hostname=request.hostname,
        login_user=request.login_user,
        tags=dict(request.instance_tags),
    )


def image_and_snapshot(instance: Instance, volume: Volume, name: str, *, description: str) -> tuple[Image, Snapshot]:
    """An image of the instance's disk, both in state pending."""
    snapshot = Snapshot(id=new_id("snap"), volume_id=volume.id, size_gib=volume.size_gib)
    image = Image(
        id=new_id("ami"),
        name=name,
        kind=instance.kind,
        snapshot_id=snapshot.id,
        disk_gib=volume.size_gib,
        description=description,
        source_instance_id=instance.id,
        source_image_id=instance.image_id,
        layout=volume.layout,
    )
    snapshot.disk = f"{snapshot.id}.qcow2" if instance.kind == "qemu" else ""
    snapshot.description = f"Created by CreateImage({instance.id}) for {image.id}"
    return image, snapshot


def seed_of(instance: Instance, *, public_key: str) -> Seed:
    """What the instance is told at its first boot."""
    hostname = instance.hostname or "ip-" + instance.private_address.replace(".", "-")
    told = Seed(instance.id, hostname, instance.login_user)
    if public_key:
        told.authorized_keys.append(public_key)
    told.read_user_data(seed.decoded(instance.user_data))
    return told
