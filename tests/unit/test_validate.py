"""`imagesmith validate` as its user meets it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from imagesmith.commands.validate import add_parser


@pytest.fixture
def include(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    include = tmp_path / "include"
    for folder in ("generators", "scripts"):
        (include / folder).mkdir(parents=True)
    (include / "clouds.yaml").write_text("ec2: {type: ec2}\n")
    entry = "{source_image: ami-1, ssh_username: admin, instance_type: t3.small}"
    (include / "generators" / "good.yaml").write_text(f"script: |\n  #!/bin/sh\n  true\nclouds: {{ec2: {entry}}}\n")
    monkeypatch.setenv("IMAGESMITH_INCLUDE", str(include))
    return include


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    args = parser.parse_args(["validate", *words])
    code: int = args.func(args)
    return code


def test_all_is_well(include: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    assert capsys.readouterr().out == "all generators and clouds: no mistakes\n"


def test_every_finding_and_the_count(include: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (include / "generators" / "bad.yaml").write_text("script: gone.sh\nclouds: {moon: {}}\n")
    assert run() == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "include/generators/bad.yaml:1: script: there is no include/scripts/gone.sh → create it or correct the name"
    )
    assert lines[-1] == "all generators and clouds: 4 mistakes"
    assert len(lines) == 5


def test_only_the_files_named(include: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = include / "generators" / "bad.yaml"
    bad.write_text("a: b\n")
    assert run(str(include / "generators" / "good.yaml")) == 0
    assert run(str(include / "clouds.yaml"), str(bad)) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "2 files: 3 mistakes"


def test_file_elsewhere_and_missing_file(include: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draft = tmp_path / "draft.yaml"
    draft.write_text((include / "generators" / "good.yaml").read_text())
    assert run(str(draft)) == 0
    assert run(str(tmp_path / "none.yaml")) == 1
    assert f"{tmp_path}/none.yaml: there is no such file → check the name" in capsys.readouterr().out


def test_json(include: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    (include / "clouds.yaml").write_text("ec2: {type: ec2, regin: x}\n")
    assert run("--json", str(include / "clouds.yaml")) == 1
    assert json.loads(capsys.readouterr().out) == [
        {
            "file": "include/clouds.yaml",
            "line": 1,
            "key": "ec2.regin",
            "message": "is no key here",
            "cure": "did you mean region?",
        }
    ]
