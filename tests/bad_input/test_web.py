"""Hostile input: none is executed, none is stored where it should not be, none comes back as anything but data."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..web.conftest import Web  # noqa: TID252  # the fixtures' own type lies with them
from .row import Row, check, table
from .rows_of_web import DATA, GOOD, REFUSED


def under(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("row", table(REFUSED))
def test_what_is_refused_leaves_nothing(web: Web, row: Row, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    before = under(web.include.parent)
    method, path, more = row.given
    answer = web.ask(method, path, **more)
    problem = json.dumps(answer.json(), ensure_ascii=False).replace("\\\\", "\\")
    check(row, f"{answer.status_code} {problem}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in answer.headers
    assert len(answer.content) < 20_000
    after = under(web.include.parent)
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert {name for name in changed if "catalog.db" not in name} == set()
    assert [call for call in web.host.calls if call[1] != "GET"] == []
    assert [record.getMessage() for record in caplog.records if "\n" in record.getMessage()] == []


@pytest.mark.parametrize("row", table(DATA))
def test_what_is_data_stays_data(web: Web, row: Row) -> None:
    answer = web.ask("POST", "/generators", json={"name": "new", "document": {**GOOD, row.where: row.given}})
    assert answer.status_code == 201, answer.text
    assert answer.json()["document"] == {**GOOD, row.where: row.given}
    assert answer.headers["content-type"] == "application/json"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "set-cookie" not in answer.headers
    files = sorted(path.name for path in (web.include / "generators").iterdir())
    assert files == ["new.yaml", "secret-tools.yaml", "tools.yaml"]
    listed = next(each for each in web.json("/generators")["items"] if each["name"] == "new")
    assert listed["description"] == row.given.strip()


def test_a_body_that_comes_in_pieces_is_bounded_as_well(web: Web) -> None:
    sent = []

    def pieces() -> Iterator[bytes]:
        for _ in range(64):
            sent.append(1)
            yield b"x" * (1 << 16)

    answer = web.ask("POST", "/builds", content=pieces(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_there_are_enough_of_them() -> None:
    assert len(REFUSED) + len(DATA) >= 40
