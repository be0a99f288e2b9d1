"""The port between the sandbox's cloud and the machines it runs: real ones (qemu.py) and simulated ones."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from imagesmith.sandbox.seed import Seed
from imagesmith.sandbox.state import Instance, Snapshot, Volume


class MachineError(Exception):
    """The machine could not do what was asked; its message becomes the instance's state reason."""


@dataclass
class Timings:
    """How simulated machines behave, and whether any machine's SSH answers."""

    boot_s: float = 0.5
    script_s: float = 0.5
    stop_s: float = 0.1
    image_s: float = 0.2
    ssh: bool = True


# Called with the instance's id when a machine went off, or is about to, because somebody inside asked for it.
PoweredOff = Callable[[str], None]


class Machines(ABC):
    """All machines of one kind. Methods raise MachineError."""

    ssh_port: int

    @abstractmethod
    async def boot(self, instance: Instance, volume: Volume, seed: Seed) -> None:
        """Returns when the machine is switched on; SSH may take longer to answer."""

    @abstractmethod
    async def off(self, instance: Instance, *, limit_s: float) -> None:
        """Returns when the machine is off, or after `limit_s`."""

    @abstractmethod
    async def power_off(self, instance: Instance, *, limit_s: float) -> None:
        """Returns when the machine is off: asked first, and switched off after `limit_s`."""

    @abstractmethod
    async def reboot(self, instance: Instance) -> None:
        """Returns when the machine has been told to boot again."""

    @abstractmethod
    async def destroy(self, instance: Instance) -> None:
        """Leaves neither the machine nor its files."""

    @abstractmethod
    async def adopt(self, instance: Instance, seed: Seed) -> bool:
        """True if the machine runs on from before the server was started."""

    @abstractmethod
    async def save_disk(self, instance: Instance, volume: Volume, snapshot: Snapshot) -> None:
        """Fills the snapshot with what is on the disk now, the machine running or not."""

    @abstractmethod
    def console(self, instance: Instance) -> bytes:
        """The last part of what the machine has written on its console."""
