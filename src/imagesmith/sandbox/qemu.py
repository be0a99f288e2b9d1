"""Machines that are QEMU virtual machines, each its own process on its own loopback address.

A machine's process outlives the server: the server finds it again by its pid file and its monitor's socket.
A partition boots with the base image's kernel; one that a script installs is on the disk but does not run. A whole disk
boots by its own loader, which takes the kernel that /vmlinuz is a link to: the one installed last.
"""

import asyncio
import contextlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from imagesmith.processes import Daemon
from imagesmith.sandbox import config
from imagesmith.sandbox.machines import MachineError, Machines, PoweredOff, Timings
from imagesmith.sandbox.monitor import Monitor, connect
from imagesmith.sandbox.seed import Seed
from imagesmith.sandbox.state import Instance, Snapshot, Volume

# Of the kernel; grub.cfg has them for whole disks.
FLAGS = ("console=ttyS0", "root=/dev/vda", "net.ifnames=0", "mitigations=off", "quiet", "systemd.show_status=0")

_START_LIMIT_S = 20.0
_MAX_DEPTH = 3  # a disk that stands on more files than this is saved whole
_ASK_AGAIN_S = 3.0  # a guest that is still booting does not hear the first word
_SYNC_LIMIT_S = 10.0
_REBOOT_LIMIT_S = 30.0
_ACCELERATORS = {
    # 64 MB of translated code costs little speed and saves 400 MB of memory a machine (measured).
    "tcg": ("-accel", "tcg,tb-size=64", "-cpu", "qemu64"),
    "kvm": ("-accel", "kvm", "-cpu", "host"),
}


@dataclass(frozen=True)
class _Files:
    """The directory of one machine."""

    directory: Path

    @property
    def console(self) -> Path:
        return self.directory / "console.log"

    @property
    def monitor(self) -> Path:
        return self.directory / "monitor"

    @property
    def line(self) -> Path:
        return self.directory / "line"

    @property
    def seed(self) -> Path:
        return self.directory / "seed.tar"

    @property
    def process(self) -> Daemon:
        return Daemon("qemu", directory=self.directory)


class QemuMachines(Machines):
    """All virtual machines of one sandbox."""

    def __init__(
        self,
        places: config.Places,
        timings: Timings,
        *,
        acceleration: str,
        ssh_port: int,
        on_power_off: PoweredOff,
    ) -> None:
        self._places = places
        self._timings = timings
        self._acceleration = acceleration
        self._on_power_off = on_power_off
        self._monitors: dict[str, Monitor] = {}
        self.ssh_port = ssh_port

    async def boot(self, instance: Instance, volume: Volume, seed: Seed) -> None:
        """Starts QEMU; the disk is made from its snapshot if this is the first boot."""
        files = self._files(instance)
        files.directory.mkdir(parents=True, exist_ok=True)
        seed.write(files.seed)
        await self._make_disk(volume)
        for stale in (files.monitor, files.line):
            stale.unlink(missing_ok=True)
        # Relative names keep the sockets' paths under the 108 bytes that Linux allows.
        files.process.start(self._argv(instance, volume), cwd=files.directory)
        try:
            await self._watch(instance, limit_s=_START_LIMIT_S)
        except MachineError as error:
            files.process.stop(limit_s=1.0)
            raise MachineError(f"QEMU did not start: {_tail(files.process.log_path)}") from error

    async def off(self, instance: Instance, *, limit_s: float) -> None:
        """When QEMU has ended."""
        monitor = self._monitors.get(instance.id)
        if monitor is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(monitor.ended.wait(), limit_s)

    async def adopt(self, instance: Instance, seed: Seed) -> bool:
        """Takes up the monitor of a machine that an earlier server started."""
        if self._files(instance).process.running() is None:
            return False
        await self._watch(instance, limit_s=5.0)
        return True

    async def power_off(self, instance: Instance, *, limit_s: float) -> None:
        """Over the second serial line and by the power button, again and again until the guest hears it."""
        monitor = self._monitors.get(instance.id)
        deadline = time.monotonic() + limit_s
        while monitor is not None and time.monotonic() < deadline and not monitor.ended.is_set():
            with contextlib.suppress(MachineError, OSError):  # it may end at any moment: that is the aim
                await monitor.execute("system_powerdown")
                await self._say(instance, "poweroff", until="powering off")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(monitor.ended.wait(), _ASK_AGAIN_S)
        await self._kill(instance)

    async def reboot(self, instance: Instance) -> None:
        """Asked over the serial line; reset if the guest does not do it by itself."""
        monitor = self._monitor(instance)
        before, deadline = monitor.resets, time.monotonic() + _REBOOT_LIMIT_S
        while monitor.resets == before and not monitor.ended.is_set():
            if time.monotonic() > deadline:
                await monitor.execute("system_reset")
                return
            with contextlib.suppress(OSError):  # the guest closes nothing, QEMU may be gone
                await self._say(instance, "reboot", until="rebooting")
            await asyncio.sleep(_ASK_AGAIN_S)

    async def destroy(self, instance: Instance) -> None:
        """Switches off at once and removes the machine's directory."""
        await self._kill(instance)
        shutil.rmtree(self._files(instance).directory, ignore_errors=True)

    async def save_disk(self, instance: Instance, volume: Volume, snapshot: Snapshot) -> None:
        """The disk's own blocks as a new file on the same backing, or the whole disk when that got deep or small.

        A running machine syncs its file systems and is paused while its disk is read.
        """
        monitor = self._monitors.get(instance.id)
        if monitor is not None:
            with contextlib.suppress(OSError):
                await self._say(instance, "sync", until="synced", limit_s=_SYNC_LIMIT_S)
            await monitor.execute("stop")
        try:
            await self._convert(volume, snapshot)
        finally:
            if monitor is not None and not monitor.ended.is_set():
                await monitor.execute("cont")

    def console(self, instance: Instance) -> bytes:
        """The end of the first serial line's log, all boots of the instance."""
        try:
            return self._files(instance).console.read_bytes()[-config.CONSOLE_BYTES :]
        except FileNotFoundError:
            return b""

    def detach(self) -> None:
        """Leaves the machines running for the next server."""
        for monitor in self._monitors.values():
            monitor.close()

    def _files(self, instance: Instance) -> _Files:
        return _Files(self._places.machines / instance.id)

    def _monitor(self, instance: Instance) -> Monitor:
        try:
            return self._monitors[instance.id]
        except KeyError:
            raise MachineError(f"{instance.id} is not switched on") from None

    async def _watch(self, instance: Instance, *, limit_s: float) -> None:
        files = self._files(instance)
        monitor = await Monitor.connect(
            files.monitor,
            on_end=lambda: self._ended(instance),
            alive=lambda: files.process.running() is not None,
            limit_s=limit_s,
        )
        self._monitors[instance.id] = monitor

    def _ended(self, instance: Instance) -> None:
        self._monitors.pop(instance.id, None)
        self._on_power_off(instance.id)

    async def _kill(self, instance: Instance) -> None:
        monitor = self._monitors.get(instance.id)
        if monitor is not None:
            with contextlib.suppress(MachineError, TimeoutError):
                await asyncio.wait_for(monitor.execute("quit"), 5.0)
        await asyncio.to_thread(self._files(instance).process.stop, limit_s=2.0)

    async def _make_disk(self, volume: Volume) -> None:
        disk = self._disk(volume.disk)
        if not disk.exists():
            disk.parent.mkdir(parents=True, exist_ok=True)
            backing = self._disk(volume.chain[0])
            await _run(
                "qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", backing, disk,
                f"{volume.size_gib}G",
            )  # fmt: skip

    async def _convert(self, volume: Volume, snapshot: Snapshot) -> None:
        whole = snapshot.compressed or len(volume.chain) >= _MAX_DEPTH
        small = ("-c", "-o", "compression_type=zstd") if snapshot.compressed else ()
        backing = () if whole else ("-F", "qcow2", "-B", self._disk(volume.chain[0]))
        target = self._disk(snapshot.disk)
        written = target.with_suffix(".new")
        # -U: the pause, not QEMU's lock, keeps a running machine's disk still.
        formats = ("-f", "qcow2", "-O", "qcow2")
        await _run("qemu-img", "convert", "-U", *formats, *small, *backing, self._disk(volume.disk), written)
        written.replace(target)
        snapshot.chain = [] if whole else list(volume.chain)

    def _disk(self, name: str) -> Path:
        return self._places.disks / name

    async def _say(self, instance: Instance, word: str, *, until: str, limit_s: float = _ASK_AGAIN_S) -> None:
        """Speaks on the second serial line; returns when the guest has answered, or nobody did for `limit_s`.

        The connection stays open meanwhile: QEMU drops what it has not read when one is closed.
        """
        reader, writer = await connect(self._files(instance).line)
        try:
            async with asyncio.timeout(limit_s):
                writer.write(word.encode() + b"\n")
                await writer.drain()
                await reader.readuntil(until.encode())
        except (TimeoutError, asyncio.IncompleteReadError):
            pass  # still booting, or ended; the caller sees to both
        finally:
            writer.close()

    def _argv(self, instance: Instance, volume: Volume) -> list[str]:
        memory = config.vm_memory_mib(instance.instance_type)
        forward = f",hostfwd=tcp:{instance.address}:{self.ssh_port}-:22" if self._timings.ssh else ""
        root = f"virtio-blk-pci,drive=root,serial={volume.id.replace('-', '')[:20]}"
        return [
            *("qemu-system-x86_64", "-name", instance.id, "-M", "q35", *_ACCELERATORS[self._acceleration]),
            *("-m", str(memory), "-nodefaults", "-display", "none"),
            *("-qmp", "unix:monitor,server=on,wait=off"),
            # Unsafe is about power cuts of the host only: what QEMU wrote survives the end of QEMU.
            *("-drive", f"file={self._disk(volume.disk)},if=none,id=root,discard=unmap,cache=unsafe"),
            *self._boot_argv(root, volume.layout),
            *("-drive", "file=seed.tar,format=raw,if=none,id=seed,readonly=on"),
            *("-device", "virtio-blk-pci,drive=seed,serial=sandbox-seed"),
            *("-netdev", f"user,id=net{forward}", "-device", "virtio-net-pci,netdev=net,romfile="),
            *("-device", "virtio-rng-pci"),
            *("-chardev", "file,id=console,path=console.log,append=on", "-serial", "chardev:console"),
            *("-chardev", "socket,id=line,path=line,server=on,wait=off", "-serial", "chardev:line"),
        ]

    def _boot_argv(self, root: str, layout: str) -> tuple[str, ...]:
        """Root disk and loader: SeaBIOS starts what the disk begins with, unless QEMU is given a kernel."""
        if layout == config.WHOLE_DISK:
            return ("-device", f"{root},bootindex=0")
        kernel, initrd = (str(self._places.base / name) for name in ("vmlinuz", "initrd"))
        return ("-kernel", kernel, "-initrd", initrd, "-append", " ".join(FLAGS), "-device", root)


def _tail(log: Path) -> str:
    try:
        return log.read_text(errors="replace")[-400:].strip() or "it said nothing"
    except FileNotFoundError:
        return "it left no log"


async def _run(*argv: str | Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *map(str, argv), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise MachineError(f"{argv[0]} {argv[1]} failed: {output.decode(errors='replace').strip()}")
