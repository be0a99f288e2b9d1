"""That tests take turns where one has to be alone."""

import fcntl
from pathlib import Path

import pytest

from .side_by_side import turn


def may(place: Path, *, alone: bool) -> bool:
    """True if another test could begin now."""
    with (place / "turn").open("a") as track:
        try:
            fcntl.flock(track, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@pytest.mark.parametrize(("running", "beside"), [(False, True), (True, False)])
def test_beside_one_that_is_alone_nothing_runs(tmp_path, running, beside):
    with turn(tmp_path, alone=running):
        assert may(tmp_path, alone=False) is beside
        assert may(tmp_path, alone=True) is False
    assert may(tmp_path, alone=True)
