"""Images over the machines' own: the public ones, and the way of a snapshot through its states.

A snapshot is over when the image is active and the server's task state is clear. A server that is deleted before takes
the image with it.
"""

import asyncio
import json
from typing import TYPE_CHECKING, Any

from imagesmith.sandbox import config
from imagesmith.sandbox.openstack.sites import PROJECT, USER
from imagesmith.sandbox.openstack.things import BlockSnapshot, BlockVolume, GlanceImage, Server
from imagesmith.sandbox.openstack.wire import new_uuid
from imagesmith.sandbox.state import Image, Instance, now

if TYPE_CHECKING:
    from imagesmith.sandbox.openstack.site import Site

_SIMULATED_BYTES = 1024 * 1024
_UNFINISHED = ("queued", "saving")


def list_base_images(site: "Site") -> None:
    """The public images, `debian-12` if its disk is made and `simulated-1`; they belong to somebody else's project."""
    known = {image.machine_image_id: image for image in site.state.glance_images.values()}
    for machine_image in list(site.state.images.values()):
        if machine_image.owner == config.BASE_OWNER_ID and machine_image.id not in known:
            site.state.save(_base_image(site, machine_image))
    for image in known.values():
        if image.owner == site.facts.operator_id and image.machine_image_id not in site.state.images:
            site.state.remove(image)


def _base_image(site: "Site", machine_image: Image) -> GlanceImage:
    real = machine_image.kind == "qemu"
    properties = {"os_type": "linux", "architecture": "x86_64"}
    if real:
        properties |= {"os_distro": "debian", "os_version": "12", "default_user": config.DEFAULT_USER}
    return GlanceImage(
        id=site.facts.id_of(f"image {machine_image.id}"),
        name="debian-12" if real else machine_image.name,
        owner=site.facts.operator_id,
        machine_image_id=machine_image.id,
        status="active",
        visibility="public",
        properties=properties,
        size=size_of(site, machine_image),
        created=machine_image.created,
        updated=machine_image.created,
    )


def size_of(site: "Site", machine_image: Image) -> int:
    """Bytes of the image's own file."""
    snapshot = site.state.snapshots.get(machine_image.snapshot_id)
    if snapshot is None or not snapshot.disk:
        return _SIMULATED_BYTES
    try:
        return (site.places.disks / snapshot.disk).stat().st_size
    except FileNotFoundError:
        return 0


def snapshot(site: "Site", server: Server, name: str, *, metadata: dict[str, str]) -> GlanceImage:
    """A queued image of the server's disk, which is saved in the background."""
    instance = site.state.instances[server.instance_id]
    root = _root_of(site, server)
    machine_image = site.cloud.new_image(instance, name)
    image = GlanceImage(
        id=new_uuid(),
        name=name,
        owner=site.facts.project_id,
        machine_image_id=machine_image.id,
        properties={**_inherited(site, server), **metadata},
        min_disk=machine_image.disk_gib if root else config.FLAVORS[server.flavor].disk_gib,
        server_id=server.id,
        updated=now(),
    )
    if root is not None:
        _stand_on_volume(site, image, machine_image, root)
    server.task_state = "image_snapshot_pending"
    site.state.save(image, server)
    site.cloud.begin(_save(site, server, image, machine_image, instance))
    return image


def vanish(site: "Site", server: Server) -> None:
    """Removes the image that is being saved of a server."""
    for image in [each for each in site.state.glance_images.values() if each.server_id == server.id]:
        remove(site, image)


def remove(site: "Site", image: GlanceImage) -> None:
    """Forgets the image and its disk; what a volume's snapshot holds stays with that."""
    site.state.remove(image)
    machine_image = site.state.images.get(image.machine_image_id)
    if machine_image is None or machine_image.owner == config.BASE_OWNER_ID:
        return
    site.cloud.deregister(machine_image)
    held = image.block_snapshot_id in site.state.block_snapshots
    disk = site.state.snapshots.get(machine_image.snapshot_id)
    if disk is not None and not held:
        site.cloud.delete_snapshot(disk)


def settle(site: "Site") -> None:
    """After a start: what was being saved is lost, and says so."""
    for image in site.state.glance_images.values():
        if image.status in _UNFINISHED:
            image.status = "killed"
        if image.server_id or image.status == "killed":
            image.server_id = ""
            site.state.save(image)
    for server in site.state.servers.values():
        if server.task_state.startswith("image_"):
            server.task_state = ""
            site.state.save(server)


async def _save(site: "Site", server: Server, image: GlanceImage, machine_image: Image, instance: Instance) -> None:
    pause_s = site.timings.image_s / 4
    if not await _task(site, server, image, "image_snapshot", pause_s):
        return
    if not await _task(site, server, image, "image_pending_upload", 0.0):
        return
    await site.cloud.save_image(machine_image, instance, reboot=False)
    if not await _task(site, server, image, "image_uploading", 0.0):
        return
    image.status = "saving"
    if machine_image.state != "available":
        image.status = "killed"
    elif not await _task(site, server, image, "image_uploading", pause_s):
        return
    elif site.settings.image_late_s:
        if not await _task(site, server, image, "", site.settings.image_late_s):
            return
        _activate(site, image, machine_image)
    else:
        _activate(site, image, machine_image)
        if not await _task(site, server, image, "image_uploading", site.settings.task_late_s):
            return
    server.task_state, image.server_id = "", ""
    site.state.save(server, image)


async def _task(site: "Site", server: Server, image: GlanceImage, task_state: str, pause_s: float) -> bool:
    """Enters the task state and stays in it; False if the image vanished, which ends the task."""
    if image.id in site.state.glance_images:
        server.task_state = task_state
        site.state.save(server, image)
        await asyncio.sleep(pause_s)
        if image.id in site.state.glance_images:
            return True
    if server.id in site.state.servers and not server.deleting:
        server.task_state = ""  # a client deleted the image
        site.state.save(server)
    return False


def _activate(site: "Site", image: GlanceImage, machine_image: Image) -> None:
    image.status, image.updated = "active", now()
    image.size = 0 if image.block_snapshot_id else size_of(site, machine_image)
    site.state.save(image)


def _inherited(site: "Site", server: Server) -> dict[str, str]:
    return {
        **server.source_properties,
        "base_image_ref": server.image_id,
        "image_type": "snapshot",
        "instance_uuid": server.id,
        "user_id": site.facts.user_id,
        "owner_user_name": USER,
        "owner_project_name": PROJECT,
        "image_state": "available",
        "image_location": "snapshot",
    }


def _root_of(site: "Site", server: Server) -> BlockVolume | None:
    return next((each for each in site.state.block_volumes.values() if each.server_id == server.id), None)


def _stand_on_volume(site: "Site", image: GlanceImage, machine_image: Image, root: BlockVolume) -> None:
    """An image of a server that was booted from a volume is empty: it names a snapshot of the volume."""
    held = BlockSnapshot(
        id=new_uuid(),
        name=f"snapshot for {image.name}",
        snapshot_id=machine_image.snapshot_id,
        block_volume_id=root.id,
        size_gib=root.size_gib,
    )
    site.state.save(held)
    image.block_snapshot_id = held.id
    mapping: dict[str, Any] = {
        "boot_index": 0,
        "source_type": "snapshot",
        "destination_type": "volume",
        "snapshot_id": held.id,
        "volume_size": root.size_gib,
        "delete_on_termination": False,
        "device_name": "/dev/vda",
        "device_type": "disk",
        "disk_bus": "virtio",
    }
    image.properties |= {
        "root_device_name": "/dev/vda",
        "bdm_v2": "True",
        "block_device_mapping": json.dumps([mapping]),
    }
