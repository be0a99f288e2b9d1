"""The password that is stored nowhere: builds with it on every way in, then a search for it everywhere."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from imagesmith.sandbox import config
from imagesmith.sandbox.openstack import sites

from .airflow_rest import until
from .airflow_ui import AirflowUi, browser
from .conftest import Deployment, file_environment
from .evidence import Evidence, Recorded, keep, look_at_all_of, watched_processes
from .traces import files_under, tables_of, traces

pytestmark = pytest.mark.system

HOTEL = "openstack-hotel"
KEY = f"password_{HOTEL}"
PASSWORD = 'Pl4nted "pass&wörd"/+?'
WRONG = 'Mist4ken "pass&wörd"/+?'
TARGET = {"source_image": "simulated-1", "ssh_username": config.DEFAULT_USER, "instance_type": "m1.small"}
SCRIPTS = {
    "asked": "# sandbox: print the packages are in\n",
    "asked-fails": "# sandbox: exit 3\n",
    "asked-long": "# sandbox: take 600\n",
}


class Started(Recorded):
    """REST that starts builds with the password."""

    def start(self, generator: str, password: str | None = PASSWORD, **conf: Any) -> tuple[int, Any]:
        """Status and document of the answer to the start of a build."""
        conf |= {} if password is None else {KEY: password}
        return self.call("POST", f"/api/v2/dags/{generator}/dagRuns", {"logical_date": None, "conf": conf})


@pytest.fixture(scope="module")
def rest(deployment: Deployment) -> Iterator[Started]:
    """Airflow with three generators on a cloud whose user has a password that nobody else has."""
    deployment.sandbox.control("settings", {"account": HOTEL, "password": PASSWORD})
    paths = [deployment.include / "generators" / f"{name}.yaml" for name in SCRIPTS]
    for path in paths:
        document = {
            "name": path.stem,
            "verify": False,
            "script": f"#!/bin/sh\n{SCRIPTS[path.stem]}",
            "clouds": {HOTEL: TARGET},
        }
        path.write_text(json.dumps(document))
    rest = Started(deployment)
    for name in SCRIPTS:
        until(lambda name=name: rest.has_dag(name), f"{name} is there", limit_s=60)
    yield rest
    for path in paths:
        path.unlink()
    deployment.sandbox.control("settings", {"account": HOTEL, "password": sites.PASSWORD})


@pytest.fixture(scope="module")
def evidence(deployment: Deployment, rest: Started) -> Evidence:
    """What was seen during ten builds with the password, started on every way in, with wrong ones among them."""
    seen = Evidence()
    rest.evidence = seen
    with watched_processes(seen):
        over_rest(rest, seen)
        with_the_official_client(rest, seen)
        on_the_command_line(deployment, seen)
        in_the_form(rest, seen)
        build = until(lambda: deployment.catalog.builds(generator="asked-long", limit=1), "the long build begins")[0]
        until(lambda: _target(deployment, build.build_id).instance_id, "the long build has an instance")
        deployment.imagesmith("cancel", build.build_id)
        for generator, run_id in seen.runs:
            rest.await_end(generator, run_id)
    for generator, run_id in seen.runs:
        look_at_all_of(rest, generator, run_id)
    return seen


def _target(deployment: Deployment, build_id: str) -> Any:
    return deployment.catalog.target(build_id, HOTEL)


def over_rest(rest: Started, seen: Evidence) -> None:
    """Five builds, one of which fails and one of which is going to be cancelled, and two refusals."""
    for generator in ("asked-long", "asked-fails", "asked", "asked", "asked"):
        status, run = rest.start(generator)
        assert status == 200, run
        seen.runs.append((generator, run["dag_run_id"]))
    seen.refused += [rest.start("asked", WRONG), rest.start("asked", None)]


def with_the_official_client(rest: Started, seen: Evidence) -> None:
    """Two builds and a refusal."""
    from airflow_client.client import ApiClient, ApiException, Configuration, DagRunApi, TriggerDAGRunPostBody

    with ApiClient(Configuration(host=rest.url, access_token=rest._token)) as client:
        runs = DagRunApi(client)
        for _ in range(2):
            started = runs.trigger_dag_run("asked", TriggerDAGRunPostBody(logical_date=None, conf={KEY: PASSWORD}))
            seen.answers.append(("the client's answer", started.to_json().encode()))
            seen.runs.append(("asked", started.dag_run_id))
        with pytest.raises(ApiException) as refused:
            runs.trigger_dag_run("asked", TriggerDAGRunPostBody(logical_date=None, conf={KEY: WRONG}))
    seen.answers.append(("the client's error", str(refused.value).encode()))
    seen.refused.append((refused.value.status, json.loads(refused.value.body)))


def on_the_command_line(deployment: Deployment, seen: Evidence) -> None:
    """One build, its password typed in at a terminal."""
    code, shown = deployment.typed("build", "asked", "--wait", answer=PASSWORD)
    seen.answers.append(("the terminal", shown.encode()))
    assert code == 0, shown
    run = deployment.catalog.builds(generator="asked", limit=50)
    seen.runs += [("asked", build.run_id) for build in run if ("asked", build.run_id) not in seen.runs]


def in_the_form(rest: Started, seen: Evidence) -> None:
    """Two builds from Airflow's own form, the first after a password mistyped; every answer to the browser is kept."""
    with browser() as page:
        page.on("response", lambda response: keep(seen, response))
        ui = AirflowUi(page, rest.url)
        ui.log_in(rest.username, rest.password)
        form = ui.open_trigger_form("asked")
        ui.fill_and_send(form, {KEY: WRONG})
        form.get_by_text("Keystone does not take this password").wait_for()
        # As a person reads it: the field itself still holds what was typed in.
        seen.answers.append(("the form", form.inner_text().encode()))
        for _ in range(2):
            form = ui.open_trigger_form("asked")
            run_id = ui.trigger(form, values={KEY: PASSWORD}, without_clouds=[])
            rest.await_end("asked", run_id)
            ui.open_run("asked", run_id)
            page.wait_for_load_state("networkidle")
            seen.answers.append(("the run's page", page.content().encode()))
            ui.log_of("asked", run_id, f"{HOTEL}.customize", awaited="the packages are in")
            seen.answers.append(("the log's page", page.content().encode()))
            seen.runs.append(("asked", run_id))
        page.goto(f"{rest.url}/events")
        page.wait_for_load_state("networkidle")
        seen.answers.append(("the audit log's page", page.content().encode()))


def test_ten_builds_ran_and_what_was_wrong_was_refused(deployment: Deployment, evidence: Evidence) -> None:
    builds = {name: deployment.catalog.builds(generator=name, limit=50) for name in SCRIPTS}
    assert sum(map(len, builds.values())) == len(evidence.runs) == 10
    assert [build.state for build in builds["asked"]] == ["successful"] * 8
    assert [builds[name][0].state for name in ("asked-fails", "asked-long")] == ["failed", "cancelled"]
    assert [status for status, _ in evidence.refused] == [422] * 3
    said = [str(answer["detail"]) for _, answer in evidence.refused]
    assert "Keystone does not take this password" in said[0] and "asks for its password" in said[1]


@pytest.mark.parametrize("secret", [PASSWORD, WRONG], ids=["right", "wrong"])
def test_no_password_is_anywhere(deployment: Deployment, evidence: Evidence, secret: str) -> None:
    sourced = file_environment(deployment.sandbox.home)
    databases = (sourced["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"], sourced["IMAGESMITH_CATALOG_URL"])
    assert len(evidence.answers) > 100 and len(evidence.processes) > 20
    assert traces(secret, evidence.answers) == []
    assert traces(secret, evidence.processes.items()) == []
    for url in databases:
        assert traces(secret, tables_of(url)) == []
    # All logs, and the databases' own files with all that was ever written into them.
    assert traces(secret, files_under(deployment.sandbox.home)) == []


def test_after_the_end_neither_sealed_value_nor_credential_is_left(deployment: Deployment, evidence: Evidence) -> None:
    sourced = file_environment(deployment.sandbox.home)
    for variable in ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "IMAGESMITH_CATALOG_URL"):
        assert [table for table, data in tables_of(sourced[variable]) if b"sealed.1." in data] == []
    there = deployment.sandbox.control("list")["accounts"][HOTEL]
    assert there["application_credentials"] == []
    assert [server for server in there["servers"] if server["status"] != "DELETED"] == []
    assert (there["key_pairs"], there["floating_ips"]) == ([], [])


def test_the_search_finds_a_planted_password(deployment: Deployment, rest: Started) -> None:
    planted = "Pl4nted on purpose"
    status, _ = rest.call("POST", "/api/v2/pools", {"name": "planted", "slots": 1, "description": planted})
    assert status == 201
    (deployment.sandbox.home / "airflow" / "logs" / "planted.log").write_text(f"said {quote(planted)}")
    sourced = file_environment(deployment.sandbox.home)
    found = traces(planted, tables_of(sourced["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]))
    assert "table slot_pool: clear" in found
    assert [place for place in traces(planted, files_under(deployment.sandbox.home)) if "planted.log: URL" in place]


ROADS = [
    ("POST", "/api/v2/backfills", {"dag_id": "asked", "dag_run_conf": {KEY: PASSWORD}}),
    ("POST", "/api/v2/assets/1/materialize", {"conf": {KEY: PASSWORD}}),
    ("POST", "/api/v2/assets/events", {"asset_id": 1, "extra": {KEY: PASSWORD}}),
    ("PATCH", "/api/v2/dags/asked/dagRuns/x/taskInstances/begin/-1/hitlDetails", {"params_input": {KEY: PASSWORD}}),
    ("POST", "/api/v2/dags/asked/clearTaskInstances", {"conf": {KEY: PASSWORD}}),
    ("PATCH", "/api/v2/variables", {"actions": [{"entities": [{"value": {KEY: PASSWORD}}]}]}),
    ("POST", "/api/v2/dags/dstat/../asked/dagRuns", {"logical_date": None, "conf": {KEY: PASSWORD}}),
]


@pytest.mark.parametrize(("method", "path", "body"), ROADS, ids=[f"{road[0]} {road[1]}" for road in ROADS])
def test_every_other_road_is_closed(
    deployment: Deployment, rest: Started, method: str, path: str, body: dict[str, Any]
) -> None:
    before = len(rest.runs("asked"))
    status, answer = rest.call(method, path, body)
    assert status == 422, answer
    assert re.search("password is taken only where a single build is started", str(answer["detail"]))
    assert len(rest.runs("asked")) == before


def test_keystone_down(deployment: Deployment, rest: Started) -> None:
    fault = {"status": 0, "path": "auth/tokens", "method": "POST", "count": 20}
    before = len(rest.runs("asked"))
    deployment.sandbox.control("settings", {"account": HOTEL, "fault": fault})
    try:
        status, answer = rest.start("asked")
    finally:
        deployment.sandbox.control("settings", {"account": HOTEL, "fault": None})
    assert status == 502, answer
    assert len(rest.runs("asked")) == before
    time.sleep(1)
    assert deployment.sandbox.control("list")["accounts"][HOTEL]["application_credentials"] == []
