"""Bad values in the environment, and in the files that stand for it: the variable and the cure, and nothing begun."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from imagesmith import settings
from imagesmith.catalog import database
from imagesmith.cli import main
from imagesmith.errors import SetupError
from imagesmith.local import keys
from imagesmith.local.first_start import prepare

from .row import Row, check, table
from .rows_of_environment import COMMANDS, FIRST_START, KEYS, PATIENCE, RECORDED, SECRETS, VARIABLES


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the rows' FILE and FOLDER are, and a deployment that is well."""
    (tmp_path / "file").write_text("hello\n")
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("IMAGESMITH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("IMAGESMITH_INCLUDE", str(tmp_path / "include"))
    for name in ("CATALOG_URL", "SECRET", "WORKER_PATIENCE", "AIRFLOW_PORT", "SANDBOX_PORT"):
        monkeypatch.delenv(f"IMAGESMITH_{name}", raising=False)
    monkeypatch.setattr(database, "RETRY_FOR_S", 0.5)
    return tmp_path


@pytest.fixture(scope="module")
def other_program() -> Iterator[str]:
    """A server that is no Airflow and says yes to all."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Welcome!</html>")

        do_GET = do_POST  # noqa: N815 - the name http.server looks for

        def log_message(self, *_args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("row", table(COMMANDS))
def test_a_command(
    row: Row,
    airflow: Any,
    place: Path,
    other_program: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    value, words = row.given
    for name, stands_for in {"FILE": place / "file", "FOLDER": place / "folder", "PROGRAM": other_program}.items():
        value = value.replace(name, str(stands_for))
    variable = next((known for start, known in VARIABLES.items() if row.id.startswith(start)), row.where)
    monkeypatch.setenv(variable, value)
    assert main(words) == 1
    shown = capsys.readouterr()
    check(row, shown.err)
    assert shown.err.startswith("imagesmith: ")
    assert len(shown.err.splitlines()) == 1
    assert shown.err.strip().isprintable()
    assert "hunter2" not in shown.err + shown.out
    assert airflow.runs == {}
    assert (place / "file").read_text() == "hello\n"
    assert not (place / "home").exists()


@pytest.mark.parametrize("row", table(PATIENCE))
def test_the_patience_of_workers(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGESMITH_WORKER_PATIENCE", row.given)
    with pytest.raises(SetupError) as refusal:
        settings.worker_patience_s()
    check(row, str(refusal.value))
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("row", table(SECRETS))
def test_the_deployments_secret(row: Row, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from operators.deployment import this_deployment

    monkeypatch.setenv("IMAGESMITH_SECRET", row.given)
    this_deployment.cache_clear()
    with pytest.raises(SetupError) as refusal:
        this_deployment()
    check(row, str(refusal.value))
    assert not row.given or row.given not in str(refusal.value)
    this_deployment.cache_clear()


@pytest.mark.parametrize("row", table(RECORDED))
def test_the_recorded_environment(row: Row, airflow: Any, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = place / "home" / "airflow" / "environment"
    path.parent.mkdir(parents=True)
    path.write_bytes(row.given)
    assert main(["status"]) == 1
    check(row, capsys.readouterr().err)
    assert path.read_bytes() == row.given


@pytest.mark.parametrize("row", table(KEYS))
def test_the_deployments_keys(row: Row, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(row.given)
    with pytest.raises(SetupError) as refusal:
        keys.load_or_make(path)
    check(row, str(refusal.value))
    assert "hunter2" not in str(refusal.value)
    assert path.read_bytes() == row.given


@pytest.mark.parametrize("row", table(FIRST_START))
def test_the_first_start(row: Row, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    well = {
        "AIRFLOW_ADMIN_PASSWORD": "hunter2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(place / "passwords.json"),
        "IMAGESMITH_CATALOG_URL": f"sqlite:///{place / 'catalog.db'}",
    }
    for name, value in {**well, **row.given}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SetupError) as refusal:
        prepare()
    check(row, str(refusal.value))
    assert not (place / "passwords.json").exists()


def test_numbers_that_are_well_are_taken(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text, patience_s in {"": 90, "0": 0, "0.5": 0.5, "604800": 604_800}.items():
        monkeypatch.setenv("IMAGESMITH_WORKER_PATIENCE", text)
        assert settings.worker_patience_s() == patience_s
    for text, port in {"": 4599, "1": 1, "65535": 65_535}.items():
        monkeypatch.setenv("IMAGESMITH_SANDBOX_PORT", text)
        assert settings.sandbox_port() == port
