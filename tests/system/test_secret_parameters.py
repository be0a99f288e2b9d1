"""Secret parameters that are stored nowhere: builds with one on every way in, then a search for it everywhere."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from .airflow_rest import until
from .airflow_ui import AirflowUi, browser
from .conftest import Deployment, file_environment
from .evidence import Evidence, Recorded, keep, look_at_all_of, watched_processes
from .simulated_builds import CLOUDS
from .traces import files_under, tables_of, traces

pytestmark = pytest.mark.system

CLOUD = "ec2"
VALUE = 'S3cret "tok&ên"/+?-of-ours'
REVEAL = "# sandbox: print the token is\n# sandbox: reveal token\n"
SCRIPTS = {
    "keyed": REVEAL,
    "keyed-fails": f"{REVEAL}# sandbox: exit 3\n",
    "keyed-long": f"{REVEAL}# sandbox: take 600\n",
}


@pytest.fixture(scope="module")
def rest(deployment: Deployment) -> Iterator[Recorded]:
    """Airflow with three generators that have a secret parameter, and scripts that print it."""
    paths = [deployment.include / "generators" / f"{name}.yaml" for name in SCRIPTS]
    for path in paths:
        document = {
            "name": path.stem,
            "script": f"#!/bin/sh\n{SCRIPTS[path.stem]}",
            "parameters": {"token": {"type": "string", "secret": True, "description": "for the registry"}},
            "verify": False,
            "clouds": {CLOUD: CLOUDS[CLOUD]},
        }
        path.write_text(json.dumps(document))
    rest = Recorded(deployment)
    for name in SCRIPTS:
        until(lambda name=name: rest.has_dag(name), f"{name} is there", limit_s=60)
    yield rest
    for path in paths:
        path.unlink()


@pytest.fixture(scope="module")
def evidence(deployment: Deployment, rest: Recorded) -> Evidence:
    """What was seen during seven builds with the value, started on every way in, with refused ones among them."""
    seen = Evidence()
    rest.evidence = seen
    with watched_processes(seen):
        over_rest(rest, seen)
        with_the_official_client(rest, seen)
        on_the_command_line(deployment, seen)
        in_the_form(rest, seen)
        build = until(lambda: deployment.catalog.builds(generator="keyed-long", limit=1), "the long build begins")[0]
        until(lambda: deployment.catalog.target(build.build_id, CLOUD).instance_id, "the long build has an instance")
        deployment.imagesmith("cancel", build.build_id)
        for generator, run_id in seen.runs:
            rest.await_end(generator, run_id)
    for generator, run_id in seen.runs:
        look_at_all_of(rest, generator, run_id)
    return seen


def start(rest: Recorded, generator: str, **conf: Any) -> tuple[int, Any]:
    """Status and document of the answer to the start of a build."""
    return rest.call("POST", f"/api/v2/dags/{generator}/dagRuns", {"logical_date": None, "conf": conf})


def over_rest(rest: Recorded, seen: Evidence) -> None:
    """Three builds, one of which fails and one of which is going to be cancelled, and three refusals."""
    for generator in ("keyed-long", "keyed-fails", "keyed"):
        status, run = start(rest, generator, token=VALUE)
        assert status == 200, run
        seen.runs.append((generator, run["dag_run_id"]))
    seen.refused += [start(rest, "keyed"), start(rest, "keyed", token="abc")]
    seen.refused.append(start(rest, "keyed", token=f"{VALUE}\a"))


def with_the_official_client(rest: Recorded, seen: Evidence) -> None:
    """A build started by Airflow's own client."""
    from airflow_client.client import ApiClient, Configuration, DagRunApi, TriggerDAGRunPostBody

    with ApiClient(Configuration(host=rest.url, access_token=rest._token)) as client:
        body = TriggerDAGRunPostBody(logical_date=None, conf={"token": VALUE})
        started = DagRunApi(client).trigger_dag_run("keyed", body)
    seen.answers.append(("the client's answer", started.to_json().encode()))
    seen.runs.append(("keyed", started.dag_run_id))


def on_the_command_line(deployment: Deployment, seen: Evidence) -> None:
    """Two builds: the value typed in at a terminal, and brought by a pipe."""
    code, shown = deployment.typed("build", "keyed", "--wait", answer=VALUE, question="Value for token")
    seen.answers.append(("the terminal", shown.encode()))
    assert code == 0, shown
    argv = [sys.executable, "-m", "imagesmith.cli", "build", "keyed", "--param", "token=-", "--wait"]
    piped = subprocess.run(
        argv, env=deployment.environment, input=f"{VALUE}\n".encode(), capture_output=True, check=False
    )
    seen.answers.append(("the other end of the pipe", piped.stdout + piped.stderr))
    assert piped.returncode == 0, piped.stderr
    builds = deployment.catalog.builds(generator="keyed", limit=50)
    seen.runs += [("keyed", build.run_id) for build in builds if ("keyed", build.run_id) not in seen.runs]


def in_the_form(rest: Recorded, seen: Evidence) -> None:
    """A build from Airflow's own form, after a value that is too short; every answer to the browser is kept."""
    with browser() as page:
        page.on("response", lambda response: keep(seen, response))
        ui = AirflowUi(page, rest.url)
        ui.log_in(rest.username, rest.password)
        form = ui.open_trigger_form("keyed")
        assert form.locator("input[name='element_token']").get_attribute("type") == "password"
        ui.fill_and_send(form, {"token": "abc"})
        form.get_by_text("has fewer than 4 characters").wait_for()
        form = ui.open_trigger_form("keyed")
        run_id = ui.trigger(form, values={"token": VALUE}, without_clouds=[])
        rest.await_end("keyed", run_id)
        ui.open_run("keyed", run_id)
        page.wait_for_load_state("networkidle")
        seen.answers.append(("the run's page", page.content().encode()))
        shown = ui.log_of("keyed", run_id, f"{CLOUD}.customize", awaited="the token is")
        assert "***" in shown
        seen.answers.append(("the log's page", page.content().encode()))
        seen.runs.append(("keyed", run_id))


def test_seven_builds_ran_and_what_was_wrong_was_refused(deployment: Deployment, evidence: Evidence) -> None:
    builds = {name: deployment.catalog.builds(generator=name, limit=50) for name in SCRIPTS}
    assert sum(map(len, builds.values())) == len(evidence.runs) == 7
    assert [build.state for build in builds["keyed"]] == ["successful"] * 5
    assert [builds[name][0].state for name in ("keyed-fails", "keyed-long")] == ["failed", "cancelled"]
    assert [status for status, _ in evidence.refused] == [422] * 3
    for build in builds["keyed"]:
        assert deployment.catalog.target(build.build_id, CLOUD).output_tail == "the token is\n***\n"
    failed = deployment.catalog.target(builds["keyed-fails"][0].build_id, CLOUD)
    assert "exited 3; the last it printed:\nthe token is\n***" in failed.error


def test_the_value_is_nowhere(deployment: Deployment, evidence: Evidence) -> None:
    sourced = file_environment(deployment.sandbox.home)
    assert len(evidence.answers) > 100 and len(evidence.processes) > 20
    assert traces(VALUE, evidence.answers) == []
    assert traces(VALUE, evidence.processes.items()) == []
    for url in (sourced["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"], sourced["IMAGESMITH_CATALOG_URL"]):
        assert traces(VALUE, tables_of(url)) == []
    # All logs, and the databases' own files with all that was ever written into them.
    assert traces(VALUE, files_under(deployment.sandbox.home)) == []


def test_where_the_value_was_there_are_three_stars(deployment: Deployment, evidence: Evidence) -> None:
    """The search had something to find: each script has printed the value into its log."""
    logs = deployment.sandbox.home / "airflow" / "logs"
    shown = [place for place, data in files_under(logs) if b"the token is" in data]
    assert len(shown) >= 7
    assert all(b"***" in data for place, data in files_under(logs) if place in shown)


def test_after_the_end_no_sealed_value_is_left(deployment: Deployment, evidence: Evidence) -> None:
    sourced = file_environment(deployment.sandbox.home)
    for variable in ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "IMAGESMITH_CATALOG_URL"):
        assert [table for table, data in tables_of(sourced[variable]) if b"sealed.1." in data] == []


def test_the_search_finds_a_planted_value(deployment: Deployment, rest: Recorded) -> None:
    planted = "S3cret on purpose"
    status, _ = rest.call("POST", "/api/v2/pools", {"name": "planted-value", "slots": 1, "description": planted})
    assert status == 201
    (deployment.sandbox.home / "airflow" / "logs" / "planted-value.log").write_text(f"said {quote(planted)}")
    sourced = file_environment(deployment.sandbox.home)
    assert "table slot_pool: clear" in traces(planted, tables_of(sourced["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]))
    found = traces(planted, files_under(deployment.sandbox.home))
    assert [place for place in found if "planted-value.log: URL" in place]


ROADS = [
    ("POST", "/api/v2/backfills", {"dag_id": "keyed", "dag_run_conf": {"token": VALUE}}),
    ("POST", "/api/v2/assets/1/materialize", {"conf": {"token": VALUE}}),
    ("PATCH", "/api/v2/dags/keyed/dagRuns/x/taskInstances/begin/-1/hitlDetails", {"params_input": {"token": VALUE}}),
    ("POST", "/api/v2/dags/keyed/clearTaskInstances", {"conf": {"token": VALUE}}),
    ("POST", "/api/v2/dags/dstat/../keyed/dagRuns", {"logical_date": None, "conf": {"token": VALUE}}),
]


@pytest.mark.parametrize(("method", "path", "body"), ROADS, ids=[f"{road[0]} {road[1]}" for road in ROADS])
def test_every_other_road_is_closed(
    deployment: Deployment, rest: Recorded, method: str, path: str, body: dict[str, Any]
) -> None:
    before = len(rest.runs("keyed"))
    status, answer = rest.call(method, path, body)
    assert status == 422, answer
    assert "token: a secret parameter is taken only where a single build is started" in str(answer["detail"])
    assert len(rest.runs("keyed")) == before
