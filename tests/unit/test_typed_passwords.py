"""`imagesmith build` asks for passwords where a chosen cloud wants one, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagesmith.commands.passwords import typed_in
from imagesmith.errors import DefinitionError

CLOUDS = """
ec2: {type: ec2}
hotel: {type: openstack, auth_url: "https://h:5000/v3", password: ask}
"""
GENERATOR = """
name: tools
script: |
  #!/bin/sh
clouds:
  ec2: {source_image: ami-1, ssh_username: admin, instance_type: t3.small}
  hotel: {source_image: debian-12, ssh_username: debian, instance_type: m1.small}
"""


@pytest.fixture(autouse=True)
def include(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "generators").mkdir()
    (tmp_path / "clouds.yaml").write_text(CLOUDS)
    (tmp_path / "generators" / "tools.yaml").write_text(GENERATOR)
    monkeypatch.setenv("IMAGESMITH_INCLUDE", str(tmp_path))
    return tmp_path


def test_it_is_asked_by_the_clouds_name() -> None:
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return "" if len(asked) == 1 else "pw"

    assert typed_in("tools", {}, ask=ask, terminal=True) == {"password_hotel": "pw"}
    assert asked == ["Password for hotel: "] * 2


def test_nothing_is_asked_for_clouds_left_out() -> None:
    assert typed_in("tools", {"clouds": ["ec2"]}, ask=lambda _: "pw", terminal=True) == {}


def test_nothing_is_asked_for_generators_of_elsewhere(include: Path) -> None:
    assert typed_in("other", {}, ask=lambda _: "pw", terminal=True) == {}
    (include / "clouds.yaml").unlink()
    assert typed_in("tools", {}, ask=lambda _: "pw", terminal=True) == {}


def test_without_a_terminal_the_other_ways_are_told() -> None:
    with pytest.raises(DefinitionError, match="hotel asks for its password.*REST"):
        typed_in("tools", {}, ask=lambda _: "pw", terminal=False)


def test_no_password_is_no_build() -> None:
    with pytest.raises(DefinitionError, match="hotel: no password was given"):
        typed_in("tools", {}, ask=lambda _: "", terminal=True)
