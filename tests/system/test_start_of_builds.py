"""Every way in, on machines that answer by the clock: the trigger form in a browser, REST, a schedule; and the way out.

The generators are dropped in and taken away while Airflow runs, as users do it.
"""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imagesmith.core import ResourceKind
from imagesmith.sandbox import config

from .airflow_rest import Rest, until
from .airflow_ui import AirflowUi, browser
from .conftest import Deployment

pytestmark = pytest.mark.system

APPEARS_WITHIN_S = 30.0  # what the README promises, on a machine that has time for it
TARGET = {
    "source_image": {"name": "simulated-*", "owner": config.BASE_OWNER_ID},
    "ssh_username": config.DEFAULT_USER,
    "instance_type": "t3.small",
}


@pytest.fixture(scope="module")
def rest(deployment: Deployment) -> Rest:
    return Rest(deployment)


@pytest.fixture(scope="module")
def clouds(deployment: Deployment, rest: Rest) -> Iterator[list[str]]:
    """Two clouds, the second a new entry of clouds.yaml with its connection made over REST."""
    path = deployment.include / "clouds.yaml"
    before = path.read_text()
    path.write_text(f"{before}west: {{type: ec2, region: us-east-1}}\n")
    connection = {
        "connection_id": "west",
        "conn_type": "imagesmith_ec2",
        "login": config.ACCESS_KEY_ID,
        "password": config.SECRET_ACCESS_KEY,
        "extra": json.dumps({"endpoint_url": deployment.sandbox.endpoint}),
    }
    status, answer = rest.call("POST", "/api/v2/connections", connection)
    assert status == 201, answer
    yield ["ec2", "west"]
    path.write_text(before)
    rest.call("DELETE", "/api/v2/connections/west")


@pytest.fixture(scope="module")
def ui(rest: Rest) -> Iterator[AirflowUi]:
    with browser() as page:
        seen = AirflowUi(page, rest.url)
        seen.log_in(rest.username, rest.password)
        yield seen


Drop = Callable[..., Path]


@pytest.fixture
def drop(deployment: Deployment, clouds: list[str]) -> Iterator[Drop]:
    """Writes the file of a generator whose script takes some seconds; the files are gone after the test."""
    written: list[Path] = []

    def write(name: str, *, seconds: float = 1, **keys: Any) -> Path:
        script = f"#!/bin/sh\n# sandbox: take {seconds}\n# sandbox: print the packages are in\n"
        # The clouds are one account here, so each image needs a name of its own.
        targets = {cloud: {**TARGET, "image_name": f"{{generator}}-{cloud}-{{build_id}}"} for cloud in clouds}
        document = {"name": name, "script": script, "verify": False, "clouds": targets, **keys}
        path = deployment.include / "generators" / f"{name}.yaml"
        path.write_text(json.dumps(document))  # JSON is YAML
        written.append(path)
        return path

    yield write
    for path in written:
        path.unlink(missing_ok=True)


def seconds_until(look: Callable[[], Any], what: str) -> float:
    """How long it took; fails beyond what is promised."""
    began = time.monotonic()
    until(look, what, limit_s=APPEARS_WITHIN_S, every_s=0.25)
    return time.monotonic() - began


def left_on_cloud(deployment: Deployment, build_id: str) -> list[tuple[str, str]]:
    """What the build made and the sandbox still has, images and the disks behind them included."""
    with urllib.request.urlopen(f"{deployment.sandbox.endpoint}/_sandbox/list", timeout=10) as answer:
        there = json.load(answer)
    names = set(there["key_pairs"] + there["security_groups"])
    names |= {one["id"] for one in there["instances"] if one["state"] != "terminated"}
    names |= {one["id"] for kind in ("images", "volumes", "snapshots") for one in there[kind]}
    rows = deployment.catalog.resources(build_id=build_id, include_gone=True)
    assert rows, f"{build_id} made nothing, so nothing was shown"
    return [(row.kind, row.name) for row in rows if names & {row.resource_id, row.name}]


def test_a_build_from_the_trigger_form(deployment: Deployment, rest: Rest, ui: AirflowUi, drop: Drop) -> None:
    extra = {"type": "string", "default": "", "description": "further packages"}
    mirror = {"type": "string", "default": "main", "choices": ["main", "backports"], "description": "where from"}
    drop("from-form", description="Debian with more", parameters={"extra": extra, "mirror": mirror})
    until(lambda: rest.has_dag("from-form"), "the DAG is there", limit_s=60)

    form = ui.open_trigger_form("from-form")
    shown = form.inner_text()
    for text in ("extra", "further packages", "mirror", "where from", "Clouds", "ec2", "west"):
        assert text in shown
    run_id = ui.trigger(form, values={"extra": "htop"}, without_clouds=["west"])

    assert rest.await_end("from-form", run_id) == "success"
    ui.open_run("from-form", run_id)
    ui.page.get_by_text("Success", exact=True).first.wait_for()
    log = ui.log_of("from-form", run_id, "ec2.customize", awaited="the packages are in")
    assert "customized and clean" in log
    build = deployment.catalog.find_build("from-form", run_id)
    assert build is not None
    assert (build.state, build.requested_how, build.requested_by) == ("successful", "manual", rest.username)
    assert build.plan["parameters"] == {"extra": "htop", "mirror": "main"}
    assert [target.cloud for target in deployment.catalog.targets(build.build_id)] == ["ec2"]
    images = deployment.catalog.images(build_id=build.build_id)
    assert [image.cloud for image in images] == ["ec2"]
    described = deployment.ec2().describe_images(ImageIds=[images[0].image_id])["Images"]
    assert [image["State"] for image in described] == ["available"]


def test_a_build_over_rest(deployment: Deployment, rest: Rest, drop: Drop) -> None:
    drop("over-rest", parameters={"extra": {"type": "string", "default": ""}})
    until(lambda: rest.has_dag("over-rest"), "the DAG is there", limit_s=60)
    path = "/api/v2/dags/over-rest/dagRuns"

    status, answer = rest.call("POST", path, {"logical_date": None, "conf": {"clouds": ["nowhere"]}})
    assert status == 400, answer
    assert "nowhere" in answer["detail"]

    status, run = rest.call("POST", path, {"logical_date": None, "conf": {"extra": "htop"}})
    assert status == 200, run
    assert rest.await_end("over-rest", run["dag_run_id"]) == "success"
    build = deployment.catalog.find_build("over-rest", run["dag_run_id"])
    assert build is not None
    assert (build.state, build.plan["parameters"]) == ("successful", {"extra": "htop"})
    assert sorted(image.cloud for image in deployment.catalog.images(build_id=build.build_id)) == ["ec2", "west"]


@pytest.mark.alone
def test_a_generator_with_a_schedule_is_dropped_in_builds_and_goes(
    deployment: Deployment, rest: Rest, ui: AirflowUi, drop: Drop
) -> None:
    path = drop("by-schedule", schedule="* * * * *")
    print(f"appeared after {seconds_until(lambda: ui.lists_dag('by-schedule'), 'the UI lists the DAG'):.1f} s")

    run = until(lambda: rest.runs("by-schedule"), "the schedule starts a run", limit_s=120)[-1]
    assert run["run_type"] == "scheduled"
    assert rest.await_end("by-schedule", run["dag_run_id"]) == "success"
    build = deployment.catalog.find_build("by-schedule", run["dag_run_id"])
    assert build is not None
    assert (build.state, build.requested_how) == ("successful", "scheduled")

    path.unlink()
    # What the schedule began meanwhile comes to its end without the file.
    until(lambda: not deployment.catalog.builds(generator="by-schedule", only_open=True), "all have ended", limit_s=180)
    gone = seconds_until(lambda: not ui.lists_dag("by-schedule"), "the UI lists the DAG no more")
    print(f"gone after {gone:.1f} s")
    assert {build.state for build in deployment.catalog.builds(generator="by-schedule")} == {"successful"}


def test_a_build_ends_well_though_its_file_is_removed(deployment: Deployment, rest: Rest, drop: Drop) -> None:
    path = drop("removed", seconds=30)
    until(lambda: rest.has_dag("removed"), "the DAG is there", limit_s=60)
    _, run = rest.call("POST", "/api/v2/dags/removed/dagRuns", {"logical_date": None, "conf": {}})
    run_id = run["dag_run_id"]
    until(lambda: rest.task_state("removed", run_id, "ec2.customize") == "running", "the script runs", limit_s=120)

    path.unlink()

    assert rest.await_end("removed", run_id) == "success"
    build = deployment.catalog.find_build("removed", run_id)
    assert build is not None
    assert build.state == "successful"
    assert len(deployment.catalog.images(build_id=build.build_id)) == 2
    until(lambda: not rest.has_dag("removed"), "its DAG goes now", limit_s=90)


@pytest.mark.parametrize("state", ["running", "deferred"])
def test_a_run_marked_failed_in_the_ui_leaves_nothing(
    deployment: Deployment, rest: Rest, ui: AirflowUi, drop: Drop, state: str
) -> None:
    """While the script runs, once with its task in a worker and once with its task in the triggerer."""
    name = f"marked-while-{state}"
    drop(name, seconds=600)
    until(lambda: rest.has_dag(name), "the DAG is there", limit_s=60)
    _, run = rest.call("POST", f"/api/v2/dags/{name}/dagRuns", {"logical_date": None, "conf": {"clouds": ["ec2"]}})
    run_id = run["dag_run_id"]
    ui.open_run(name, run_id)  # before the state is awaited: a worker waits only for some seconds
    until(lambda: rest.task_state(name, run_id, "ec2.customize") == state, f"customize is {state}", limit_s=120)
    build = until(lambda: deployment.catalog.find_build(name, run_id), "there is a build")

    ui.mark_failed()

    until(lambda: deployment.catalog.build(build.build_id).state.ended, "the build ends", limit_s=180)
    until(lambda: rest.task_state(name, run_id, "publish") == "failed", "publish says that it failed", limit_s=60)
    assert rest.await_end(name, run_id) == "failed"
    target = deployment.catalog.target(build.build_id, "ec2")
    assert (deployment.catalog.build(build.build_id).state, target.state) == ("cancelled", "cancelled")
    assert left_on_cloud(deployment, build.build_id) == []
    rows = deployment.catalog.resources(build_id=build.build_id, include_gone=True)
    assert [row.kind for row in rows].count(ResourceKind.INSTANCE) == 1
