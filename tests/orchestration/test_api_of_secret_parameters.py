"""Airflow's own API server in this process, with the gate before it: what it keeps of secret parameters."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagesmith.sealing import is_sealed

VALUE = 'Pl4nted "s3cret&välue"'
KEYED = "/api/v2/dags/tools/dagRuns"


@pytest.fixture
def api(deployment, monkeypatch) -> Iterator[Any]:
    """A client of the API server that may do everything; the generator `tools` has a run without a build."""
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
    from airflow.api_fastapi.app import create_app
    from airflow.api_fastapi.auth.managers.simple.services.login import SimpleAuthManagerLogin
    from starlette.testclient import TestClient

    deployment.generator(parameters={"token": {"type": "string", "secret": True}})
    assert deployment.run().state == "failed"  # Airflow now knows the DAG
    client = TestClient(create_app("core"), raise_server_exceptions=False)
    client.headers["Authorization"] = f"Bearer {SimpleAuthManagerLogin.create_token_all_admins()}"
    yield client


def everything_airflow_keeps() -> bytes:
    home = Path(os.environ["AIRFLOW_HOME"])
    with sqlite3.connect(home / "airflow.db") as database:
        rows = "\n".join(database.iterdump()).encode()
    return rows + b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())


def start(api: Any, **conf: Any) -> Any:
    return api.post(KEYED, json={"logical_date": None, "conf": conf})


def test_airflow_keeps_the_sealed_value_only(api, capfd, caplog):
    answer = start(api, token=VALUE)
    assert answer.status_code == 200, answer.text
    assert is_sealed(answer.json()["conf"]["token"])
    kept = everything_airflow_keeps()
    assert answer.json()["conf"]["token"].encode() in kept
    said = "".join(capfd.readouterr()) + caplog.text + answer.text
    for form in (VALUE, "Pl4nted", "s3cret&v"):
        assert form.encode() not in kept
        assert form not in said


ROADS = [
    ("POST", "/api/v2/backfills", {"dag_id": "tools", "dag_run_conf": {"token": VALUE}}),
    ("POST", "/api/v2/assets/1/materialize", {"conf": {"token": VALUE}}),
    ("PATCH", f"{KEYED}/x/taskInstances/begin/-1/hitlDetails", {"params_input": {"token": VALUE}}),
    ("POST", "/api/v2/dags/imagesmith_plan/dagRuns", {"conf": {"parameters": {"token": VALUE}}}),
]


def test_what_is_no_value_or_comes_on_another_road_makes_no_run(api):
    before = len(api.get(KEYED).json()["dag_runs"])
    for conf in ({}, {"token": "abc"}, {"token": "sealed.1.abcd"}, {"x": {"token": VALUE}, "token": VALUE}):
        answer = start(api, **conf)
        assert (answer.status_code, "token" in answer.json()["detail"]) == (422, True)
    for method, path, body in ROADS:
        answer = api.request(method, path, json=body)
        assert answer.status_code == 422
        assert "token: a secret parameter is taken" in answer.json()["detail"]
    assert len(api.get(KEYED).json()["dag_runs"]) == before
    assert b"Pl4nted" not in everything_airflow_keeps()


def test_a_rebuild_of_a_build_that_had_none_needs_none(api):
    answer = start(api, rebuild="20261127-000303-1a2b3c")
    assert (answer.status_code, answer.json()["conf"]) == (200, {"rebuild": "20261127-000303-1a2b3c"})
