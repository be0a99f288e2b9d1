"""Builds started, cancelled and retried: what Airflow is asked for, and what its refusals become."""

from __future__ import annotations

from typing import Any

import pytest

from imagesmith.catalog.records import BuildState
from imagesmith.core import TargetState

from .conftest import Web, answer

TASKS = [
    f"{cloud}.{task}" for cloud in ("ec2", "hotel") for task in ("launch_vm", "customize", "verify_image", "terminate")
]


def start(web: Web, **wanted: Any) -> Any:
    return web.ask("POST", "/builds", json={"generator": "tools", **wanted})


def test_a_build_is_a_run_with_its_choices_in_conf(web: Web) -> None:
    begun = start(web, clouds=["ec2"], parameters={"extra": "vim"}, note="for the demo")
    assert begun.status_code == 202
    assert web.host.calls[-1] == (
        "ann",
        "POST",
        "/api/v2/dags/tools/dagRuns",
        {"logical_date": None, "conf": {"extra": "vim", "clouds": ["ec2"]}, "note": "for the demo"},
    )
    run = web.json(begun.headers["Location"].removeprefix("/imagesmith/api/v1"))
    assert run == {**begun.json(), "build": None}
    assert (run["state"], run["url"]) == ("queued", f"http://airflow/dags/tools/runs/{run['run_id']}")


def test_a_password_goes_where_the_gate_takes_it_and_is_in_no_answer(web: Web) -> None:
    begun = start(web, passwords={"hotel": "hunter2"})
    assert web.host.calls[-1][3]["conf"] == {"password_hotel": "hunter2"}
    assert "hunter2" not in begun.text
    for wanted in ({"passwords": {"hotel": ["hunter2"]}}, {"passwords": "hunter2"}, {"parameters": "hunter2"}):
        refused = start(web, **wanted)
        assert (refused.status_code, "hunter2" in refused.text) == (422, False)


@pytest.mark.parametrize("name", ["clouds", "password_hotel", "password_"])
def test_a_parameter_takes_no_others_place(web: Web, name: str) -> None:
    refused = start(web, parameters={name: "x"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, f"parameters.{name}")
    assert web.host.calls == []


@pytest.mark.parametrize(
    ("theirs", "status", "says"),
    [
        (answer(400, "Invalid input for param clouds: 'mars' is not one of\n\n{schema}"), 422, "'mars' is not one of"),
        (answer(422, [{"loc": ["body", "conf"], "msg": "wrong", "input": "x"}]), 422, "conf: wrong"),
        (answer(403, "Forbidden"), 403, "Airflow does not let you start tools"),
        (answer(409, {"reason": "Unique constraint violation", "statement": "SELECT"}), 409, "Unique constraint"),
        (answer(502, "hotel: Keystone does not answer; no build was started"), 502, "Keystone does not answer"),
        (answer(503, "hotel: no connection; no build was started"), 503, "no connection"),
        (answer(500, "oops"), 502, "oops"),
    ],
)
def test_what_airflow_refuses(web: Web, theirs: Any, status: int, says: str) -> None:
    web.host.refusal = theirs
    refused = start(web)
    assert refused.status_code == status
    assert says in refused.json()["detail"]
    assert "schema" not in refused.text and "SELECT" not in refused.text


def test_a_generator_that_could_not_begin_is_not_started(web: Web) -> None:
    web.host.unread = {"tools"}
    early = start(web)
    assert (early.status_code, early.headers["Retry-After"]) == (409, "30")
    web.host.unread, web.host.paused = set(), {"tools"}
    assert "unpause" in start(web).json()["detail"]
    assert [call[1] for call in web.host.calls] == ["GET", "GET"]


def test_cancel_marks_the_run_failed(web: Web) -> None:
    build_id = web.built(state=BuildState.RUNNING, ec2=TargetState.LAUNCHING)
    done = web.ask("POST", f"/builds/{build_id}/cancel")
    assert (done.status_code, done.json()["state"]) == (202, "failed")
    path = "/api/v2/dags/tools/dagRuns/manual__of_0?update_mask=state"
    assert web.host.calls[-1][1:] == ("PATCH", path, {"state": "failed"})
    assert done.json()["build"]["build_id"] == build_id
    again = web.ask("POST", f"/builds/{build_id}/cancel")
    assert (again.status_code, "is over" in again.json()["detail"]) == (409, True)


def test_a_retry_is_cancelled_before_it_has_begun(web: Web) -> None:
    build_id = web.built(state=BuildState.FAILED, ec2=TargetState.FAILED)
    web.host.runs = dict.fromkeys(web.host.runs, "queued")
    web.host.tries, web.host.task_state = {"begin": 2}, "scheduled"
    done = web.ask("POST", f"/builds/{build_id}/cancel")
    assert (done.status_code, done.json()["state"]) == (202, "failed")
    assert web.host.calls[-1][1] == "PATCH"


def test_a_build_whose_end_airflow_has_yet_to_note_is_over(web: Web) -> None:
    build_id = web.built(state=BuildState.SUCCESSFUL, ec2=TargetState.SUCCESSFUL)
    web.host.runs = dict.fromkeys(web.host.runs, "running")
    web.host.tries, web.host.task_state = {"begin": 1}, "success"
    refused = web.ask("POST", f"/builds/{build_id}/cancel")
    assert (refused.status_code, "is over: successful" in refused.json()["detail"]) == (409, True)


def test_retry_clears_the_failed_clouds_alone(web: Web) -> None:
    build_id = web.built(state=BuildState.FAILED, ec2=TargetState.FAILED, hotel=TargetState.SUCCESSFUL)
    web.host.tasks = ["begin", *TASKS, "publish"]
    assert web.ask("POST", f"/builds/{build_id}/retry").status_code == 202
    assert web.host.calls[-1][1:] == (
        "POST",
        "/api/v2/dags/tools/clearTaskInstances",
        {
            "dry_run": False,
            "only_failed": False,
            "reset_dag_runs": True,
            "dag_run_id": "manual__of_0",
            "task_ids": ["begin", "ec2.customize", "ec2.launch_vm", "ec2.terminate", "ec2.verify_image", "publish"],
        },
    )


@pytest.mark.parametrize(
    ("state", "targets", "says"),
    [
        (BuildState.RUNNING, {"ec2": TargetState.FAILED}, "is not over yet"),
        (BuildState.SUCCESSFUL, {"ec2": TargetState.SUCCESSFUL}, "nothing to retry"),
        (BuildState.FAILED, {"hotel": TargetState.FAILED}, "hotel: the password was for one build"),
    ],
)
def test_what_cannot_be_retried(web: Web, state: BuildState, targets: dict[str, Any], says: str) -> None:
    build_id = web.built(state=state, **targets)
    refused = web.ask("POST", f"/builds/{build_id}/retry")
    assert (refused.status_code, says in refused.json()["detail"]) == (409, True)
    assert [call[1] for call in web.host.calls] == ["GET"]


def test_a_build_whose_run_is_gone(web: Web) -> None:
    build_id = web.built(state=BuildState.RUNNING, ec2=TargetState.LAUNCHING)
    web.host.runs.clear()
    for what in ("cancel", "retry"):
        refused = web.ask("POST", f"/builds/{build_id}/{what}")
        assert (refused.status_code, "no longer in Airflow" in refused.json()["detail"]) == (409, True)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ("Invalid input for param clouds: 'mars' is not one of ['ec2']", "clouds"),
        ("Invalid input for param extra: 1 is not of type 'string'", "parameters.extra"),
        ("hotel asks for its password at every build: give it as password_hotel, or take it out", "passwords.hotel"),
        ("the DAG has an error", ""),
    ],
)
def test_what_airflow_refuses_is_said_of_our_own_field(web: Web, said: str, field: str) -> None:
    web.host.refusal = answer(400, said)
    problem = web.ask("POST", "/builds", json={"generator": "tools"}).json()
    assert problem["errors"][0]["field"] == field
    assert "password_" not in problem["detail"]
