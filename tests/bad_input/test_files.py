"""Bad files in include/: one finding with line, key and cure, the other generators untouched, nothing begun."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagesmith.catalog.store import Catalog
from imagesmith.cli import main
from imagesmith.errors import DefinitionError
from imagesmith.generator import Loaded, load_all
from imagesmith.steps.begin import Request, begin

from .row import Row, check, table
from .rows_of_clouds import ROWS as CLOUDS
from .rows_of_clouds import WHOLE
from .rows_of_disk import ROWS as DISK
from .rows_of_generators import BASE
from .rows_of_generators import ROWS as GENERATORS

GOOD_CLOUDS = "ec2: {type: ec2}\nhotel: {type: openstack}\nsite: {type: nimbus}\n"


@pytest.fixture
def include(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a generator `good` that nothing is wrong with."""
    include = tmp_path / "include"
    for folder in ("generators", "scripts", "files"):
        (include / folder).mkdir(parents=True)
    (include / "clouds.yaml").write_text(GOOD_CLOUDS)
    (include / "scripts" / "ok.sh").write_text("#!/bin/sh\ntrue\n")
    for name in ("motd", "motd2"):
        (include / "files" / name).write_text("hello\n")
    (include / "generators" / "good.yaml").write_text(BASE)
    monkeypatch.setenv("IMAGESMITH_INCLUDE", str(include))
    monkeypatch.chdir(tmp_path)
    return include


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    """One for all rows: none of them may write to it."""
    one = Catalog(f"sqlite:///{tmp_path_factory.mktemp('catalog') / 'catalog.db'}")
    one.upgrade()
    yield one
    one.close()


def contents(folder: Path) -> dict[str, str]:
    """What lies below the folder: kind and content of everything."""
    found = {}
    for path in sorted(folder.rglob("*")):
        plain = path.is_file() and not path.is_symlink()
        found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest() if plain else str(path.lstat().st_mode)
    return found


def refused(row: Row, include: Path, catalog: Catalog, capsys: pytest.CaptureFixture[str]) -> Loaded:
    """What is loaded all the same, after all that holds for every file."""
    before = contents(include.parent)
    loaded = load_all(include)
    lines = [str(finding) for finding in loaded.findings]
    check(row, "\n".join(lines))
    assert all(line.isprintable() and len(line) < 2_000 for line in lines)
    assert main(["validate"]) == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines()[:-1] == lines
    assert shown.err == ""
    assert "x" not in loaded.generators
    with pytest.raises(DefinitionError, match=r"can't be built; run `imagesmith validate`"):
        begin(request("x"), load=lambda: loaded, catalog=catalog)
    assert catalog.builds() == []
    assert contents(include.parent) == before
    return loaded


def request(generator: str) -> Request:
    return Request(generator=generator, dag_id=generator, run_id="r1", how="manual", by="ann", parameters={})


@pytest.mark.parametrize("row", table(GENERATORS))
def test_generator_file(row: Row, include: Path, catalog: Catalog, capsys: pytest.CaptureFixture[str]) -> None:
    text = row.given if isinstance(row.given, bytes) else row.given.encode()
    (include / "generators" / "x.yaml").write_bytes(text)
    assert list(refused(row, include, catalog, capsys).generators) == ["good"]


@pytest.mark.parametrize("row", table(DISK))
def test_file_beside(row: Row, include: Path, catalog: Catalog, capsys: pytest.CaptureFixture[str]) -> None:
    row.given(include)
    assert list(refused(row, include, catalog, capsys).generators) == ["good"]


@pytest.mark.parametrize("row", table(CLOUDS))
def test_cloud(row: Row, include: Path, catalog: Catalog, capsys: pytest.CaptureFixture[str]) -> None:
    (include / "clouds.yaml").write_text(row.given + GOOD_CLOUDS)
    (include / "generators" / "x.yaml").write_text(BASE.replace("ec2:", "bad:"))
    loaded = refused(row, include, catalog, capsys)
    assert list(loaded.generators) == ["good"]
    assert sorted(loaded.clouds) == ["ec2", "hotel", "site"]


@pytest.mark.parametrize("row", table(WHOLE))
def test_clouds_file(row: Row, include: Path, catalog: Catalog, capsys: pytest.CaptureFixture[str]) -> None:
    (include / "clouds.yaml").write_bytes(row.given)
    loaded = refused(row, include, catalog, capsys)
    assert loaded.clouds == {}


@pytest.mark.parametrize("row", table(GENERATORS))
def test_a_file_costs_little_however_hostile(row: Row, include: Path) -> None:
    """The scheduler's parsing is shared by all generators."""
    import time

    text = row.given if isinstance(row.given, bytes) else row.given.encode()
    (include / "generators" / "x.yaml").write_bytes(text)
    began = time.process_time()
    load_all(include, only="x")
    assert time.process_time() - began < 5
