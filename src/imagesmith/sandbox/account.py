"""An account as it is at the start: its state with the base images in it, and machines of both kinds."""

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

from imagesmith.sandbox import config
from imagesmith.sandbox.cloud import Cloud
from imagesmith.sandbox.host import Host
from imagesmith.sandbox.machines import Timings
from imagesmith.sandbox.qemu import QemuMachines
from imagesmith.sandbox.simulated import SimulatedMachines
from imagesmith.sandbox.state import Image, Snapshot, State


def account(
    state: State,
    places: config.Places,
    timings: Timings,
    *,
    host: Host,
    accelerator: str,
    endpoint: str,
    layout: str = config.PARTITION,
) -> Cloud:
    """A cloud over the account's own machines; it begins to live when it is opened."""
    add_base_images(state, places, layout=layout)

    def on_power_off(instance_id: str) -> None:
        cloud.powered_off(instance_id)

    ssh_port = host.addresses.ssh_port
    qemu = QemuMachines(places, timings, acceleration=accelerator, ssh_port=ssh_port, on_power_off=on_power_off)
    simulated = SimulatedMachines(places, timings, ssh_port=ssh_port, on_power_off=on_power_off)
    cloud = Cloud(state, places, machines={"qemu": qemu, "simulated": simulated}, host=host, endpoint=endpoint)
    return cloud


def add_base_images(state: State, places: config.Places, *, layout: str) -> None:
    """Lists the images that are there from the start: Debian if its disk is made, and a simulated one.

    The disk gets a second name among the others, so that images saved from it outlive a newly made base.
    """
    created = "2026-01-01T00:00:00.000Z"
    _add_image(state, "simulated-1", kind="simulated", disk="", created=created, layout=layout)
    base = places.base / config.BASE_DISKS[layout]
    if not base.exists():
        return
    made = base.stat()
    disk = f"base-{hashlib.sha256(f'{made.st_mtime_ns} {made.st_size}'.encode()).hexdigest()[:17]}.qcow2"
    places.disks.mkdir(parents=True, exist_ok=True)
    if not (places.disks / disk).exists():
        _link(base.resolve(), places.disks / disk)
    moment = datetime.fromtimestamp(made.st_mtime, UTC)
    name = f"debian-12-amd64-{moment:%Y%m%d}-{moment:%H%M}"
    for image in [each for each in state.images.values() if each.kind == "qemu"]:
        if image.owner == config.BASE_OWNER_ID and image.name != name:
            state.remove(state.snapshots[image.snapshot_id])
            state.remove(image)
    created = f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"
    _add_image(state, name, kind="qemu", disk=disk, created=created, layout=layout)


def _add_image(state: State, name: str, *, kind: str, disk: str, created: str, layout: str) -> None:
    suffix = hashlib.sha256(name.encode()).hexdigest()[:17]
    snapshot = Snapshot(
        id=f"snap-{suffix}",
        volume_id="vol-ffffffff",
        size_gib=config.BASE_DISK_GIB,
        state="completed",
        disk=disk,
        owner=config.BASE_OWNER_ID,
        created=created,
    )
    image = Image(
        id=f"ami-{suffix}",
        name=name,
        kind=kind,
        snapshot_id=snapshot.id,
        disk_gib=config.BASE_DISK_GIB,
        state="available",
        public=True,
        description="Debian 12 (bookworm)" if kind == "qemu" else "Answers by the clock, without a machine",
        owner=config.BASE_OWNER_ID,
        created=created,
        layout=layout,
    )
    state.save(snapshot, image)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # on another file system
        target.symlink_to(source)
