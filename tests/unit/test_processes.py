"""Daemons start once, stop wholly, and never touch a stranger's process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagesmith.processes import Daemon, group_members, started_at

SLEEPER = [sys.executable, "-S", "-c", "import time; print('up', flush=True); time.sleep(60)"]
DEAF = ["/bin/sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.05; done"]


@pytest.fixture
def daemon(tmp_path: Path):  # type: ignore[no-untyped-def]
    one = Daemon("one", directory=tmp_path / "run")
    yield one
    one.stop(limit_s=1)


def test_start_twice_is_one_process(daemon: Daemon) -> None:
    pid = daemon.start(SLEEPER)
    assert daemon.start(SLEEPER) == pid == daemon.running()


def test_another_command_sees_the_same_daemon(daemon: Daemon) -> None:
    pid = daemon.start(SLEEPER)
    assert Daemon("one", directory=daemon.pid_path.parent).running() == pid


def test_stop_ends_the_whole_group(daemon: Daemon) -> None:
    pid = daemon.start(["/bin/sh", "-c", "sleep 60 & sleep 60; :"])
    assert daemon.stop() is True
    assert group_members(pid) == []
    assert daemon.running() is None and not daemon.pid_path.exists()


def test_stop_of_nothing_says_so(daemon: Daemon) -> None:
    assert daemon.stop() is False


def test_a_daemon_that_ignores_term_is_killed(daemon: Daemon) -> None:
    pid = daemon.start(DEAF)
    while not daemon.log_path.read_text():
        pass
    assert daemon.stop(limit_s=0.2) is True
    assert group_members(pid) == []


def test_a_reused_pid_is_not_ours(daemon: Daemon) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        daemon.pid_path.parent.mkdir(parents=True)
        daemon.pid_path.write_text(f"{stranger.pid} 1\n")
        assert daemon.running() is None
        assert daemon.stop() is False
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_an_ended_daemon_is_not_running(daemon: Daemon) -> None:
    pid = daemon.start(["/bin/true"])
    while started_at(pid) is not None:
        pass
    assert daemon.running() is None


def test_output_and_environment(daemon: Daemon) -> None:
    pid = daemon.start(["/bin/sh", "-c", "echo $COLOUR; echo wrong >&2"], env={"COLOUR": "blue"})
    while started_at(pid) is not None:
        pass
    assert daemon.log_path.read_text() == "blue\nwrong\n"


def test_own_process_has_a_start_time() -> None:
    assert started_at(os.getpid()) is not None


def test_a_daemon_that_cannot_be_remembered_is_not_left_running(tmp_path):
    (tmp_path / "one.pid.new").mkdir()  # as good as a full disk
    with pytest.raises(OSError):
        Daemon("one", directory=tmp_path).start([*SLEEPER, str(tmp_path)])
    marked = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path) in path.read_text()]
    assert marked == []
