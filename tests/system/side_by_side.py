"""How the tests of two workers run side by side (`pytest -n 2 --dist loadgroup`), and which do not.

Each worker has its own sandbox and its own Airflow (`conftest.py`). What shares an Airflow stays in one worker, in two
halves of about the same length: builds on virtual machines, and builds on machines that answer by the clock. What needs
a sandbox alone goes wherever there is time. A test marked `alone` has the machine to itself, and comes last in its
half, so that nobody waits for it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

# Of the tests with an Airflow those whose builds run on virtual machines.
VIRTUAL = ("test_build", "test_verification")


def half(test_id: str) -> str:
    """The name of what stays in one worker, of which the test is a part."""
    path = PurePosixPath(test_id.partition("::")[0])
    if path.parent.name != "system" or path.stem.startswith("test_sandbox_"):
        return test_id
    return "virtual" if path.stem in VIRTUAL else "simulated"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Ours for `loadgroup`: xdist's own finds no group in the ids of pytest 9.2."""
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Halves(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return half(nodeid)

    return Halves(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts what is measured by the clock at the end."""
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
