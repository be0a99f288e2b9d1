"""Many builds at once on one OpenStack site, on machines that answer by the clock: none takes what is another's."""

import json
from collections.abc import Iterator

import pytest

from imagesmith.core import ResourceKind
from imagesmith.sandbox import config

from .airflow_rest import Rest, until
from .conftest import Deployment

pytestmark = pytest.mark.system

SIERRA = "openstack-sierra"
SIX = 6


@pytest.fixture(scope="module")
def rest(deployment: Deployment) -> Iterator[Rest]:
    """Airflow with a generator whose script takes longer than it takes to start six builds."""
    target = {"source_image": "simulated-1", "ssh_username": config.DEFAULT_USER, "instance_type": "m1.small"}
    document = {
        "name": "at-once",
        "script": "#!/bin/sh\n# sandbox: take 8\n",
        "verify": False,
        "clouds": {SIERRA: target},
    }
    path = deployment.include / "generators" / "at-once.yaml"
    path.write_text(json.dumps(document))
    rest = Rest(deployment)
    until(lambda: rest.has_dag("at-once"), "the DAG is there", limit_s=60)
    yield rest
    path.unlink()


def build_six(deployment: Deployment, rest: Rest) -> list[str]:
    """The ids of six builds that ran at once and have ended."""
    runs = []
    for _ in range(SIX):
        status, run = rest.call("POST", "/api/v2/dags/at-once/dagRuns", {"logical_date": None, "conf": {}})
        assert status == 200, run
        runs.append(run["dag_run_id"])
    for run_id in runs:
        rest.await_end("at-once", run_id)
    builds = [deployment.catalog.find_build("at-once", run_id) for run_id in runs]
    return [build.build_id for build in builds if build is not None]


def left(deployment: Deployment) -> list[str]:
    """What is on the site and no image."""
    there = deployment.sandbox.control("list")["accounts"][SIERRA]
    servers = [one["name"] for one in there["servers"] if one["status"] != "DELETED"]
    groups = [name for name in there["security_groups"] if name != "default"]
    return servers + there["key_pairs"] + groups + [one["address"] for one in there["floating_ips"]]


def test_six_builds_at_once_never_share_a_floating_ip(deployment: Deployment, rest: Rest) -> None:
    builds = build_six(deployment, rest)
    targets = [deployment.catalog.target(build, SIERRA) for build in builds]
    assert [target.state for target in targets] == ["successful"] * SIX
    began, ended = max(target.started_at for target in targets), min(target.ended_at for target in targets)
    assert began < ended, "they did not run at once, so nothing was shown"
    assert len({target.address for target in targets}) == SIX
    made = [
        row.resource_id
        for build in builds
        for row in deployment.catalog.resources(build_id=build, include_gone=True)
        if row.kind is ResourceKind.FLOATING_IP
    ]
    assert len(made) == len(set(made)) == SIX
    assert left(deployment) == []


def test_where_floating_ips_run_out_some_builds_say_so_and_none_leaves_anything(
    deployment: Deployment, rest: Rest
) -> None:
    deployment.sandbox.control("settings", {"account": SIERRA, "floating_ips": 2})
    try:
        builds = build_six(deployment, rest)
    finally:
        deployment.sandbox.control("settings", {"account": SIERRA, "floating_ips": 10})
    targets = [deployment.catalog.target(build, SIERRA) for build in builds]
    failed = [target for target in targets if target.state == "failed"]
    assert 0 < len(failed) < SIX
    for target in failed:
        assert "floating IP" in target.error and "quota" in target.error.lower(), target.error
    assert left(deployment) == []
