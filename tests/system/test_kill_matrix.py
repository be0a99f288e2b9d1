"""The kill matrix: every step of every cloud type, at each of five instants, with each victim killed there.

A step that comes to an armed instant is held there (crash_points.py); the victim is killed, brought back, and the step
goes on, if its process is still alive. Whoever comes first is taken, so several builds run at once on each cloud.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from imagesmith.crash_points import INSTANTS
from imagesmith.processes import started_at
from imagesmith.steps.runner import Step

from .airflow_rest import Rest, until
from .conftest import Deployment, running
from .simulated_builds import CLOUDS, Builds, write_generators

# More than one, so that another build comes by where the first was killed before.
BUILDS_EACH = 2
LIMIT_S = 900.0
# So long the sandbox answers nobody when the network is cut.
CUT_S = 20.0
# Nimbus's driver ends an instance in one call, which waits for nothing.
NEVER = {f"{Step.TERMINATE}.nimbus-hotel-kvm.in_wait"}


@dataclass
class Matrix:
    """One victim's part of the matrix: what is armed, and what was reached."""

    deployment: Deployment
    points: Path
    kill: Callable[[Deployment, int], None]
    armed: set[str] = field(default_factory=set)
    hits: list[str] = field(default_factory=list)

    def arm(self) -> None:
        """All instants of all steps."""
        self.armed = {f"{step}.{cloud}.{instant}" for cloud in CLOUDS for step in Step for instant in INSTANTS} - NEVER
        for left in self.points.iterdir():
            left.unlink()
        for name in self.armed:
            (self.points / name).touch()

    def kill_at_each(self) -> None:
        """Kill at whatever instants are reached now."""
        held = [path for path in self.points.glob("*.reached") if self._pid(path)]
        self.hits += [path.name.removesuffix(".reached") for path in held]
        if held:
            self.kill(self.deployment, self._pid(held[0]))
        for path in held:
            path.with_name(path.name.replace(".reached", ".go")).touch()
            path.rename(path.with_name(path.name.replace(".reached", ".done")))

    def _pid(self, path: Path) -> int:
        return int(path.read_text() or 0)


def _kill(pid: int) -> None:
    assert pid > 1
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
    parent = _parent(held)
    # One whose parent was killed before has another by now, which is not ours.
    _kill(parent if parent > 1 else held)
    deployment.imagesmith("airflow", "up")


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


@pytest.mark.parametrize(
    "victim",
    [
        pytest.param(name, marks=[pytest.mark.chaos, *([pytest.mark.system] if name == "task" else [])])
        for name in VICTIMS
    ],
)
def test_killed_at_every_instant_of_every_step(deployment: Deployment, victim: str) -> None:
    write_generators(deployment.include, "killed")
    builds = Builds(deployment, Rest(deployment), "killed")
    matrix = Matrix(deployment, Path(deployment.environment["IMAGESMITH_CRASH_POINTS"]), VICTIMS[victim])
    began = time.monotonic()
    matrix.arm()
    builds.start(dict.fromkeys(CLOUDS, BUILDS_EACH))
    builds.until_ended(limit_s=LIMIT_S, meanwhile=matrix.kill_at_each)
    print(f"{victim}: {len(matrix.hits)} of {len(matrix.armed)} instants in {time.monotonic() - began:.0f} s")
    builds.assert_built_once()
    assert sorted(matrix.hits) == sorted(matrix.armed)


@pytest.mark.chaos
def test_the_matrix_finds_a_planted_fault(deployment: Deployment) -> None:
    """A step that does not look for what an earlier try has made launches a second instance."""
    deployment.imagesmith("airflow", "down")
    planted = f"{Path(__file__).parent / 'planted_fault'}{os.pathsep}{deployment.environment['PYTHONPATH']}"
    faulty = replace(deployment, environment={**deployment.environment, "PYTHONPATH": planted})
    with running(faulty):
        write_generators(faulty.include, "killed")
        builds = Builds(faulty, Rest(faulty), "killed")
        matrix = Matrix(faulty, Path(faulty.environment["IMAGESMITH_CRASH_POINTS"]), kill_task)
        matrix.arm()
        builds.start({"openstack-sierra": BUILDS_EACH})
        builds.until_ended(limit_s=LIMIT_S, meanwhile=matrix.kill_at_each)
        with pytest.raises(AssertionError, match=r"openstack-sierra: [56] instances for 2 builds, not 4"):
            builds.assert_built_once()
    deployment.imagesmith("airflow", "up")
