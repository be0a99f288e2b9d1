"""The base image's preparation: what of this host's apt goes in, and which tools are asked for."""

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


def test_only_the_way_to_the_archive_is_shared() -> None:
    assert base_image.apt_options(lambda: DUMP) == [
        'Acquire::http::Proxy "http://127.0.0.1:3142"',
        'Acquire::Check-Valid-Until "false"',
    ]


def test_missing_tools_come_with_the_cure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(base_image, "_TOOLS", {"no-such-tool": "some-package"})
    with pytest.raises(SetupError, match="apt-get install some-package"):
        base_image.check_tools()


def test_a_failed_making_shows_the_end_of_its_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "base_image.sh"
    script.write_text("echo no space left >&2\nexit 1\n")
    monkeypatch.setattr(base_image, "_HERE", tmp_path)
    monkeypatch.setattr(base_image, "check_tools", lambda: None)
    with pytest.raises(SetupError, match="no space left"):
        base_image.ensure(tmp_path / "base", announce=lambda text: None)


def test_an_existing_image_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "disk.qcow2").write_text("disk")
    monkeypatch.setattr(base_image, "check_tools", lambda: None)
    said: list[str] = []
    base_image.ensure(tmp_path, announce=said.append)
    assert said == []


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
