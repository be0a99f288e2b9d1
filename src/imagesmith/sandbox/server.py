"""The sandbox's server: one asyncio process for all doors and simulated machines.

Ended with SIGTERM it powers its virtual machines off; killed, it leaves them running and finds them again.
"""

import contextlib
import hashlib
import logging
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from imagesmith import settings
from imagesmith.sandbox import acceleration, config
from imagesmith.sandbox.addresses import Addresses
from imagesmith.sandbox.cloud import Cloud
from imagesmith.sandbox.control import Control
from imagesmith.sandbox.ec2_door import EC2Door
from imagesmith.sandbox.machines import Timings
from imagesmith.sandbox.qemu import QemuMachines
from imagesmith.sandbox.simulated import SimulatedMachines
from imagesmith.sandbox.state import Image, Snapshot, State

log = logging.getLogger(__name__)


def application(places: config.Places, *, port: int, accelerator: str) -> Starlette:
    """The sandbox as an ASGI application; its machines live as long as its lifespan."""
    timings = Timings()
    state = State(places.state)
    add_base_images(state, places)

    def on_power_off(instance_id: str) -> None:
        cloud.powered_off(instance_id)

    qemu = QemuMachines(places, timings, acceleration=accelerator, on_power_off=on_power_off)
    simulated = SimulatedMachines(places, timings, ssh_port=qemu.ssh_port, on_power_off=on_power_off)
    cloud = Cloud(
        state,
        places,
        machines={"qemu": qemu, "simulated": simulated},
        addresses=Addresses(sandbox_port=port, ssh_port=qemu.ssh_port),
        endpoint=f"http://{config.HOST}:{port}",
    )
    door = EC2Door(cloud)
    control = Control(cloud, door, timings, acceleration=accelerator)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await cloud.open()
        yield
        await cloud.close()
        state.close()

    return Starlette(
        routes=[
            Mount("/_sandbox", routes=control.routes()),
            Route("/", door.answer, methods=["GET", "POST"]),
        ],
        lifespan=lifespan,
    )


def add_base_images(state: State, places: config.Places) -> None:
    """Lists the images that are there from the start: Debian if its disk is made, and a simulated one.

    The disk gets a second name among the others, so that images saved from it outlive a newly made base.
    """
    _add_image(state, "simulated-1", kind="simulated", disk="", created="2026-01-01T00:00:00.000Z")
    base = places.base / "disk.qcow2"
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
    _add_image(state, name, kind="qemu", disk=disk, created=f"{moment:%Y-%m-%dT%H:%M:%S}.000Z")


def _add_image(state: State, name: str, *, kind: str, disk: str, created: str) -> None:
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
    )
    state.save(snapshot, image)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # on another file system
        target.symlink_to(source)


def main() -> None:
    """Serves until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    places, port = config.places(), settings.sandbox_port()
    accelerator = acceleration.chosen(
        kernel=places.base / "vmlinuz",
        initrd=places.base / "initrd",
        memory_file=places.base / "acceleration.json",
    )
    app = application(places, port=port, accelerator=accelerator)
    log.info("the sandbox answers at %s with %s", config.endpoint(), accelerator)
    uvicorn.run(app, host=config.HOST, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=2)


if __name__ == "__main__":
    main()
