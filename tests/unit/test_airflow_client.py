"""The client of Airflow's REST API against a server that answers like it."""

import dataclasses
from typing import Any

import pytest

from imagesmith.airflow_client import AirflowClient, NoSuchGenerator, NoSuchRun
from imagesmith.errors import DefinitionError, SetupError, Transient
from imagesmith.settings import AirflowApi


@pytest.fixture
def client(airflow: Any) -> AirflowClient:
    return AirflowClient(airflow.api)


def test_starts_a_run_with_the_conf_it_is_given(airflow: Any, client: AirflowClient) -> None:
    run = client.trigger("dstat", {"extra": "vim"})
    assert (run.dag_id, run.state) == ("dstat", "queued")
    assert airflow.runs["dstat", run.run_id]["conf"] == {"extra": "vim"}
    assert client.run("dstat", run.run_id) == run


def test_names_the_likely_generator_when_there_is_none(client: AirflowClient) -> None:
    with pytest.raises(NoSuchGenerator, match=r"dsta: Airflow has no such generator; did you mean dstat\?"):
        client.trigger("dsta", {})


def test_lists_the_generators_and_not_our_own_dags(airflow: Any, client: AirflowClient) -> None:
    airflow.add_dag("web")
    airflow.add_dag("somebody_elses", tags=())
    assert client.generators() == ["dstat", "web"]


def test_refuses_to_start_what_is_paused(airflow: Any, client: AirflowClient) -> None:
    airflow.add_dag("dstat", paused=True)
    with pytest.raises(DefinitionError, match="dstat: its DAG is paused.* switch it on at http"):
        client.trigger("dstat", {})
    assert airflow.runs == {}


@pytest.mark.parametrize(
    ("status", "detail", "kind", "words"),
    [
        (
            400,
            "Invalid input for param count: 'x' is not of type 'integer'\n\nFailed validating 'type' in schema",
            DefinitionError,
            "dstat: Invalid input for param count: 'x' is not of type 'integer'; see",
        ),
        (422, [{"loc": ["body", "conf"], "msg": "Input should be an object"}], DefinitionError, "conf: Input should"),
        (403, "Forbidden", SetupError, "does not let user admin do this .Forbidden.; check IMAGESMITH_AIRFLOW_USER"),
        (409, {"reason": "Unique constraint violation"}, Transient, "answered 409: Unique constraint violation"),
        (500, "Internal Server Error", Transient, "answered 500: Internal Server Error; try again"),
    ],
)
def test_passes_on_airflows_own_reason(
    airflow: Any, client: AirflowClient, status: int, detail: Any, kind: type[Exception], words: str
) -> None:
    client.generators()  # logged in
    airflow.refusal = (status, {"detail": detail})
    with pytest.raises(kind, match=words) as caught:
        client._call("POST", "/dags/dstat/dagRuns", {}, subject="dstat")
    assert "schema" not in str(caught.value)


def test_says_how_to_start_an_airflow_that_is_not_there() -> None:
    nobody = AirflowClient(AirflowApi(url="http://127.0.0.1:9", username="admin", password="x"))
    with pytest.raises(SetupError, match=r"127.0.0.1:9 \(.*[Rr]efused\); start it with `make up`"):
        nobody.generators()


def test_says_where_a_password_comes_from(airflow: Any) -> None:
    with pytest.raises(SetupError, match="no password for Airflow is known; start this machine's with `make up`"):
        AirflowClient(dataclasses.replace(airflow.api, password=None)).generators()
    assert airflow.calls == []


def test_says_that_the_password_is_wrong(airflow: Any) -> None:
    with pytest.raises(SetupError, match="does not let user admin do this .Invalid credentials."):
        AirflowClient(dataclasses.replace(airflow.api, password="wrong")).generators()


def test_logs_in_again_when_its_token_has_expired(airflow: Any, client: AirflowClient) -> None:
    client.generators()
    airflow.tokens.clear()
    assert client.generators() == ["dstat"]


def test_marks_a_run_failed(airflow: Any, client: AirflowClient) -> None:
    run = client.trigger("dstat", {})
    client.fail_run("dstat", run.run_id)
    assert client.run("dstat", run.run_id).ended
    assert airflow.runs["dstat", run.run_id]["state"] == "failed"


def test_tells_a_run_that_is_not_there(client: AirflowClient) -> None:
    with pytest.raises(NoSuchRun, match="does not know run r1 of dstat"):
        client.run("dstat", "r1")


def test_finds_runs_by_their_whole_id(client: AirflowClient) -> None:
    run = client.trigger("dstat", {})
    assert client.find_runs(run.run_id) == [run]
    assert client.find_runs(run.run_id[:-3]) == []


def test_reads_why_tasks_failed_from_their_logs(airflow: Any, client: AirflowClient) -> None:
    run = client.trigger("dstat", {})
    airflow.tasks = {
        "begin": {"task_id": "begin", "state": "success", "try_number": 1},
        "ec2.launch_vm": {"task_id": "ec2.launch_vm", "state": "failed", "try_number": 1, "error": "no connection"},
        "publish": {"task_id": "publish", "state": "failed", "try_number": 1},
    }
    assert client.failures("dstat", run.run_id) == {"ec2.launch_vm": "no connection", "publish": ""}


def test_reads_what_a_task_returned(airflow: Any, client: AirflowClient) -> None:
    airflow.results["ask"] = {"version": "1"}
    assert client.result("imagesmith_plan", "r1", "ask") == {"version": "1"}


def test_gives_an_address_of_the_run_that_a_browser_can_open(client: AirflowClient) -> None:
    assert client.run_address("dstat", "manual__2026+00:00").endswith("/dags/dstat/runs/manual__2026%2B00%3A00")
