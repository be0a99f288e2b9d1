"""Clouds of which a tenth of all calls fails: every build comes to its end, none twice, and nothing is left.

Real tasks, trigger and database; machines that answer by the clock. What can fail is listed in sandbox/unreliable.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from bench.memory import Watch

from imagesmith.core import TargetState

from .airflow_rest import Rest
from .conftest import Deployment
from .sandbox_listing import left_on
from .simulated_builds import CLOUDS, Builds, write_generators

RATE = 0.1
# With it the third call of an account is the first to fail, so that some fail of however few.
SEED = 2027
FEW = {"ec2": 2, "openstack-sierra": 2, "nimbus-hotel-kvm": 2}
HUNDRED = {"ec2": 60, "openstack-sierra": 20, "nimbus-hotel-kvm": 20}


@pytest.fixture
def unreliable(deployment: Deployment) -> Iterator[Deployment]:
    """Every door of the sandbox fails now and then."""
    room = {"account": "openstack-sierra", "floating_ips": -1, "instances": -1}
    deployment.sandbox.control("settings", room)
    for account in CLOUDS:
        deployment.sandbox.control("settings", {"account": account, "boot_s": 5, "image_s": 5, "stop_s": 1})
    deployment.sandbox.control("unreliable", {"rate": RATE, "seed": SEED})
    yield deployment
    deployment.sandbox.control("unreliable", {})


def component_pids(deployment: Deployment) -> list[int]:
    """The processes under which all of Airflow and its database run."""
    return [int(path.read_text().split()[0]) for path in (deployment.home / "airflow").rglob("*.pid")]


@pytest.mark.parametrize(
    "counts", [pytest.param(FEW, marks=pytest.mark.system), pytest.param(HUNDRED, marks=pytest.mark.chaos)]
)
def test_every_build_ends_and_nothing_is_left(unreliable: Deployment, counts: dict[str, int]) -> None:
    write_generators(unreliable.include, "unreliable", verify=False)
    builds = Builds(unreliable, Rest(unreliable), "unreliable")
    began = time.monotonic()
    with Watch(component_pids(unreliable)) as memory:
        builds.start(counts)
        builds.until_ended(limit_s=600 + 15 * sum(counts.values()))
    print(f"at most {memory.peak.processes} processes with {memory.peak.memory_mib:.0f} MiB, the sandbox aside")
    trouble = unreliable.sandbox.control("unreliable")
    for account in CLOUDS:
        print(f"{account}: {trouble[account]['calls']} calls, of which failed {trouble[account]['happened']}")
        assert sum(trouble[account]["happened"].values()) > 0
    print(f"{sum(counts.values())} builds in {time.monotonic() - began:.0f} s")
    builds.assert_built_once()


@pytest.mark.system
@pytest.mark.alone  # its launches must have begun and met their limit before the trouble ends
def test_a_cloud_that_never_answers_well_fails_the_build_with_its_reason(unreliable: Deployment) -> None:
    """Where the trouble outlasts the step's limit."""
    limits = {"time_limits": {"launch": "15s", "terminate": "60s"}}
    write_generators(unreliable.include, "hopeless", verify=False, **limits)
    builds = Builds(unreliable, Rest(unreliable), "hopeless")
    kinds = ["throttled", "error", "unavailable", "reset"]
    for account in CLOUDS:
        unreliable.sandbox.control("unreliable", {"account": account, "rate": 1, "kinds": kinds})
    builds.start(dict.fromkeys(CLOUDS, 1))
    time.sleep(30)
    unreliable.sandbox.control("unreliable", {})
    builds.until_ended(limit_s=300)
    for cloud, [build_id] in builds.ids().items():
        target = unreliable.catalog.target(build_id, cloud)
        assert target.state is TargetState.FAILED
        assert "(time_limits.launch) is used up; the last trouble was: " in target.error, target.error
        assert left_on(unreliable.sandbox, cloud) == []
        assert builds.side_by_side(cloud) == ([], [])
