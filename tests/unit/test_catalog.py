"""What of the catalog can be told without a database server: its address, its messages, its column types."""

import math
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import StatementError

from imagesmith.catalog.database import Database
from imagesmith.catalog.records import NewTarget
from imagesmith.catalog.schema import JsonText, PlainText, UtcTime
from imagesmith.catalog.store import Catalog
from imagesmith.errors import SetupError

DIALECT = sqlite.dialect()
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_default_catalog_is_a_file_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IMAGESMITH_CATALOG_URL", raising=False)
    monkeypatch.setenv("IMAGESMITH_HOME", str(tmp_path / "home"))
    with pytest.raises(SetupError, match="no such file yet"):
        Catalog().check()
    assert (tmp_path / "home").is_dir() and list((tmp_path / "home").iterdir()) == []
    Catalog().upgrade()
    Catalog().check()
    assert (tmp_path / "home" / "catalog.db").is_file()


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg2", "postgresql+asyncpg", "postgres"])
def test_any_name_of_postgresql_gets_the_driver_that_is_installed(scheme: str) -> None:
    database = Database(f"{scheme}://u:p@127.0.0.1/catalog")
    assert database.url.drivername == "postgresql+psycopg2"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://root:s3cret@127.0.0.1/catalog", "cannot live on mysql"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("no url s3cret", "no database URL"),
        ("postgresql://u:s3cret@127.0.0.1:port/x", "no database URL"),
    ],
)
def test_an_address_the_catalog_cannot_use_is_refused_with_the_cure(url: str, reason: str) -> None:
    with pytest.raises(SetupError, match=reason) as refused:
        Database(url)
    assert "IMAGESMITH_CATALOG_URL" in str(refused.value) and "s3cret" not in str(refused.value)


def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(SetupError, match=r"u:\*\*\*@127\.0\.0\.1:1/x") as refused:
        Catalog("postgresql://u:s3cret@127.0.0.1:1/x").check()
    assert "s3cret" not in str(refused.value)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    path.write_text("somebody's notes, long enough to be looked at" * 50)
    before = path.read_bytes()
    for use in (Catalog(f"sqlite:///{path}").check, Catalog(f"sqlite:///{path}").upgrade):
        with pytest.raises(SetupError, match="not a database"):
            use()
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="can be written"):
        Catalog(f"sqlite:///{tmp_path}/file/catalog.db")


def test_a_path_with_strange_letters_works(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path}/50% größer, 'quoted'/catalog.db")
    catalog.upgrade()
    catalog.check()
    assert catalog.builds() == []


def test_what_is_written_never_shows_in_an_error(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path}/catalog.db")
    catalog.upgrade()
    with pytest.raises(StatementError) as refused:
        catalog.begin_build(
            build_id="b",
            generator="g",
            version="v",
            content={},
            dag_id="d",
            run_id="r",
            requested_by="anna",
            requested_how="api",
            plan={"parameters": {"token": "s3cret"}},
            deadline=datetime(2026, 1, 1),
            targets=[NewTarget("ec2")],
        )
    assert "zone" in str(refused.value) and "s3cret" not in str(refused.value)
    assert catalog.builds() == []


def test_times_are_utc_on_both_sides() -> None:
    east = timezone(timedelta(hours=5, minutes=45))
    bound = UtcTime().process_bind_param(NOON.astimezone(east), DIALECT)
    assert bound == NOON and bound.utcoffset() == timedelta(0)
    assert UtcTime().process_result_value(NOON.replace(tzinfo=None), DIALECT) == NOON
    with pytest.raises(ValueError, match="zone"):
        UtcTime().process_bind_param(NOON.replace(tzinfo=None), DIALECT)


def test_text_loses_only_what_no_database_holds() -> None:
    assert PlainText().process_bind_param("é\0\udc80日", DIALECT) == "é\N{REPLACEMENT CHARACTER}?日"


def test_documents_come_back_equal_and_in_order() -> None:
    document = {"z": ["\0", "é"], "a": {"n": None, "i": 2**60, "f": 0.1, "b": True}}
    again = JsonText().process_result_value(JsonText().process_bind_param(document, DIALECT), DIALECT)
    assert again == document and list(again or {}) == ["z", "a"]
    with pytest.raises(ValueError, match="JSON"):
        JsonText().process_bind_param({"a": math.nan}, DIALECT)
