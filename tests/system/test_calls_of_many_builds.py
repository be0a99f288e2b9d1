"""Many builds at once on one account: how often the cloud is asked, and what it costs.

Real tasks, trigger and database; machines that answer by the clock. The calls are counted at the sandbox's door.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from bench.memory import Watch

from .airflow_rest import Rest
from .conftest import Deployment
from .simulated_builds import Builds, write_generators
from .test_unreliable_clouds import component_pids

# Packer 1.6.6 makes 19 for each image on the same cloud.
MOST_CALLS_PER_BUILD = 19 / 4


@pytest.fixture
def quiet(deployment: Deployment) -> Iterator[Deployment]:
    """An account on which nothing has happened."""
    deployment.sandbox.control("reset", {"account": "ec2"})
    deployment.sandbox.control("settings", {"account": "ec2", "boot_s": 5, "image_s": 5, "stop_s": 1})
    yield deployment
    deployment.sandbox.control("reset", {"account": "ec2"})


@pytest.mark.chaos
def test_a_hundred_builds_ask_the_cloud_less_than_five_times_each(quiet: Deployment) -> None:
    count = 100
    write_generators(quiet.include, "many", verify=False)
    builds = Builds(quiet, Rest(quiet), "many")
    began = time.monotonic()
    with Watch(component_pids(quiet)) as memory:
        builds.start({"ec2": count})
        builds.until_ended(limit_s=600 + 10 * count)
    calls = quiet.sandbox.control("calls")
    print(
        f"\n{count} builds in {time.monotonic() - began:.0f} s, {calls['total'] / count} calls each: {calls['actions']}"
    )
    print(f"at most {memory.peak.processes} processes with {memory.peak.memory_mib:.0f} MiB, the sandbox aside")
    builds.assert_built_once()
    assert calls["total"] / count <= MOST_CALLS_PER_BUILD
