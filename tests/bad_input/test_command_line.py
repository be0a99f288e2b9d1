"""Bad words on the command line: exit code 1 or 2, one clear line, no run asked for, nothing started."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from imagesmith import settings
from imagesmith.catalog.store import Catalog
from imagesmith.cli import main
from imagesmith.processes import Daemon

from .row import Row, check, table
from .rows_of_command_line import BENCH, COMMANDS, FILES, NOTHING, USAGE

GENERATOR = """\
script: |
  #!/bin/sh
  true
parameters:
  extra: {type: string, default: ""}
  count: {type: integer, default: 1}
clouds:
  here: {source_image: ami-12345678, ssh_username: admin, instance_type: t3.small}
  there: {source_image: ami-12345678, ssh_username: admin, instance_type: t3.small}
"""


@pytest.fixture(scope="module")
def empty_catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog's file with all tables, made once because that takes longer than any row."""
    path = tmp_path_factory.mktemp("catalog") / "catalog.db"
    one = Catalog(f"sqlite:///{path}")
    one.upgrade()
    one.close()
    return path


@pytest.fixture
def catalog(tmp_path: Path, empty_catalog: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The deployment's catalog, with a project whose generator `dstat` is well and `broken` is not."""
    path = tmp_path / "catalog.db"
    shutil.copy(empty_catalog, path)
    include = tmp_path / "include"
    (include / "generators").mkdir(parents=True)
    (include / "generators" / "dstat.yaml").write_text(GENERATOR)
    keyed = GENERATOR.replace("  count:", "  token: {type: string, secret: true}\n  count:")
    (include / "generators" / "keyed.yaml").write_text(keyed)
    (include / "generators" / "broken.yaml").write_text(GENERATOR.replace("script: |\n  #!/bin/sh\n  true\n", ""))
    (include / "clouds.yaml").write_text("here: {type: ec2}\nthere: {type: ec2}\nelsewhere: {type: ec2}\n")
    monkeypatch.setenv("IMAGESMITH_CATALOG_URL", f"sqlite:///{path}")
    monkeypatch.setenv("IMAGESMITH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("IMAGESMITH_INCLUDE", str(include))
    monkeypatch.setattr(Daemon, "start", started)
    monkeypatch.chdir(tmp_path)
    return path


def started(*_args: object, **_kwargs: object) -> int:
    raise AssertionError("a process was started")


def ended(words: list[str]) -> int:
    """The exit code, whoever gives it."""
    try:
        return main(words)
    except SystemExit as end:
        return int(end.code or 0)


def nothing_happened(airflow: Any, catalog: Path, before: bytes) -> None:
    assert airflow.runs == {}
    assert [call for call in airflow.calls if not call.startswith("GET ")] == []
    assert catalog.read_bytes() == before
    assert not (catalog.parent / "home").exists()


@pytest.mark.parametrize("row", table(USAGE))
def test_words_that_make_no_command(row: Row, airflow: Any, catalog: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = catalog.read_bytes()
    assert ended(row.given) == 2
    shown = capsys.readouterr()
    last = shown.err.splitlines()[-1]
    check(row, last)
    assert "Traceback" not in shown.err
    assert last.isprintable() and len(last) < 1_000
    assert shown.out == ""
    nothing_happened(airflow, catalog, before)
    assert airflow.calls == []


@pytest.mark.parametrize("row", table(COMMANDS))
def test_words_that_a_command_refuses(
    row: Row, airflow: Any, catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = catalog.read_bytes()
    assert ended(row.given) == 1
    shown = capsys.readouterr()
    check(row, shown.err)
    assert shown.err.startswith("imagesmith: ")
    assert "Traceback" not in shown.err
    assert "hunter2" not in shown.err + shown.out
    assert all(line.isprintable() and len(line) < 1_000 for line in shown.err.splitlines())
    nothing_happened(airflow, catalog, before)


@pytest.mark.parametrize("row", table(FILES))
def test_files_that_cannot_be_judged(row: Row, airflow: Any, catalog: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = catalog.read_bytes()
    assert ended(row.given) == 1
    shown = capsys.readouterr()
    check(row, shown.out)
    assert shown.err == ""
    nothing_happened(airflow, catalog, before)


@pytest.mark.parametrize("row", table(NOTHING))
def test_words_that_nothing_fits(row: Row, airflow: Any, catalog: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(row.given) == 0
    check(row, capsys.readouterr().out)


@pytest.mark.parametrize("row", table(BENCH))
def test_words_of_the_benchmark(row: Row, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(settings.PROJECT_ROOT)  # `bench` lies at the top, as it is no part of what is installed
    from bench.__main__ import _parser

    with pytest.raises(SystemExit) as end:
        _parser().parse_args(row.given)
    assert end.value.code == 2
    check(row, capsys.readouterr().err.splitlines()[-1])
