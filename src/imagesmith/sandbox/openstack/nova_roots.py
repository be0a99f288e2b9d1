"""What a server boots: an image, or a volume made of one, or a volume or volume's snapshot that is there."""

from dataclasses import dataclass
from typing import Any

from imagesmith.sandbox.openstack.things import BlockVolume, GlanceImage
from imagesmith.sandbox.openstack.wire import Call, Document, Problem
from imagesmith.sandbox.state import Image


@dataclass
class Root:
    """The machines' own image, and the volume if there is to be one."""

    machine_image: Image
    image: GlanceImage | None = None
    volume_gib: int = 0
    volume: BlockVolume | None = None
    keep: bool = True


def root_of(call: Call, wanted: Document) -> Root:
    """The root disk of a server that was asked for; raises Problem."""
    mappings = wanted.get("block_device_mapping_v2") or []
    if mappings and call.site.facts.havana:
        raise Problem(501, "This site has no volume service.")
    if len(mappings) > 1:
        raise Problem(501, "The sandbox gives a server one disk.")
    image_id = str(wanted.get("imageRef") or "").rstrip("/").rsplit("/", 1)[-1]
    if mappings:
        return _mapped(call, mappings[0])
    if not image_id:
        raise Problem(400, "Invalid imageRef provided.")
    image = usable_image(call, image_id)
    if image.block_snapshot_id:
        return _of_snapshot(call, image.block_snapshot_id, image=image)
    return Root(call.site.state.images[image.machine_image_id], image)


def usable_image(call: Call, image_id: str) -> GlanceImage:
    """The image, if it can be booted; raises Problem 400."""
    image = call.site.state.glance_images.get(image_id)
    if image is None:
        raise Problem(400, f"Image {image_id} could not be found.")
    if image.status != "active":
        raise Problem(400, f"Image {image_id} is not active.")
    return image


def _mapped(call: Call, mapping: Document) -> Root:
    source, target = mapping.get("source_type"), mapping.get("destination_type", "volume")
    if str(mapping.get("boot_index", "0")) != "0":
        raise Problem(400, "Block Device Mapping is Invalid: Boot sequence for the instance is not valid.")
    thing_id = str(mapping.get("uuid") or "")
    keep = not _true(mapping.get("delete_on_termination", False))
    if source == "image" and target == "local":
        image = usable_image(call, thing_id)
        return Root(call.site.state.images[image.machine_image_id], image)
    if target != "volume":
        raise Problem(501, f"The sandbox has no destination_type {target}.")
    if source == "volume":
        return _of_volume(call, thing_id, keep=keep)
    if source == "snapshot":
        return _of_snapshot(call, thing_id, size_gib=_size(mapping), keep=keep)
    if source != "image":
        raise Problem(400, f"Block Device Mapping is Invalid: unsupported source_type {source}.")
    return _of_image(call, usable_image(call, thing_id), size_gib=_size(mapping), keep=keep)


def _of_image(call: Call, image: GlanceImage, *, size_gib: int, keep: bool) -> Root:
    if image.block_snapshot_id:
        return _of_snapshot(call, image.block_snapshot_id, size_gib=size_gib, keep=keep, image=image)
    if not size_gib:
        raise Problem(400, "Block Device Mapping is Invalid: You specified no volume_size for the image's volume.")
    machine_image = call.site.state.images[image.machine_image_id]
    if size_gib < machine_image.disk_gib:
        message = f"Volume is smaller than the image: {size_gib} GiB, the image has {machine_image.disk_gib} GiB."
        raise Problem(400, message)
    return Root(machine_image, image, volume_gib=size_gib, keep=keep)


def _of_volume(call: Call, volume_id: str, *, keep: bool) -> Root:
    volume = call.site.state.block_volumes.get(volume_id)
    disk = call.site.state.volumes.get(volume.volume_id) if volume else None
    if volume is None or disk is None:
        raise Problem(400, f"Block Device Mapping is Invalid: failed to get volume {volume_id}.")
    held = any(each.volume_id == disk.id and each.state != "terminated" for each in call.site.state.instances.values())
    if volume.server_id or held:
        raise Problem(400, f"Invalid volume: Volume {volume_id} status must be 'available'. Currently in 'in-use'")
    image = call.site.state.glance_images.get(volume.image_id)
    stand_in = Image(
        id=volume.id, name="", kind=volume.kind, snapshot_id=disk.snapshot_id, disk_gib=disk.size_gib, state="available"
    )
    return Root(stand_in, image, volume=volume, keep=keep)


def _of_snapshot(
    call: Call, snapshot_id: str, *, size_gib: int = 0, keep: bool = True, image: GlanceImage | None = None
) -> Root:
    held = call.site.state.block_snapshots.get(snapshot_id)
    disk = call.site.state.snapshots.get(held.snapshot_id) if held else None
    if held is None or disk is None:
        raise Problem(400, f"Block Device Mapping is Invalid: failed to get snapshot {snapshot_id}.")
    kind = "qemu" if disk.disk else "simulated"
    stand_in = Image(id=held.id, name="", kind=kind, snapshot_id=disk.id, disk_gib=disk.size_gib, state="available")
    return Root(stand_in, image, volume_gib=max(size_gib, disk.size_gib), keep=keep)


def _size(mapping: Document) -> int:
    size = str(mapping.get("volume_size") or 0)
    if not size.isdigit():
        raise Problem(400, "Block Device Mapping is Invalid: volume_size must be an integer.")
    return int(size)


def _true(value: Any) -> bool:
    return str(value).lower() in ("true", "1")
