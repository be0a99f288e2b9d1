"""Disks and monitors of virtual machines, without a virtual machine."""

import asyncio
import contextlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from imagesmith.sandbox import config, launching, qemu
from imagesmith.sandbox.addresses import Addresses
from imagesmith.sandbox.cloud import Cloud
from imagesmith.sandbox.host import Host
from imagesmith.sandbox.launching import Launch
from imagesmith.sandbox.machines import MachineError, Machines, Timings
from imagesmith.sandbox.monitor import Monitor
from imagesmith.sandbox.qemu import QemuMachines
from imagesmith.sandbox.seed import Seed
from imagesmith.sandbox.state import Image, Instance, Snapshot, State, Volume


async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """QEMU's side of the monitor."""
    writer.write(b'{"QMP": {}}\n')
    while line := await reader.readline():
        request = json.loads(line)
        if request["execute"] == "quit":
            break
        if request["execute"] == "bad":
            answer: dict[str, Any] = {"error": {"desc": "no such command"}, "id": request["id"]}
        else:
            writer.write(b'{"event": "RESET"}\n')
            answer = {"return": {"said": request["execute"]}, "id": request["id"]}
        writer.write(json.dumps(answer).encode() + b"\n")
    writer.close()


def test_monitor(tmp_path: Path) -> None:
    ended: list[str] = []

    async def talk() -> None:
        async with await asyncio.start_unix_server(speak, tmp_path / "monitor"):
            monitor = await Monitor.connect(tmp_path / "monitor", on_end=lambda: ended.append("end"))
            assert await monitor.execute("query-status") == {"said": "query-status"}
            assert monitor.resets == 2
            with pytest.raises(MachineError, match="refused bad: no such command"):
                await monitor.execute("bad")
            with pytest.raises(MachineError, match="QEMU has ended"):
                await monitor.execute("quit")
            assert monitor.ended.is_set()

    asyncio.run(talk())
    assert ended == ["end"]


def test_no_monitor(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no monitor answered"):
        asyncio.run(Monitor.connect(tmp_path / "none", on_end=lambda: None, limit_s=0.05))


def machines(places: config.Places) -> QemuMachines:
    return QemuMachines(places, Timings(), acceleration="tcg", ssh_port=2222, on_power_off=lambda instance_id: None)


def an_instance() -> Instance:
    return Instance(
        id="i-1",
        kind="qemu",
        image_id="ami-1",
        instance_type="t3.nano",
        volume_id="vol-1",
        reservation_id="r-1",
        address="127.9.9.9",
        private_address="172.31.0.1",
    )


def test_a_qemu_that_does_not_start_is_told_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "qemu-system-x86_64"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho port 22 is taken >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    places = config.Places(tmp_path)
    places.disks.mkdir()
    (places.disks / "vol-1.qcow2").touch()
    volume = Volume(id="vol-1", size_gib=8, snapshot_id="snap-1", disk="vol-1.qcow2", chain=["base.qcow2"])
    with pytest.raises(MachineError, match="port 22 is taken"):
        asyncio.run(machines(places).boot(an_instance(), volume, Seed("i-1", "ip-1", "admin")))


@pytest.mark.parametrize(("layout", "kernel"), [(config.PARTITION, ["/base/vmlinuz"]), (config.WHOLE_DISK, [])])
def test_only_a_partition_needs_a_kernel(layout: str, kernel: list[str]) -> None:
    volume = Volume(id="vol-1", size_gib=8, snapshot_id="snap-1", disk="vol-1.qcow2", layout=layout)
    argv = machines(config.Places(Path("/")))._argv(an_instance(), volume)
    options = dict(zip(argv[1:], argv[2:], strict=False))
    assert [options[name] for name in ("-kernel",) if name in options] == kernel
    assert len({"-kernel", "-initrd", "-append"} & set(argv)) == 3 * len(kernel)
    root, seed = (argv.index(next(each for each in argv if f"drive={name}" in each)) for name in ("root", "seed"))
    assert root < seed, "the root disk is the first"
    assert ("bootindex=0" in argv[root]) == (layout == config.WHOLE_DISK)


def test_both_ways_to_boot_give_the_kernel_the_same_flags() -> None:
    configuration = Path(qemu.__file__).with_name("grub.cfg").read_text().split()
    assert {flag for flag in qemu.FLAGS if not flag.startswith("root=")} < set(configuration)


def test_an_image_is_laid_out_as_the_disk_it_was_saved_of() -> None:
    source = Image(id="ami-1", name="a", kind="qemu", snapshot_id="snap-1", disk_gib=8, layout=config.WHOLE_DISK)
    volume = launching.root_volume(Launch(source, "t3.nano"), Snapshot(id="snap-1", volume_id="", size_gib=8))
    saved, _ = launching.image_and_snapshot(an_instance(), volume, "b", description="")
    assert saved.layout == config.WHOLE_DISK


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img (package qemu-utils)")
def test_a_saved_disk_stands_on_its_source_until_the_chain_is_long(tmp_path: Path) -> None:
    places = config.Places(tmp_path)
    places.disks.mkdir()
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", places.disks / "base.qcow2", "1G"], check=True)
    chain, depths = ["base.qcow2"], []
    for generation in range(4):
        volume = Volume(id="vol-1", size_gib=1, snapshot_id="snap-1", disk=f"vol-{generation}.qcow2", chain=chain)
        snapshot = Snapshot(id="snap-1", volume_id="vol-1", size_gib=1, disk=f"snap-{generation}.qcow2")
        asyncio.run(make_and_save(machines(places), volume, snapshot))
        depths.append(len(snapshot.chain))
        assert (places.disks / snapshot.disk).exists()
        chain = [snapshot.disk, *snapshot.chain]
    assert depths == [1, 2, 0, 1]


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img (package qemu-utils)")
def test_a_compressed_disk_is_saved_whole_and_small(tmp_path: Path) -> None:
    places = config.Places(tmp_path)
    places.disks.mkdir()
    (tmp_path / "content").write_bytes(b"easy to compress" * 2**18)
    base = places.disks / "base.qcow2"
    subprocess.run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", tmp_path / "content", base], check=True)
    volume = Volume(id="vol-1", size_gib=1, snapshot_id="snap-1", disk="vol.qcow2", chain=["base.qcow2"])
    snapshot = Snapshot(id="snap-1", volume_id="vol-1", size_gib=1, disk="snap.qcow2", compressed=True)
    asyncio.run(make_and_save(machines(places), volume, snapshot))
    assert snapshot.chain == []
    assert (places.disks / "snap.qcow2").stat().st_size < base.stat().st_size / 2
    same = subprocess.run(["qemu-img", "compare", "-q", places.disks / "snap.qcow2", places.disks / "vol.qcow2"])
    assert same.returncode == 0


async def make_and_save(all_machines: QemuMachines, volume: Volume, snapshot: Snapshot) -> None:
    await all_machines._make_disk(volume)
    await all_machines.save_disk(an_instance(), volume, snapshot)


class Slow(Machines):
    """Machines that go off when the test says so."""

    ssh_port = 22

    def __init__(self) -> None:
        self.on: list[str] = []
        self.went_off: dict[str, asyncio.Event] = {}

    async def boot(self, instance: Instance, volume: Volume, seed: Seed) -> None:
        self.went_off[instance.id] = asyncio.Event()
        self.on.append(instance.id)

    async def off(self, instance: Instance, *, limit_s: float) -> None:
        await self.went_off[instance.id].wait()

    async def power_off(self, instance: Instance, *, limit_s: float) -> None:
        """Nothing."""

    async def reboot(self, instance: Instance) -> None:
        """Nothing."""

    async def destroy(self, instance: Instance) -> None:
        """Nothing."""

    async def adopt(self, instance: Instance, seed: Seed) -> bool:
        return True

    async def save_disk(self, instance: Instance, volume: Volume, snapshot: Snapshot) -> None:
        """Nothing."""

    def console(self, instance: Instance) -> bytes:
        return b""


def test_one_machine_is_switched_on_for_each_core_and_the_others_wait(tmp_path: Path) -> None:
    async def run() -> None:
        slow, places = Slow(), config.Places(tmp_path)
        host = Host(Addresses(sandbox_port=4599, ssh_port=22))
        host.cores = asyncio.Semaphore(2)
        cloud = Cloud(State(places.state), places, machines={"qemu": slow}, host=host, endpoint="")
        snapshot = Snapshot(id="snap-1", volume_id="", size_gib=1, disk="base.qcow2")
        image = Image(id="ami-1", name="base", kind="qemu", snapshot_id=snapshot.id, disk_gib=1)
        cloud.state.save(snapshot, image)
        first, second, third, fourth = cloud.launch(Launch(image, "t3.small", count=4))
        await asyncio.sleep(0.05)
        assert slow.on == [first.id, second.id]
        assert [each.state for each in (first, second, third)] == ["running", "running", "pending"]
        cloud.terminate(third)
        slow.went_off[second.id].set()
        await asyncio.sleep(0.05)
        assert slow.on == [first.id, second.id, fourth.id]
        for event in slow.went_off.values():
            event.set()
        await asyncio.sleep(0.05)
        assert not host.cores.locked()

    asyncio.run(run())


def test_a_machine_is_off_when_its_monitor_ends(tmp_path: Path) -> None:
    places = config.Places(tmp_path)
    all_machines, instance = machines(places), an_instance()

    async def run() -> None:
        async with await asyncio.start_unix_server(speak, tmp_path / "monitor"):
            monitor = await Monitor.connect(tmp_path / "monitor", on_end=lambda: None)
            all_machines._monitors[instance.id] = monitor
            await all_machines.off(instance, limit_s=0.05)
            assert not monitor.ended.is_set()
            asyncio.get_running_loop().call_later(0.05, lambda: asyncio.ensure_future(end(monitor)))
            await all_machines.off(instance, limit_s=60)
            assert monitor.ended.is_set()

    async def end(monitor: Monitor) -> None:
        with contextlib.suppress(MachineError):
            await monitor.execute("quit")

    asyncio.run(run())
