"""The base image's preparation: what of this host's apt goes in, which tools are asked for, what is made when."""

import os
import re
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imagesmith.errors import SetupError
from imagesmith.sandbox import acceleration, base_image

DUMP = """APT::Architecture "amd64";
Acquire::http::Proxy "http://127.0.0.1:3142";
Acquire::https::Proxy "";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
"""


def tools_are_there() -> bool:
    try:
        base_image.check_tools()
    except SetupError:
        return False
    return True


def test_only_the_way_to_the_archive_is_shared() -> None:
    assert base_image.apt_options(lambda: DUMP) == [
        'Acquire::http::Proxy "http://127.0.0.1:3142"',
        'Acquire::Check-Valid-Until "false"',
    ]


def test_missing_tools_come_with_the_cure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(base_image, "_TOOLS", {"no-such-tool": "some-package"})
    monkeypatch.setattr(base_image, "_FILES", {str(tmp_path / "no-such-file"): "another-package"})
    with pytest.raises(SetupError, match="apt-get install another-package some-package"):
        base_image.check_tools()


def test_a_failed_making_shows_the_end_of_its_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "base_image.sh"
    script.write_text("echo no space left >&2\nexit 1\n")
    monkeypatch.setattr(base_image, "_HERE", tmp_path)
    monkeypatch.setattr(base_image, "check_tools", lambda: None)
    with pytest.raises(SetupError, match="no space left"):
        base_image.ensure(tmp_path / "base", announce=lambda text: None)


@pytest.mark.parametrize(
    ("oldest_first", "made"),
    [
        ("", ["base_image", "whole_disk"]),
        ("disk", ["whole_disk"]),
        ("disk whole-disk", []),
        ("whole-disk disk", ["whole_disk"]),
        ("whole-disk", ["base_image", "whole_disk"]),
    ],
)
def test_what_is_missing_or_outdated_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, oldest_first: str, made: list[str]
) -> None:
    for script, disk in (("base_image", "disk"), ("whole_disk", "whole-disk")):
        (tmp_path / f"{script}.sh").write_text(f'touch "$1/{disk}.qcow2"\necho {script} >>"$1/made"\n')
    base = tmp_path / "base"
    base.mkdir()
    for moment, disk in enumerate(oldest_first.split(), start=10**9):
        (base / f"{disk}.qcow2").touch()
        os.utime(base / f"{disk}.qcow2", (moment, moment))
    (base / "made").touch()
    monkeypatch.setattr(base_image, "_HERE", tmp_path)
    monkeypatch.setattr(base_image, "check_tools", lambda: None)
    said: list[str] = []
    base_image.ensure(base, announce=said.append)
    assert (base / "made").read_text().split() == made
    assert len(said) == len(made)


def test_of_two_that_start_at_once_one_makes_the_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for script, disk in (("base_image", "disk"), ("whole_disk", "whole-disk")):
        (tmp_path / f"{script}.sh").write_text(f'echo {script} >>"$1/made"\ntouch "$1/{disk}.qcow2"\n')
    both = threading.Barrier(2, timeout=30)
    missing = base_image._missing

    def seen_by_both(directory: Path) -> list[str]:
        found = missing(directory)
        if not (directory / "making.lock").exists():
            both.wait()
        return found

    monkeypatch.setattr(base_image, "_HERE", tmp_path)
    monkeypatch.setattr(base_image, "check_tools", lambda: None)
    monkeypatch.setattr(base_image, "_missing", seen_by_both)
    base = tmp_path / "base"
    with ThreadPoolExecutor() as pool:
        for each in [pool.submit(base_image.ensure, base, announce=lambda text: None) for _ in range(2)]:
            each.result()
    assert (base / "made").read_text().split() == ["base_image", "whole_disk"]


@pytest.mark.skipif(not tools_are_there(), reason="needs the tools that make a base image (base_image.check_tools)")
def test_a_whole_disk_is_a_loader_and_a_partition_with_the_files_of_the_base(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")
    (tmp_path / "tree" / "boot").mkdir(parents=True)
    (tmp_path / "tree" / "vmlinuz").symlink_to("boot/vmlinuz-1")
    raw, disk = tmp_path / "disk.raw", tmp_path / "disk.qcow2"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", tmp_path / "tree", raw, "8G"], check=True)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, disk], check=True)
    base_image.ensure(tmp_path, announce=lambda text: None)
    subprocess.run(["qemu-img", "convert", "-O", "raw", tmp_path / "whole-disk.qcow2", raw], check=True)
    assert raw.stat().st_size == 8 * 2**30
    with raw.open("rb") as content:
        sector = content.read(512)
    assert b"GRUB" in sector
    assert sector[446:450] + sector[510:] == b"\x80\x20\x21\x00\x55\xaa"
    partition = f"{raw}?offset={2**20}"
    subprocess.run(["e2fsck", "-fn", partition], check=True, capture_output=True)
    listed = subprocess.run(["debugfs", "-R", "ls -l /boot/grub", partition], capture_output=True, text=True).stdout
    assert re.search(r"100644 \(1\) +0 +0 .* grub.cfg", listed)
    assert sorted(each.name for each in tmp_path.iterdir() if "building" in each.name) == []


def test_acceleration_is_probed_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    probes: list[Path] = []

    def hangs(*, kernel: Path, initrd: Path) -> bool:
        probes.append(kernel)
        return False

    monkeypatch.setattr(acceleration, "kvm_boots", hangs)
    monkeypatch.setattr(acceleration, "_circumstances", lambda: "this host")
    for _ in range(2):
        found = acceleration.chosen(kernel=tmp_path, initrd=tmp_path, memory_file=tmp_path / "acceleration.json")
        assert found == "tcg"
    assert len(probes) == 1
    monkeypatch.setattr(acceleration, "_circumstances", lambda: "another kernel")
    acceleration.chosen(kernel=tmp_path, initrd=tmp_path, memory_file=tmp_path / "acceleration.json")
    assert len(probes) == 2
