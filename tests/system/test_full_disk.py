"""The disk under Airflow, its database, the catalog and all logs is full in the middle of builds; then has room."""

from __future__ import annotations

import errno
import subprocess
import time
from collections.abc import Iterator

import pytest

from imagesmith.core import TargetState
from imagesmith.crash_points import AFTER_CALL, IN_WAIT
from imagesmith.steps.runner import Step

from .airflow_rest import Rest
from .conftest import Deployment, own_include, own_sandbox, own_settings, running
from .kill_matrix import Matrix, let_go
from .sandbox_listing import launched_on, left_on
from .simulated_builds import CLOUDS, Builds, write_generators

SIZE_MIB = 600
# Longer than the catalog is tried again before a step gives up.
FULL_S = 30.0
LIMIT_S = 900.0
INSTANTS = (
    f"{Step.LAUNCH_VM}.{{}}.{AFTER_CALL}",
    f"{Step.CUSTOMIZE}.{{}}.{IN_WAIT}",
    f"{Step.SNAPSHOT_IMAGE}.{{}}.{AFTER_CALL}",
)


@pytest.fixture
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """An Airflow whose whole home is a small file system of its own, over a cloud of its own."""
    home = tmp_path_factory.mktemp("small")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=0755", "tmpfs", str(home)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"needs to mount a small file system: {mounted.stderr.strip()}")
    try:
        include = own_include(tmp_path_factory)
        with own_sandbox(tmp_path_factory) as sandbox:
            environment = {**sandbox.environment, **own_settings(include), "IMAGESMITH_HOME": str(home)}
            with running(Deployment(home, environment, include, sandbox)) as started:
                yield started
    finally:
        subprocess.run(["umount", "--lazy", str(home)], check=True)


def fill_while_they_go_on(deployment: Deployment, holders: list[int]) -> None:
    """Not a byte is free for a while, in which those that were held go on."""
    filler = deployment.home / "filler"
    _fill(deployment)
    let_go(deployment)
    time.sleep(FULL_S)
    filler.unlink()
    deployment.imagesmith("airflow", "up")


def _fill(deployment: Deployment) -> None:
    with (deployment.home / "filler").open("wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    filler.write(b"\0" * size)
            except OSError as error:
                assert error.errno == errno.ENOSPC


@pytest.mark.chaos
def test_builds_outlive_a_full_disk(small: Deployment) -> None:
    write_generators(small.include, "full")
    builds = Builds(small, Rest(small), "full")
    matrix = Matrix(small, fill_while_they_go_on)
    matrix.arm(instant.format(cloud) for instant in INSTANTS for cloud in CLOUDS)
    builds.start(dict.fromkeys(CLOUDS, 1))
    try:
        builds.until_ended(limit_s=LIMIT_S, meanwhile=matrix.kill_at_each)
    finally:
        matrix.disarm()
    print(f"\nthe disk was full {matrix.kills} times, at {len(matrix.hits)} instants")
    assert matrix.kills > 0
    for cloud, [build_id] in builds.ids().items():
        target = small.catalog.target(build_id, cloud)
        print(f"{cloud}: {target.state} {target.error}")
        launched = launched_on(small.sandbox, cloud) - builds.launched[cloud]
        assert len(launched) <= builds.machines_of(build_id, cloud)
        assert target.state is TargetState.SUCCESSFUL or target.error
        there, recorded = builds.side_by_side(cloud)
        assert there == recorded
        assert len(there) == (target.state is TargetState.SUCCESSFUL)
        assert left_on(small.sandbox, cloud) == []
