"""That what shares an Airflow stays in one worker, and that tests take turns where one has to be alone."""

import fcntl
from pathlib import Path

import pytest

from .side_by_side import half, turn

HERE = Path(__file__).parent
HALVES = {"virtual", "simulated"}


def test_who_shares_an_airflow_stays_together():
    names = ("test_passwords", "test_limits", "test_kill_matrix")
    together = {half(f"tests/system/{name}.py::test_one") for name in names}
    assert together == {"simulated"}
    assert half("tests/system/test_build.py::test_one[a/b::c]") == "virtual"
    clients = ["tests/system/test_sandbox_clients.py::test_boto3", "tests/contract/test_cloud.py::test_whole[ec2]"]
    assert [half(each) for each in clients] == clients


def test_what_goes_anywhere_starts_no_airflow():
    anywhere = [path for path in HERE.glob("test_*.py") if half(f"tests/system/{path.name}::test") not in HALVES]
    assert anywhere
    assert [path.name for path in anywhere if "Deployment" in path.read_text()] == []


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
