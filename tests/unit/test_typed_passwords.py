"""`imagesmith build` asks for passwords where a chosen cloud wants one, and nowhere else."""

from __future__ import annotations

from argparse import Namespace
from io import StringIO
from pathlib import Path

import pytest

from imagesmith.commands.choice import conf_of
from imagesmith.commands.passwords import piped_in, typed_in
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


SECRET = GENERATOR.replace(
    "clouds:", "parameters:\n  licence: {type: string, secret: true}\n  token: {type: string, secret: true}\nclouds:"
)


def test_secret_parameters_are_asked_after_the_passwords(include: Path) -> None:
    (include / "generators" / "tools.yaml").write_text(SECRET)
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return "abc" if len(asked) == 2 else f"value {len(asked)}"

    typed = typed_in("tools", {}, ask=ask, terminal=True)
    assert typed == {"password_hotel": "value 1", "licence": "value 3", "token": "value 4"}
    secret = "Value for {} (secret): ".format
    assert asked == ["Password for hotel: ", secret("licence"), secret("licence"), secret("token")]


def test_what_was_piped_in_is_not_asked_again(include: Path) -> None:
    (include / "generators" / "tools.yaml").write_text(SECRET)
    conf = {"clouds": ["ec2"], "licence": "piped"}
    assert typed_in("tools", conf, ask=lambda _: "typed", terminal=True) == {"token": "typed"}


def test_a_value_that_can_be_none_is_no_build(include: Path) -> None:
    (include / "generators" / "tools.yaml").write_text(SECRET)
    with pytest.raises(DefinitionError, match="parameter licence: no value was given.*fewer than 4 characters"):
        typed_in("tools", {"clouds": ["ec2"]}, ask=lambda _: "abc", terminal=True)


def test_one_secret_is_the_whole_of_standard_input_and_several_are_lines(include: Path) -> None:
    (include / "generators" / "tools.yaml").write_text(SECRET)
    assert piped_in("tools", {"token": "-"}, StringIO("one\ntwo\n")) == {"token": "one\ntwo"}
    both = {"token": "-", "licence": "-"}
    assert piped_in("tools", both, StringIO("first\nsecond\n")) == {"token": "first", "licence": "second"}
    assert piped_in("tools", {"extra": "-"}, StringIO("x")) == {}
    assert piped_in("other", {"token": "in the clear"}, StringIO("x")) == {}


@pytest.mark.parametrize(
    ("given", "stdin", "said"),
    [
        ({"token": "hunter2"}, "", "--param token: is secret.*standard input"),
        ({"token": "-"}, "abc\n", "parameter token: standard input has fewer than 4"),
        ({"token": "-"}, "", "parameter token: standard input has fewer than 4"),
        ({"token": "-", "licence": "-"}, "only one\n", "standard input has 1 lines; write one each for token, licence"),
    ],
)
def test_what_can_be_no_secret_is_refused_and_not_repeated(
    include: Path, given: dict[str, str], stdin: str, said: str
) -> None:
    (include / "generators" / "tools.yaml").write_text(SECRET)
    with pytest.raises(DefinitionError, match=said) as refusal:
        piped_in("tools", given, StringIO(stdin))
    assert "hunter2" not in str(refusal.value)


def test_a_piped_secret_goes_into_the_conf_beside_what_stands_on_the_command_line(
    include: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (include / "generators" / "tools.yaml").write_text(
        SECRET.replace("parameters:\n", "parameters:\n  count: {type: integer, default: 1}\n")
    )
    monkeypatch.setattr("sys.stdin", StringIO("s3cret-value\n"))
    conf = conf_of(Namespace(name="tools", param=["token=-", "count=3"], cloud=["ec2"]))
    assert conf == {"token": "s3cret-value", "count": 3, "clouds": ["ec2"]}
