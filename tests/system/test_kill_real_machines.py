"""A sample of the kill matrix on real virtual machines: one build on a cloud of each type, killed in every step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from imagesmith.crash_points import AFTER_CALL, BEFORE_CALL, IN_WAIT
from imagesmith.processes import session_members
from imagesmith.sandbox import config
from imagesmith.steps.runner import Step

from .airflow_rest import Rest
from .conftest import Deployment
from .kill_matrix import Matrix, kill_component, kill_task
from .sandbox_guests import guest_of
from .simulated_builds import Builds, write_generators

LIMIT_S = 1200.0
MACHINES: Mapping[str, dict[str, Any]] = {
    "ec2": {
        "source_image": {"name": "debian-12-amd64-*", "owner": config.BASE_OWNER_ID},
        "ssh_username": config.DEFAULT_USER,
        "instance_type": "t3.small",
    },
    "openstack-sierra": {
        "source_image": "debian-12",
        "ssh_username": config.DEFAULT_USER,
        "instance_type": "m1.small",
    },
    "nimbus-hotel-kvm": {"source_image": "debian-12.gz", "ssh_username": "root"},
}
# Longer than a worker has patience, so that the triggerer follows its second half.
SCRIPT = """#!/bin/sh
echo run | sudo tee -a /var/lib/runs >/dev/null
echo the packages are coming
for second in $(seq 60); do echo "second $second"; sleep 1; done
"""


def in_triggerer(deployment: Deployment, run_id: str) -> bool:
    """True once the triggerer follows the script of the run."""
    logs = (deployment.home / "airflow" / "logs").rglob("*.trigger.*.log")
    return any(run_id in str(path) and "customize" in str(path) for path in logs)


def kill_holders(deployment: Deployment, holders: list[int]) -> None:
    """The tasks that are held; the whole triggerer where it is one of its waits."""
    waiting = {*session_members(deployment.pid("triggerer"))} & {*holders}
    kill_task(deployment, holders)
    if waiting:
        kill_component("triggerer")(deployment, holders)


@pytest.mark.chaos
def test_builds_on_real_machines_survive_kills_in_every_step(deployment: Deployment, tmp_path: Path) -> None:
    write_generators(deployment.include, "sample", entries=MACHINES, script=SCRIPT)
    builds = Builds(deployment, Rest(deployment), "sample")
    matrix = Matrix(deployment, kill_holders)
    matrix.arm(
        f"{step}.{cloud}.{instant}" for step in Step for cloud in MACHINES for instant in (BEFORE_CALL, AFTER_CALL)
    )
    matrix.arm(f"{step}.{cloud}.{IN_WAIT}" for step in (Step.LAUNCH_VM, Step.SNAPSHOT_IMAGE) for cloud in MACHINES)
    began = time.monotonic()

    def kill_and_arm() -> None:
        matrix.kill_at_each()
        for cloud, [run_id] in builds.runs.items():
            wait = f"{Step.CUSTOMIZE}.{cloud}.{IN_WAIT}"
            if wait not in matrix.armed and in_triggerer(deployment, run_id):
                matrix.arm([wait])

    builds.start(dict.fromkeys(MACHINES, 1))
    try:
        builds.until_ended(limit_s=LIMIT_S, meanwhile=kill_and_arm)
    finally:
        matrix.disarm()
    print(f"\n{len(matrix.hits)} instants, {matrix.kills} kills, 3 builds in {time.monotonic() - began:.0f} s")
    builds.assert_built_once()
    assert matrix.missed() == []
    assert {hit for hit in matrix.hits if hit.startswith(Step.CUSTOMIZE) and hit.endswith(IN_WAIT)}
    for cloud, [build_id] in builds.ids().items():
        [image] = deployment.catalog.images(build_id=build_id)
        guest = guest_of(deployment, cloud, image.image_id, key=tmp_path / f"key-{cloud}")
        try:
            assert guest.run("cat /var/lib/runs") == "run\n", cloud
        finally:
            guest.end()
