"""One account of the sandbox: what clients of its door make, and how it changes with time.

Doors translate requests into these methods; machines of two kinds do the work. Methods return as soon as the change
has begun, as a cloud's API does; `Instance.state`, `Image.state` and the others tell how far it is.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any

from imagesmith.sandbox import config, launching
from imagesmith.sandbox.host import Host
from imagesmith.sandbox.launching import Launch
from imagesmith.sandbox.machines import MachineError, Machines
from imagesmith.sandbox.seed import Seed
from imagesmith.sandbox.state import Image, Instance, Snapshot, State, Volume, new_id

log = logging.getLogger(__name__)

_SWEEP_S = 10.0


class Cloud:
    """Instances and images over the machines; key pairs, groups and tags are plain entries of `state`."""

    def __init__(
        self,
        state: State,
        places: config.Places,
        *,
        machines: dict[str, Machines],
        host: Host,
        endpoint: str,
    ) -> None:
        self.state = state
        self.endpoint = endpoint
        self.machines = machines
        self.host = host
        # Called after each change of an instance's state.
        self.on_change: Callable[[Instance], None] = lambda instance: None
        self._places = places
        self._tasks: set[asyncio.Task[None]] = set()
        host.counts.append(self.running_vms)

    async def open(self) -> None:
        """Adopts the machines that live on, and settles what a killed server left half done."""
        for instance in list(self.state.instances.values()):
            await self._settle(instance)
        for image in list(self.state.images.values()):
            if image.state == "pending":
                self._fail_image(image, "the sandbox was ended while the image was being saved")
        self.begin(self._sweep())

    async def close(self, *, limit_s: float = 15.0) -> None:
        """Ends every machine; their disks and entries stay."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(self._switch_off(each, limit_s=limit_s) for each in self._alive()))

    async def reset(self) -> None:
        """Removes everything clients have made; the base image stays."""
        for instance in list(self.state.instances.values()):
            instance.state = "terminated"
            await self._machines(instance).destroy(instance)
            self.host.addresses.give_back(instance.address)
        for thing in list(self.state.all()):
            if getattr(thing, "owner", "") != config.BASE_OWNER_ID:
                self.state.remove(thing)
        self._remove_unused_disks()

    def launch(self, request: Launch) -> list[Instance]:
        """Instances in state pending, which boot in the background."""
        reservation = new_id("r")
        made = [self._make_instance(request, reservation, index) for index in range(request.count)]
        for instance in made:
            self.begin(self._boot(instance))
        return made

    def stop(self, instance: Instance, *, force: bool = False) -> None:
        """Begins to power off; nothing happens to an instance that is off already."""
        if instance.state in ("running", "pending"):
            self._to(instance, "stopping", "Client.UserInitiatedShutdown", "User initiated shutdown")
            self.begin(self._power_off(instance, limit_s=0.0 if force else config.STOP_LIMIT_S))

    async def power_off(self, instance: Instance) -> None:
        """Returns when the instance is off."""
        if instance.state in ("running", "pending"):
            self._to(instance, "stopping", "Client.UserInitiatedShutdown", "User initiated shutdown")
        await self._power_off(instance, limit_s=config.STOP_LIMIT_S)

    def start(self, instance: Instance) -> None:
        """Begins to boot a stopped instance."""
        if instance.state == "stopped":
            self._to(instance, "pending")
            self.begin(self._boot(instance))

    def reboot(self, instance: Instance) -> None:
        """Tells the machine to boot again; the instance stays running meanwhile, as on EC2."""
        self.begin(self._reboot(instance))

    def terminate(self, instance: Instance) -> None:
        """Begins to remove the instance and, unless it was asked to stay, its disk."""
        if instance.state not in ("shutting-down", "terminated"):
            self._to(instance, "shutting-down", "Client.UserInitiatedShutdown", "User initiated shutdown")
            self.begin(self._terminate(instance))

    def powered_off(self, instance_id: str) -> None:
        """What a machine reports when somebody inside it asked for the power to go."""
        instance = self.state.instances.get(instance_id)
        if instance is None or instance.state not in ("running", "pending"):
            return
        reason = ("Client.InstanceInitiatedShutdown", "Instance initiated shutdown")
        if instance.shutdown_behavior == "terminate":
            self._to(instance, "shutting-down", *reason)
            self.begin(self._terminate(instance))
        else:
            self._to(instance, "stopping", *reason)
            self.begin(self._power_off(instance, limit_s=config.STOP_LIMIT_S))

    def create_image(
        self,
        instance: Instance,
        name: str,
        *,
        description: str = "",
        reboot: bool = True,
        image_tags: dict[str, str] | None = None,
        snapshot_tags: dict[str, str] | None = None,
    ) -> Image:
        """An image in state pending of the instance's disk; `reboot` powers a running machine off meanwhile."""
        image = self.new_image(instance, name, description=description)
        snapshot = self.state.snapshots[image.snapshot_id]
        image.tags.update(image_tags or {})
        snapshot.tags.update(snapshot_tags or {})
        self.state.save(snapshot, image)
        self.begin(self.save_image(image, instance, reboot=reboot))
        return image

    def new_image(self, instance: Instance, name: str, *, description: str = "") -> Image:
        """An image in state pending of the instance's disk, which somebody has to save."""
        volume = self.state.volumes[instance.volume_id]
        image, snapshot = launching.image_and_snapshot(instance, volume, name, description=description)
        self.state.save(snapshot, image)
        return image

    def deregister(self, image: Image) -> None:
        """Forgets the image; its snapshot stays until it is deleted."""
        self.state.remove(image)

    def delete_snapshot(self, snapshot: Snapshot) -> None:
        """Forgets the snapshot, and removes its disk unless another disk stands on it."""
        self.state.remove(snapshot)
        self._remove_unused_disks()

    def delete_volume(self, volume: Volume) -> None:
        """Forgets a volume that no instance has, and removes its disk."""
        self.state.remove(volume)
        self._remove_unused_disks()

    def console(self, instance: Instance) -> bytes:
        """What the machine has written on its console."""
        return self._machines(instance).console(instance)

    def ssh_port(self, instance: Instance) -> int:
        """The port of the instance's address that answers SSH."""
        return self._machines(instance).ssh_port

    def running_vms(self) -> int:
        """How many real machines are switched on or about to be."""
        states = ("pending", "running", "stopping")
        return sum(each.kind == "qemu" and each.state in states for each in self.state.instances.values())

    def _make_instance(self, request: Launch, reservation: str, index: int) -> Instance:
        volume = request.volume
        if volume is None:
            volume = launching.root_volume(request, self.state.snapshots[request.image.snapshot_id])
        instance = launching.instance_of(
            request,
            volume,
            reservation_id=reservation,
            launch_index=index,
            addresses=(self.host.addresses.take(), request.private_address or self.host.addresses.take_private()),
        )
        volume.instance_id = instance.id
        self.state.save(volume, instance)
        self._leave_seed(instance)
        return instance

    def _leave_seed(self, instance: Instance) -> None:
        """The key goes with the instance from its launch on: deleting the key pair later changes nothing."""
        pair = next((each for each in self.state.key_pairs.values() if each.name == instance.key_name), None)
        told = launching.seed_of(instance, public_key=pair.public_key if pair else "")
        path = self._seed_path(instance)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(told)))

    def _seed(self, instance: Instance) -> Seed:
        return Seed(**json.loads(self._seed_path(instance).read_text()))

    def _seed_path(self, instance: Instance) -> Path:
        return self._places.machines / instance.id / "seed.json"

    async def _boot(self, instance: Instance) -> None:
        if instance.kind != "qemu":
            await self._switch_on(instance)
            return
        async with self.host.cores:
            await self._switch_on(instance)
            await self._machines(instance).off(instance, limit_s=config.CORE_LIMIT_S)

    async def _switch_on(self, instance: Instance) -> None:
        if instance.state != "pending":
            return  # stopped or ended before it began
        volume = self.state.volumes[instance.volume_id]
        try:
            await self._machines(instance).boot(instance, volume, self._seed(instance))
        except MachineError as error:
            log.warning("%s: %s", instance.id, error)
            if instance.state != "pending":
                return  # terminated while it booted, and removed by that
            self._to(instance, "shutting-down", "Server.InternalError", f"Server.InternalError: {error}")
            await self._terminate(instance)
            return
        if instance.state in ("shutting-down", "terminated"):
            # Ended while it booted: its volume is gone, and what booted goes, too.
            await self._machines(instance).destroy(instance)
            return
        volume.state = "in-use"
        self.state.save(volume)
        if instance.state == "pending":
            self._to(instance, "running")
        else:  # stopped while it booted
            await self._machines(instance).power_off(instance, limit_s=0.0)

    async def _power_off(self, instance: Instance, *, limit_s: float) -> None:
        await self._machines(instance).power_off(instance, limit_s=limit_s)
        if instance.state == "stopping":
            self._to(instance, "stopped", *(instance.state_reason or ("", "")))

    async def _reboot(self, instance: Instance) -> None:
        try:
            await self._machines(instance).reboot(instance)
        except MachineError as error:
            log.warning("%s: reboot: %s", instance.id, error)

    async def _terminate(self, instance: Instance) -> None:
        await self._machines(instance).destroy(instance)
        volume = self.state.volumes[instance.volume_id]
        if volume.delete_on_termination:
            self.state.remove(volume)
        else:
            volume.state, volume.instance_id = "available", ""
            self.state.save(volume)
        self._remove_unused_disks()
        self.host.addresses.give_back(instance.address)
        instance.terminated_at = time.time()
        self._to(instance, "terminated", *(instance.state_reason or ("", "")))

    async def save_image(self, image: Image, instance: Instance, *, reboot: bool) -> None:
        """Fills a pending image; it is available afterwards, or failed."""
        machines = self._machines(instance)
        volume = self.state.volumes[instance.volume_id]
        snapshot = self.state.snapshots[image.snapshot_id]
        power_cycle = reboot and instance.state == "running"
        try:
            if power_cycle:
                # Out of the way of powered_off(): for clients the instance never stopped.
                instance.state = "rebooting"
                await machines.power_off(instance, limit_s=config.STOP_LIMIT_S)
            await machines.save_disk(instance, volume, snapshot)
            if power_cycle and instance.state == "rebooting":
                await machines.boot(instance, volume, self._seed(instance))
                self._to(instance, "running")
        except MachineError as error:
            self._fail_image(image, str(error))
            return
        if snapshot.id not in self.state.snapshots:  # deleted meanwhile, or all was reset
            self._remove_unused_disks()
            return
        image.state, snapshot.state = "available", "completed"
        self.state.save(snapshot)
        if image.id in self.state.images:
            self.state.save(image)

    def _fail_image(self, image: Image, reason: str) -> None:
        log.warning("%s: %s", image.id, reason)
        if image.id not in self.state.images:
            return
        image.state, image.reason = "failed", reason
        snapshot = self.state.snapshots.get(image.snapshot_id)
        self.state.save(image)
        if snapshot is not None:
            snapshot.state = "error"
            self.state.save(snapshot)

    async def _settle(self, instance: Instance) -> None:
        if instance.state == "terminated":
            return
        self.host.addresses.keep(instance.address)
        if instance.state == "stopped":
            return
        if instance.state == "shutting-down":
            self.begin(self._terminate(instance))
            return
        try:
            alive = await self._machines(instance).adopt(instance, self._seed(instance))
        except MachineError as error:
            log.warning("%s: not adopted: %s", instance.id, error)
            alive = False
        if not alive:
            reason = "the machine ended while the sandbox was off"
            self._to(instance, "stopped", "Server.ScheduledStop", f"Server.ScheduledStop: {reason}")
        elif instance.state == "stopping":
            self.begin(self._power_off(instance, limit_s=config.STOP_LIMIT_S))
        else:
            self._to(instance, "running")

    async def _switch_off(self, instance: Instance, *, limit_s: float) -> None:
        shutting_down = instance.state == "shutting-down"
        instance.state = "stopping"
        await self._machines(instance).power_off(instance, limit_s=limit_s)
        if shutting_down:
            self._to(instance, "shutting-down")
        else:
            self._to(instance, "stopped", "Server.ScheduledStop", "the sandbox was taken down")

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            oldest = time.time() - config.TERMINATED_VISIBLE_S
            for instance in list(self.state.instances.values()):
                if instance.state == "terminated" and instance.terminated_at < oldest:
                    self.state.remove(instance)

    def _alive(self) -> list[Instance]:
        off = ("stopped", "terminated")
        return [each for each in self.state.instances.values() if each.state not in off]

    def _to(self, instance: Instance, state: str, code: str = "", message: str = "") -> None:
        instance.state = state
        instance.state_reason = (code, message) if code else None
        self.state.save(instance)
        log.info("%s %s", instance.id, state)
        self.on_change(instance)

    def _machines(self, instance: Instance) -> Machines:
        return self.machines[instance.kind]

    def _remove_unused_disks(self) -> None:
        """A disk file stays as long as a snapshot or volume is it or stands on it."""
        needed: set[str] = set()
        holders: list[Snapshot | Volume] = [*self.state.snapshots.values(), *self.state.volumes.values()]
        for holder in holders:
            needed |= {holder.disk, *holder.chain}
        for file in self._places.disks.glob("*.qcow2"):
            if file.name not in needed:
                file.unlink()
        for told in self._places.disks.glob("*.json"):  # what simulated machines had on theirs
            if told.stem not in self.state.snapshots:
                told.unlink()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Does the work in the background; it ends with the account at the latest."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("the sandbox itself failed", exc_info=task.exception())
