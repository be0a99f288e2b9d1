"""The gate before the API server: what Airflow gets to see of a request with a password, and what it never does."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from imagesmith.errors import CloudBusy, SetupError

from .front import PASSWORD, SEALED, START, Front

FIELD = "password_openstack-hotel"


@pytest.fixture
def front() -> Front:
    return Front()


def start(**conf: Any) -> dict[str, Any]:
    return {"logical_date": None, "conf": conf}


@pytest.mark.parametrize("parts", [1, 5])
def test_airflow_gets_the_sealed_credential_and_never_the_password(front: Front, parts: int) -> None:
    status, _ = front.send(start(**{FIELD: PASSWORD, "extra": "htop"}), parts=parts)
    assert status == 200
    assert front.airflow.conf == {FIELD: f"{SEALED}1", "extra": "htop"}
    assert front.airflow.lengths == [str(len(front.airflow.bodies[0]))]
    assert PASSWORD.encode() not in front.airflow.bodies[0]
    assert front.desk.exchanged == [("dstat", "openstack-hotel", PASSWORD)]
    assert front.desk.revoked == []


def test_a_wrong_password_makes_no_run(front: Front) -> None:
    status, answer = front.send(start(**{FIELD: "wrong"}))
    assert status == 422
    assert "401: wrong" in answer["detail"]
    assert "no build was started" in answer["detail"]
    assert front.airflow.bodies == []


@pytest.mark.parametrize(
    ("error", "status"),
    [(CloudBusy("openstack-hotel: log in: refused"), 502), (SetupError("openstack-hotel: no connection"), 503)],
)
def test_trouble_at_the_cloud_makes_no_run(front: Front, error: Exception, status: int) -> None:
    front.desk.error = error
    answered, answer = front.send(start(**{FIELD: PASSWORD}))
    assert answered == status
    assert str(error) in answer["detail"]
    assert front.airflow.bodies == []


@pytest.mark.parametrize("body", [start(), start(**{FIELD: ""}), start(**{FIELD: None}), {"logical_date": None}])
def test_a_missing_password_is_told_with_its_key(front: Front, body: Any) -> None:
    status, answer = front.send(body)
    assert status == 422
    assert FIELD in answer["detail"]
    assert "clouds" in answer["detail"]
    assert front.airflow.bodies == []


def test_a_cloud_left_out_needs_no_password(front: Front) -> None:
    assert front.send(start(clouds=["ec2"]))[0] == 200
    assert front.airflow.conf == {"clouds": ["ec2"]}


def test_the_password_of_a_cloud_left_out_goes_no_further(front: Front) -> None:
    assert front.send(start(clouds=["ec2"], **{FIELD: PASSWORD}))[0] == 200
    assert front.airflow.conf == {"clouds": ["ec2"]}
    assert front.desk.exchanged == []


def test_strangers_cannot_try_passwords_and_airflow_sees_none(front: Front) -> None:
    front.desk.admitted, front.airflow.status = False, 401
    assert front.send(start(**{FIELD: PASSWORD}))[0] == 401
    assert front.airflow.conf == {}
    assert front.desk.exchanged == []


@pytest.mark.parametrize("status", [400, 403, 409, 422, 500])
def test_what_was_exchanged_for_no_run_is_taken_back(front: Front, status: int) -> None:
    front.airflow.status = status
    assert front.send(start(**{FIELD: PASSWORD}))[0] == status
    assert front.desk.revoked == [f"{SEALED}1"]


def test_what_was_exchanged_is_taken_back_when_airflow_fails(front: Front) -> None:
    front.airflow.error = RuntimeError("oops")
    with pytest.raises(RuntimeError):
        front.send(start(**{FIELD: PASSWORD}))
    assert front.desk.revoked == [f"{SEALED}1"]


def test_a_sealed_credential_that_a_client_sends_is_refused(front: Front) -> None:
    """Who may read a run's conf could start a build with it."""
    status, answer = front.send(start(**{FIELD: f"{SEALED}of-another-build"}))
    assert (status, front.airflow.bodies) == (422, [])
    assert "of-another-build" not in answer["detail"]


def test_behind_a_proxy_with_a_path_of_its_own(front: Front) -> None:
    assert front.send(start(**{FIELD: PASSWORD}), path=f"/airflow{START}")[0] == 200
    assert front.airflow.conf == {FIELD: f"{SEALED}1"}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_a_password_in_another_encoding_is_seen(front: Front, encoding: str) -> None:
    body = json.dumps({"dag_run_conf": {FIELD: PASSWORD}}).encode(encoding)
    assert front.send(body, path="/api/v2/backfills")[0] == 422
    assert front.send(json.dumps(start(**{FIELD: PASSWORD})).encode(encoding))[0] == 200
    assert front.airflow.conf == {FIELD: f"{SEALED}1"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v2/backfills"),
        ("POST", "/api/v2/assets/1/materialize"),
        ("PATCH", "/api/v2/dags/dstat/dagRuns/r/taskInstances/t/-1/hitlDetails"),
        ("POST", "/api/v2/dags/~/dagRuns/bulk"),
        ("PATCH", "/api/v2/connections"),
        ("PUT", "/ui/anything"),
        ("POST", "/execution/dag-runs/dstat/r1"),
        ("POST", "/api/v2/dags/other/dagRuns"),
    ],
)
def test_every_other_road_is_closed_to_passwords(front: Front, method: str, path: str) -> None:
    body = {"dag_run_conf": {FIELD: PASSWORD}}
    status, answer = front.send(body, path=path, method=method)
    assert status == 422
    assert FIELD in answer["detail"]
    assert PASSWORD not in answer["detail"]
    assert front.airflow.bodies == []


def test_a_password_outside_of_conf_is_refused(front: Front) -> None:
    assert front.send({"conf": {FIELD: PASSWORD}, "note": {"x": [{FIELD: PASSWORD}]}})[0] == 422
    assert front.airflow.bodies == []


@pytest.mark.parametrize("body", [b'{"conf": {"password_openstack-hotel": "x"', b"\xff password_openstack-hotel"])
def test_a_body_that_cannot_be_read_but_may_hold_a_password_is_refused(front: Front, body: bytes) -> None:
    for path in (START, "/api/v2/backfills"):
        assert front.send(body, path=path)[0] == 422
    assert front.airflow.bodies == []


def test_an_escaped_key_is_the_same_key(front: Front) -> None:
    raw = b'{"dag_run_conf": {"\\u0070assword_openstack-hotel": "x"}}'
    assert front.send(raw, path="/api/v2/backfills")[0] == 422


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"{", START),
        (b"[1]", START),
        (b'{"conf": {"extra": "password_"}}', "/api/v2/dags/other/dagRuns"),
        (b'{"x": "password_openstack-hotel"}', "/api/v2/variables"),
        (b'{"conf": {"password_of_mine": "x"}}', "/api/v2/dags/other/dagRuns"),
        (b"\x00\x01", "/somewhere/else"),
    ],
)
def test_what_holds_no_password_passes_unchanged(front: Front, body: bytes, path: str) -> None:
    assert front.send(body, path=path)[0] == 200
    assert front.airflow.bodies == [body]


def test_nothing_starts_while_it_is_unknown_who_asks(front: Front) -> None:
    front.desk.known = None
    assert front.send(start(**{FIELD: PASSWORD}))[0] == 503
    assert front.send({"conf": {"password_any": "x"}}, path="/api/v2/backfills")[0] == 422
    assert front.airflow.bodies == []


def test_a_body_without_end_is_refused(front: Front) -> None:
    assert front.send(b"x" * (4 * 1024 * 1024 + 1))[0] == 413
    assert front.airflow.bodies == []


def test_reads_and_websockets_pass(front: Front) -> None:
    assert front.send(b"", method="GET")[0] == 200
    asyncio.run(front.gate({"type": "websocket", "path": START}, lambda: None, lambda message: None))
    assert front.airflow.bodies == [b"", b"other"]
