"""The kill matrix: every step of every cloud type, at each of five instants, with each victim killed there.

A step that comes to an armed instant is held there (crash_points.py); the victim is killed, brought back, and the step
goes on, if its process is still alive. Whoever comes first is taken, so several builds run at once on each cloud.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from imagesmith.core import ResourceKind, TargetState
from imagesmith.crash_points import INSTANTS
from imagesmith.processes import started_at
from imagesmith.sandbox import config
from imagesmith.steps.runner import Step

from .airflow_rest import Rest, until
from .conftest import Deployment, own_include, own_settings, running
from .sandbox_listing import left_on, names_of_images

CLOUDS = {
    "ec2": {
        "source_image": {"name": "simulated-*", "owner": config.BASE_OWNER_ID},
        "ssh_username": config.DEFAULT_USER,
        "instance_type": "t3.small",
    },
    "openstack-sierra": {
        "source_image": "simulated-1",
        "ssh_username": config.DEFAULT_USER,
        "instance_type": "m1.small",
    },
    "nimbus-hotel-kvm": {"source_image": "simulated-1", "ssh_username": "root", "instance_type": "512"},
}
SCRIPT = "#!/bin/sh\n# sandbox: print the packages are coming\n# sandbox: take 4\n"
BUILDS_EACH = 2
LIMIT_S = 900.0
# So long the sandbox answers nobody when the network is cut.
CUT_S = 20.0


@dataclass
class Matrix:
    """One victim's part of the matrix: what was armed, what was reached, which builds ran."""

    deployment: Deployment
    rest: Rest
    points: Path
    kill: Callable[[Deployment, int], None]
    runs: dict[str, list[str]] = field(default_factory=dict)
    hits: list[str] = field(default_factory=list)

    def arm(self) -> list[str]:
        """The names of all instants, armed."""
        names = [f"{step}.{cloud}.{instant}" for cloud in CLOUDS for step in Step for instant in INSTANTS]
        for name in names:
            (self.points / name).touch()
        return names

    def start(self) -> None:
        """Some builds on each cloud."""
        for cloud in CLOUDS:
            self.runs[cloud] = []
            for _ in range(BUILDS_EACH):
                self.runs[cloud].append(self._start(f"killed-{cloud}"))

    def _start(self, generator: str) -> str:
        path = f"/api/v2/dags/{generator}/dagRuns"
        status, run = self.rest.call("POST", path, {"logical_date": None, "conf": {}})
        assert status == 200, run
        return str(run["dag_run_id"])

    def follow(self) -> None:
        """Kill at every instant that is reached, until all builds have ended."""
        deadline = time.monotonic() + LIMIT_S
        while not self._ended():
            assert time.monotonic() < deadline, f"builds did not end; reached: {self.hits}"
            held = [path for path in self.points.glob("*.reached") if self._pid(path)]
            for path in held:
                self.hits.append(path.name.removesuffix(".reached"))
            if held:
                self.kill(self.deployment, self._pid(held[0]))
            for path in held:
                path.with_name(path.name.replace(".reached", ".go")).touch()
                path.rename(path.with_name(path.name.replace(".reached", ".done")))
            time.sleep(0.2)

    def _pid(self, path: Path) -> int:
        return int(path.read_text() or 0)

    def _ended(self) -> bool:
        catalog = self.deployment.catalog
        found = [
            catalog.find_build(f"killed-{cloud}", run_id) for cloud, run_ids in self.runs.items() for run_id in run_ids
        ]
        return all(build is not None and build.state.ended for build in found)

    def builds(self) -> dict[str, list[str]]:
        """The ids of the builds on each cloud."""
        catalog = self.deployment.catalog
        ids = {}
        for cloud, run_ids in self.runs.items():
            found = [catalog.find_build(f"killed-{cloud}", run_id) for run_id in run_ids]
            ids[cloud] = [build.build_id for build in found if build is not None]
        return ids


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    until(lambda: started_at(pid) is None, f"process {pid} is gone", limit_s=20, every_s=0.05)


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def kill_task(deployment: Deployment, held: int) -> None:
    """The process that is at the instant: a task's, or the triggerer's."""
    _kill(held)


def kill_executor(deployment: Deployment, held: int) -> None:
    """The executor's worker that runs the task, or what keeps the trigger's process."""
    _kill(_parent(held))


def _component(name: str) -> Callable[[Deployment, int], None]:
    def kill(deployment: Deployment, held: int) -> None:
        _kill(deployment.pid(name))
        deployment.imagesmith("airflow", "up")

    return kill


def kill_database(deployment: Deployment, held: int) -> None:
    """PostgreSQL, which has the catalog and Airflow's own tables."""
    pid_file = next((deployment.home / "airflow").rglob("postmaster.pid"))
    _kill(int(pid_file.read_text().split()[0]))
    deployment.imagesmith("airflow", "up")


def kill_sandbox(deployment: Deployment, held: int) -> None:
    """All doors of the sandbox, and the machines behind them."""
    _kill(_sandbox_pid(deployment))
    deployment.sandbox.run("up")


def cut_network(deployment: Deployment, held: int) -> None:
    """Nobody answers for a while, and no connection is refused."""
    pid = _sandbox_pid(deployment)
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(CUT_S)
    finally:
        os.kill(pid, signal.SIGCONT)


def _sandbox_pid(deployment: Deployment) -> int:
    return int(next((deployment.home / "sandbox").glob("*.pid")).read_text().split()[0])


VICTIMS = {
    "task": kill_task,
    "executor": kill_executor,
    "scheduler": _component("scheduler"),
    "triggerer": _component("triggerer"),
    "api-server": _component("api-server"),
    "database": kill_database,
    "sandbox": kill_sandbox,
    "network": cut_network,
}


@pytest.fixture(scope="module")
def deployed(sandbox: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Deployment, Path]]:
    """Airflow whose steps can be held, with a generator for each cloud type."""
    points = tmp_path_factory.mktemp("points")
    include = own_include(tmp_path_factory)
    environment = {**sandbox.environment, **own_settings(include), "IMAGESMITH_CRASH_POINTS": str(points)}
    for cloud, entry in CLOUDS.items():
        document = {"name": f"killed-{cloud}", "script": SCRIPT, "clouds": {cloud: entry}}
        (include / "generators" / f"killed-{cloud}.yaml").write_text(json.dumps(document))
    with running(Deployment(sandbox.home, environment, include, sandbox)) as started:
        yield started, points


@pytest.mark.parametrize(
    "victim",
    [pytest.param(name, marks=pytest.mark.system if name == "task" else pytest.mark.chaos) for name in VICTIMS],
)
def test_killed_at_every_instant_of_every_step(deployed: tuple[Deployment, Path], victim: str) -> None:
    deployment, points = deployed
    rest = Rest(deployment)
    for cloud in CLOUDS:
        until(lambda cloud=cloud: rest.has_dag(f"killed-{cloud}"), f"the DAG of {cloud} is there", limit_s=60)
    matrix = Matrix(deployment, rest, points, VICTIMS[victim])
    armed = matrix.arm()
    matrix.start()
    matrix.follow()
    print(f"{victim}: {len(matrix.hits)} of {len(armed)} instants")
    for cloud, build_ids in matrix.builds().items():
        for build_id in build_ids:
            _assert_built_once(deployment, cloud, build_id)
        assert left_on(deployment.sandbox, cloud) == []
    assert sorted(matrix.hits) == sorted(armed)


def _assert_built_once(deployment: Deployment, cloud: str, build_id: str) -> None:
    target = deployment.catalog.target(build_id, cloud)
    assert target.state is TargetState.SUCCESSFUL, target.error
    rows = deployment.catalog.resources(build_id=build_id, include_gone=True)
    assert len([row for row in rows if row.kind is ResourceKind.INSTANCE]) == 1
    open_rows = {(row.kind, row.name) for row in deployment.catalog.resources(build_id=build_id)}
    assert {kind for kind, _ in open_rows} <= {ResourceKind.IMAGE, ResourceKind.SNAPSHOT}
    [image] = deployment.catalog.images(build_id=build_id)
    assert names_of_images(deployment.sandbox, cloud).count(image.name) == 1
