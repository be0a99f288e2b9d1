"""The gate before the API server and secret parameters: what Airflow gets to see of them, and what it never does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imagesmith.errors import SetupError
from imagesmith.web.passwords import PasswordGate

from .front import Front

VALUE = "hunter2-hunter2"
START = "/api/v2/dags/keyed/dagRuns"


@pytest.fixture
def front() -> Front:
    return Front()


def start(**conf: Any) -> dict[str, Any]:
    return {"logical_date": None, "conf": conf}


@pytest.mark.parametrize("parts", [1, 7])
def test_airflow_gets_the_sealed_value_and_never_the_value(front: Front, parts: int) -> None:
    assert front.send(start(token=VALUE, extra="htop"), path=START, parts=parts)[0] == 200
    assert front.airflow.conf == {"token": "sealed.1.keyed.token", "extra": "htop"}
    assert VALUE.encode() not in front.airflow.bodies[0]
    assert front.airflow.lengths == [str(len(front.airflow.bodies[0]))]
    assert front.desk.values == {"token": VALUE}


def test_the_same_name_is_an_ordinary_parameter_of_another_generator(front: Front) -> None:
    assert front.send(start(token=VALUE), path="/api/v2/dags/plain/dagRuns")[0] == 200
    assert front.airflow.conf == {"token": VALUE}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "give it as token in `conf`"),
        (None, "give it as token in `conf`"),
        ("abc", "has fewer than 4 characters"),
        (12345678, "is not text"),
        ([VALUE], "is not text"),
        (f"{VALUE}\0", "holds a control character"),
        (f"{VALUE * 3000}", "more than 32768"),
        (f"sealed.1.{VALUE}", "the sealed value of another build"),
    ],
)
def test_what_can_be_no_value_makes_no_run_and_is_not_repeated(front: Front, given: Any, words: str) -> None:
    status, answer = front.send(start(token=given), path=START)
    assert (status, front.airflow.bodies) == (422, [])
    assert words in answer["detail"] and "token" in answer["detail"]
    assert VALUE not in answer["detail"]


def test_a_missing_value_is_told_with_its_key(front: Front) -> None:
    for body in (start(), {"logical_date": None}, {"conf": "x"}):
        status, answer = front.send(body, path=START)
        assert (status, front.airflow.bodies) == (422, [])
        assert "keyed asks for the secret parameter token" in answer["detail"]


def test_a_rebuild_brings_what_its_build_had_which_the_gate_does_not_know(front: Front) -> None:
    assert front.send(start(rebuild="20261127-000303-1a2b3c"), path=START)[0] == 200
    assert front.airflow.conf == {"rebuild": "20261127-000303-1a2b3c"}
    front.airflow.bodies.clear()
    assert front.send(start(rebuild="20261127-000303-1a2b3c", token=VALUE), path=START)[0] == 200
    assert front.airflow.conf["token"] == "sealed.1.keyed.token"
    for conf in ({"rebuild": "x", "token": "abc"}, {"rebuild": None}, {"rebuild": ""}):
        assert front.send(start(**conf), path=START)[0] == 422


def test_strangers_get_no_value_sealed_and_airflow_sees_none(front: Front) -> None:
    front.desk.admitted, front.airflow.status = False, 401
    assert front.send(start(token=VALUE), path=START)[0] == 401
    assert front.airflow.conf == {}
    assert front.desk.values == {}


def test_trouble_at_the_desk_makes_no_run(front: Front) -> None:
    front.desk.error = SetupError("IMAGESMITH_SECRET is not set")
    assert front.send(start(token=VALUE), path=START)[0] == 503
    assert front.airflow.bodies == []


@pytest.mark.parametrize(
    "body",
    [
        {"conf": {"extra": {"token": VALUE}, "token": VALUE}},
        {"conf": {"token": VALUE}, "note": [{"token": VALUE}]},
        {"conf": [{"token": VALUE}]},
    ],
)
def test_a_value_elsewhere_than_in_conf_itself_is_refused(front: Front, body: Any) -> None:
    status, answer = front.send(body, path=START)
    assert (status, front.airflow.bodies) == (422, [])
    assert "taken in `conf` itself only" in answer["detail"]
    assert VALUE not in answer["detail"]


@pytest.mark.parametrize("body", [b'{"conf": {"token": "hunter2-hunter2"', b"\xff", b""])
def test_a_body_that_cannot_be_read_is_refused(front: Front, body: bytes) -> None:
    assert front.send(body, path=START)[0] == 422
    assert front.airflow.bodies == []


ROADS = [
    ("POST", "/api/v2/backfills", {"dag_id": "keyed", "dag_run_conf": {"token": VALUE}}),
    ("POST", "/api/v2/backfills/dry_run", {"dag_run_conf": {"x": [{"token": VALUE}]}}),
    ("POST", "/api/v2/assets/1/materialize", {"conf": {"token": VALUE}}),
    ("POST", "/api/v2/dags/~/dagRuns/bulk", {"actions": [{"entities": [{"conf": {"token": VALUE}}]}]}),
    ("PATCH", f"{START}/r/taskInstances/t/-1/hitlDetails", {"params_input": {"token": VALUE}}),
    ("POST", "/execution/dag-runs/keyed/r1", {"conf": {"token": VALUE}}),
    ("POST", "/api/v2/dags/plain/../keyed/dagRuns/", {"conf": {"token": VALUE}}),
    ("PUT", "/ui/anything", {"params": {"token": VALUE}}),
]


@pytest.mark.parametrize(("method", "path", "body"), ROADS, ids=[f"{road[0]} {road[1]}" for road in ROADS])
def test_every_other_road_is_closed_to_secret_parameters(front: Front, method: str, path: str, body: Any) -> None:
    raw = json.dumps(body)
    for form in (raw.encode(), raw.replace("token", "t\\u006fken").encode(), raw.encode("utf-16")):
        status, answer = front.send(form, path=path, method=method)
        assert (status, front.airflow.bodies) == (422, [])
        assert "token: a secret parameter is taken only where a single build is started" in answer["detail"]
        assert VALUE not in answer["detail"]


def test_the_question_to_the_clouds_takes_none(front: Front) -> None:
    body = start(generator="keyed", parameters={"token": VALUE})
    status, answer = front.send(body, path="/api/v2/dags/imagesmith_plan/dagRuns")
    assert (status, front.airflow.bodies) == (422, [])
    assert "taken in `conf` itself only" in answer["detail"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v2/connections", {"token": VALUE, "extra": {"token": VALUE}}),
        ("/api/v2/backfills", {"dag_run_conf": {"token": None, "extra": VALUE}}),
        ("/api/v2/backfills", {"dag_id": "token"}),
    ],
)
def test_what_is_no_secret_parameter_passes_unchanged(front: Front, path: str, body: Any) -> None:
    assert front.send(body, path=path)[0] == 200
    assert front.airflow.bodies == [json.dumps(body).encode()]


def test_nothing_starts_while_it_is_unknown_what_is_secret(front: Front) -> None:
    front.desk.secrets = None
    status, answer = front.send(start(token=VALUE), path=START)
    assert status == 503
    assert "include/generators/keyed.yaml can't be read" in answer["detail"]
    assert front.send({"dag_run_conf": {"any": "x"}}, path="/api/v2/backfills")[0] == 422
    assert front.airflow.bodies == []


def test_with_a_password_both_are_taken_and_the_password_is_exchanged_last(front: Front) -> None:
    class Both(type(front.desk)):  # type: ignore[misc]
        def clouds_of(self, generator: str) -> tuple[str, ...]:
            return ("openstack-hotel",)

    front.desk = Both()
    front.gate = PasswordGate(front.airflow, front.desk)
    password = {"password_openstack-hotel": "correct horse"}
    assert front.send(start(**password, token="abc"), path=START)[0] == 422
    assert front.desk.exchanged == []
    assert front.send(start(**password, token=VALUE), path=START)[0] == 200
    assert front.airflow.conf == {"token": "sealed.1.keyed.token", "password_openstack-hotel": "sealed.1.1"}
