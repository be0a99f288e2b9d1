"""The kill matrix: every step of every cloud type, at each of five instants, with each victim killed there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from .airflow_rest import Rest, until
from .conftest import Deployment, running
from .kill_matrix import VICTIMS, Matrix, every_call, every_instant, every_instant_once
from .simulated_builds import CLOUDS, Builds, write_generators

LIMIT_S = 1200.0
# An instance takes so long to go that a teardown has to wait for it, unless it was held meanwhile.
STOP_S = 3.0
SHORT_STOP_S = 0.1  # else
# A launch waits for a cloud's listings anew after each kill; it is not the limits of steps that are tested here.
LONG = {"time_limit": "2h", "time_limits": dict.fromkeys(("launch", "customize", "save", "verify", "terminate"), "1h")}


@contextmanager
def armed(deployment: Deployment, victim: str, names: Iterable[str]) -> Iterator[Matrix]:
    """These instants armed, and none at the end."""
    let_go_after(deployment, STOP_S)
    matrix = Matrix(deployment, VICTIMS[victim].kill, VICTIMS[victim].gather_s)
    matrix.arm(names)
    try:
        yield matrix
    finally:
        matrix.disarm()
        let_go_after(deployment, SHORT_STOP_S)


def let_go_after(deployment: Deployment, stop_s: float) -> None:
    """How long an instance of the sandbox takes to go."""
    for account in CLOUDS:
        deployment.sandbox.control("settings", {"account": account, "stop_s": stop_s})


def every_place() -> set[str]:
    """All instants there are."""
    return every_instant() | every_call()


@pytest.mark.parametrize(
    ("victim", "names", "builds_each"),
    [
        # The short form, for CI.
        pytest.param("task", every_instant_once, 1, id="task, short", marks=pytest.mark.system),
        *(
            pytest.param(name, every_place, victim.builds_each, id=name, marks=pytest.mark.chaos)
            for name, victim in VICTIMS.items()
        ),
    ],
)
def test_killed_at_every_instant_of_every_step(
    deployment: Deployment, victim: str, names: Callable[[], set[str]], builds_each: int
) -> None:
    deployment.imagesmith("airflow", "up")  # well again after the last kill of the victim before
    # Another victim's builds would launch instances among ours.
    until(lambda: not deployment.catalog.builds(only_open=True), "no build is left of another victim", limit_s=LIMIT_S)
    write_generators(deployment.include, "killed", **LONG)
    builds = Builds(deployment, Rest(deployment), "killed")
    began = time.monotonic()
    with armed(deployment, victim, names()) as matrix:
        builds.start(dict.fromkeys(CLOUDS, builds_each))
        builds.until_ended(limit_s=LIMIT_S, meanwhile=matrix.kill_at_each)
    print(
        f"\n{victim}: {len(matrix.hits)} of {len(matrix.armed)} instants, {matrix.kills} kills, "
        f"{builds_each * len(CLOUDS)} builds in {time.monotonic() - began:.0f} s"
    )
    builds.assert_built_once()
    assert matrix.missed() == []


@pytest.mark.chaos
def test_the_matrix_finds_a_planted_fault(deployment: Deployment) -> None:
    """A step that does not look for what an earlier try has made launches a second instance."""
    deployment.imagesmith("airflow", "down")
    planted = f"{Path(__file__).parent / 'planted_fault'}{os.pathsep}{deployment.environment['PYTHONPATH']}"
    faulty = replace(deployment, environment={**deployment.environment, "PYTHONPATH": planted})
    try:
        with running(faulty):
            # The second instance of a build is in the way of its verification, which would wait for its limit.
            write_generators(faulty.include, "killed", time_limits={"verify": "3m"})
            builds = Builds(faulty, Rest(faulty), "killed")
            with armed(faulty, "task", every_call()) as matrix:
                builds.start({"openstack-sierra": VICTIMS["task"].builds_each})
                builds.until_ended(limit_s=LIMIT_S, meanwhile=matrix.kill_at_each)
            with pytest.raises(AssertionError, match=r"[0-9] instances for 3 builds, not 6|failed: .*verify"):
                builds.assert_built_once()
    finally:
        deployment.imagesmith("airflow", "up")
