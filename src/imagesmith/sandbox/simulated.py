"""Machines that answer by the clock: an SSH server in this process for each address, and no virtual machine.

They are for tests and for load: hundreds at once cost what one virtual machine does.
"""

import asyncio
import hashlib
import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from imagesmith.sandbox import config, simulated_shell
from imagesmith.sandbox.machines import MachineError, Machines, PoweredOff, Timings
from imagesmith.sandbox.seed import Seed
from imagesmith.sandbox.simulated_disk import Disk, Identity
from imagesmith.sandbox.simulated_shell import SimulatedMachine
from imagesmith.sandbox.state import Instance, Snapshot, Volume


@dataclass
class _Running:
    """A machine that is switched on; `server` is None when its SSH is set not to answer."""

    machine: SimulatedMachine
    server: asyncssh.SSHAcceptor | None = None
    connections: set[asyncssh.SSHServerConnection] = field(default_factory=set)

    def drop(self) -> None:
        """Ends what is connected and listens no more, as a machine without power does."""
        if self.server is not None:
            self.server.close()
        for connection in list(self.connections):
            connection.abort()


class _Visits(asyncssh.SSHServer):
    """Keeps note of who is connected to a machine."""

    def __init__(self, running: _Running) -> None:
        self._running = running

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._running.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._running.connections.discard(self._connection)


class SimulatedMachines(Machines):
    """All simulated machines of one sandbox."""

    def __init__(self, places: config.Places, timings: Timings, *, ssh_port: int, on_power_off: PoweredOff) -> None:
        self._places = places
        self._timings = timings
        self._on_power_off = on_power_off
        self._running: dict[str, _Running] = {}
        self.ssh_port = ssh_port

    async def boot(self, instance: Instance, volume: Volume, seed: Seed) -> None:
        """Switched on, with SSH, after `boot_s`."""
        await asyncio.sleep(self._timings.boot_s)
        kept = self._directory(instance) / "disk.json"
        if not kept.exists():
            Disk.read(self._snapshot(volume.snapshot_id)).write(kept)
        await self._listen(instance, seed)

    async def off(self, instance: Instance, *, limit_s: float) -> None:
        """At once: it takes no core that somebody could wait for."""

    async def adopt(self, instance: Instance, seed: Seed) -> bool:
        """Always: there was no process to lose. Connections of before are."""
        await self._listen(instance, seed, adopted=True)
        return True

    async def power_off(self, instance: Instance, *, limit_s: float) -> None:
        """Off after `stop_s`."""
        if instance.id in self._running:
            await asyncio.sleep(self._timings.stop_s)
            self._switch_off(instance.id)

    async def reboot(self, instance: Instance) -> None:
        """Drops every connection and answers again after `boot_s`."""
        running = self._running.get(instance.id)
        if running is None:
            raise MachineError(f"{instance.id} is not switched on")
        running.drop()
        running.machine.boot_id = str(uuid.uuid4())
        running.machine.keep()
        await asyncio.sleep(self._timings.boot_s)
        seed = Seed(instance.id, "", config.DEFAULT_USER)
        running.server = await self._serve(instance, running, seed)

    async def destroy(self, instance: Instance) -> None:
        """Switches off at once and removes what was uploaded."""
        self._switch_off(instance.id)
        shutil.rmtree(self._directory(instance), ignore_errors=True)

    async def save_disk(self, instance: Instance, volume: Volume, snapshot: Snapshot) -> None:
        """Takes `image_s`; of the disk there is what was told of it."""
        await asyncio.sleep(self._timings.image_s)
        Disk.read(self._directory(instance) / "disk.json").saved().write(self._snapshot(snapshot.id))

    def console(self, instance: Instance) -> bytes:
        """The host key, as cloud-init prints it."""
        try:
            public = (self._directory(instance) / "ssh_host_key.pub").read_text()
        except FileNotFoundError:
            return b""
        fingerprint = asyncssh.import_public_key(public).get_fingerprint()
        return (
            "-----BEGIN SSH HOST KEY FINGERPRINTS-----\n"
            f"256 {fingerprint} root@{instance.id} (ED25519)\n"
            "-----END SSH HOST KEY FINGERPRINTS-----\n"
            f"-----BEGIN SSH HOST KEY KEYS-----\n{public.strip()}\n-----END SSH HOST KEY KEYS-----\n"
        ).encode()

    async def _listen(self, instance: Instance, seed: Seed, *, adopted: bool = False) -> None:
        directory = self._directory(instance)
        files = directory / "files"
        (files / "tmp").mkdir(parents=True, exist_ok=True)
        machine = SimulatedMachine(
            instance.id,
            self._timings,
            press_power_button=lambda: self._on_power_off(instance.id),
            uploaded=lambda path: (files / path.lstrip("/")).is_file(),
            forget_key=lambda public_key: self._forget_key(instance, public_key),
            kept=directory / "machine.json",
        )
        machine.disk = Disk.read(directory / "disk.json")
        machine.keep_disk = lambda: machine.disk.write(directory / "disk.json")
        machine.identity = lambda: self._identity(instance, seed)
        running = _Running(machine)
        running.server = await self._serve(instance, running, seed)
        self._running[instance.id] = running
        if adopted:
            machine.recall()
        machine.keep()

    async def _serve(self, instance: Instance, running: _Running, seed: Seed) -> asyncssh.SSHAcceptor | None:
        if not self._timings.ssh:
            return None

        async def handle(process: "asyncssh.SSHServerProcess[bytes]") -> None:
            command = process.command or ""
            stdin = await process.stdin.read() if simulated_shell.needs_input(command) else b""
            stdout, status = await simulated_shell.answer(running.machine, command, stdin)
            process.stdout.write(stdout)
            process.exit(status)

        directory = self._directory(instance)
        uploads = str(directory / "files").encode()
        try:
            _leave_keys(directory, seed)
            return await asyncssh.listen(
                instance.address,
                self.ssh_port,
                server_host_keys=[str(directory / "ssh_host_key")],
                # The library's server looks for keys in each user's home unless it is given them here.
                authorized_client_keys=str(directory / "authorized_keys"),
                server_factory=lambda: _Visits(running),
                process_factory=handle,
                sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=uploads),
                allow_scp=True,
                encoding=None,
            )
        except (OSError, ValueError) as error:  # the address is taken, or a key in the user data is none
            raise MachineError(f"{instance.address}:{self.ssh_port} can't answer SSH: {error}") from error

    def _identity(self, instance: Instance, seed: Seed) -> Identity:
        directory = self._directory(instance)
        host_key = (directory / "ssh_host_key.pub").read_text().strip()
        home = "/root" if seed.user == "root" else f"/home/{seed.user}"
        keys = {f"{home}/.ssh/authorized_keys": (directory / "authorized_keys").read_text()}
        return Identity(hashlib.sha256(instance.id.encode()).hexdigest()[:32], host_key, keys)

    def _snapshot(self, snapshot_id: str) -> Path:
        return self._places.disks / f"{snapshot_id}.json"

    def _forget_key(self, instance: Instance, public_key: str) -> None:
        """Connections that there are stay."""
        running = self._running.get(instance.id)
        if running is None or running.server is None:
            return
        path = self._directory(instance) / "authorized_keys"
        kept = [line for line in path.read_text().splitlines() if public_key not in line]
        path.write_text("".join(line + "\n" for line in kept or [_nobodys_key()]))
        running.server.update(authorized_client_keys=str(path))

    def _switch_off(self, instance_id: str) -> None:
        running = self._running.pop(instance_id, None)
        if running is not None:
            running.drop()

    def _directory(self, instance: Instance) -> Path:
        return self._places.machines / instance.id


def _leave_keys(directory: Path, seed: Seed) -> None:
    """Host key and authorized keys as files, made at the first boot and kept for later ones."""
    private = directory / "ssh_host_key"
    if private.exists():
        return
    given = seed.host_keys.get("ssh_host_ed25519_key")
    key = asyncssh.import_private_key(given) if given else asyncssh.generate_private_key("ssh-ed25519")
    private.touch(mode=0o600)
    private.write_bytes(key.export_private_key())
    (directory / "ssh_host_key.pub").write_bytes(key.export_public_key())
    # A list without entries would make the library look elsewhere; nobody has the private half of this one.
    keys = seed.authorized_keys or [_nobodys_key()]
    (directory / "authorized_keys").write_text("".join(each.strip() + "\n" for each in keys))


def _nobodys_key() -> str:
    return asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
