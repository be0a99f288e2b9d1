"""How the tests of several workers run side by side (`pytest -n 2 --dist loadgroup`), and which do not.

Each worker has its own sandbox and its own Airflow (`conftest.py`). What shares an Airflow's long life stays in one
worker, in two halves of about the same length: builds on virtual machines, and builds on machines that answer by the
clock. What needs the sandbox alone goes wherever there is time. A test marked `alone` has the machine to itself, and
comes last in its half, so that nobody waits for it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ON_VIRTUAL_MACHINES = "test_build"


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Names the half of each test that needs Airflow, and puts what is measured by the clock at the end."""
    for item in items:
        if "deployment" in getattr(item, "fixturenames", ()):
            half = "virtual" if item.path.stem == ON_VIRTUAL_MACHINES else "simulated"
            item.add_marker(pytest.mark.xdist_group(half))
    items.sort(key=_alone)  # a stable sort: modules stay together


def _alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Runs the test, what it sets up included, when its turn has come."""
    if "PYTEST_XDIST_WORKER" not in os.environ or item.get_closest_marker("system") is None:
        return (yield)
    with turn(Path(item.config.getoption("basetemp")).parent, alone=_alone(item)):
        return (yield)


@contextmanager
def turn(place: Path, *, alone: bool) -> Iterator[None]:
    """Beside others that are not `alone`; who waits to be alone lets nobody begin meanwhile.

    `place` is the directory of the run, in which each worker has its own.
    """
    with (place / "turn-gate").open("w") as gate, (place / "turn").open("w") as track:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(track, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield
