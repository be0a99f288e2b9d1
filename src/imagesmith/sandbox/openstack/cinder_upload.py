"""A volume saved as an image, which Cinder does without a server."""

import asyncio
from typing import TYPE_CHECKING

from imagesmith.sandbox.openstack import images
from imagesmith.sandbox.openstack.things import BlockVolume, GlanceImage
from imagesmith.sandbox.openstack.wire import new_uuid
from imagesmith.sandbox.state import Instance, now

if TYPE_CHECKING:
    from imagesmith.sandbox.openstack.site import Site


def upload(site: "Site", volume: BlockVolume, name: str) -> GlanceImage:
    """A queued image of the volume, which is filled in the background."""
    disk = site.state.volumes[volume.volume_id]
    # Saving asks for the machine that has the disk, and nobody has this one.
    nobody = Instance(
        id="nobody",
        kind=volume.kind,
        image_id="",
        instance_type="",
        volume_id=disk.id,
        reservation_id="",
        address="",
        private_address="",
        state="stopped",
    )
    machine_image = site.cloud.new_image(nobody, name)
    image = GlanceImage(
        id=new_uuid(),
        name=name,
        owner=site.facts.project_id,
        machine_image_id=machine_image.id,
        properties=dict(volume.image_metadata),
        updated=now(),
    )
    volume.status = "uploading"
    site.state.save(image, volume)
    site.cloud.begin(_save(site, volume, image, nobody))
    return image


async def _save(site: "Site", volume: BlockVolume, image: GlanceImage, nobody: Instance) -> None:
    machine_image = site.state.images.get(image.machine_image_id)
    if machine_image is None:
        return  # all was reset
    image.status = "saving"
    await site.cloud.save_image(machine_image, nobody, reboot=False)
    await asyncio.sleep(site.timings.image_s / 4)
    volume.status = ""
    if volume.id in site.state.block_volumes:
        site.state.save(volume)
    if image.id in site.state.glance_images:
        image.status = "active" if machine_image.state == "available" else "killed"
        image.size, image.updated = images.size_of(site, machine_image), now()
        site.state.save(image)
