"""Components start once, end with all their children, and come back when they die."""

import http.server
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from imagesmith.errors import SetupError
from imagesmith.local import components, health, keeper, ports
from imagesmith.local.components import API_SERVER, COMPONENTS, SCHEDULER, Component
from imagesmith.local.heartbeats import SILENT_S, WATCHED_S, Heartbeats
from imagesmith.local.lock import locked, try_locked
from imagesmith.processes import Daemon, session_members, started_at

# Starts a child in a process group of its own, as Airflow does with a task, and tells both numbers.
PARENT = """
import os, time
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    time.sleep(60)
print(child, flush=True)
time.sleep(60)
"""


def output(daemon: Daemon) -> str:
    deadline = time.monotonic() + 5
    while not daemon.log_path.read_text().endswith("\n"):
        assert time.monotonic() < deadline
    return daemon.log_path.read_text()


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """A daemon in the place of the scheduler, and its child in another process group."""
    daemon = components.daemon_of(SCHEDULER, tmp_path)
    pid = daemon.start([sys.executable, "-S", "-c", PARENT])
    child = int(output(daemon))
    yield pid, child
    for one in session_members(pid):
        os.kill(one, signal.SIGKILL)


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while started_at(pid) is not None and time.monotonic() < deadline:
        pass
    return started_at(pid) is None


def test_stop_reaches_children_in_other_groups(scheduler: tuple[int, int], tmp_path: Path) -> None:
    assert components.stop(SCHEDULER, tmp_path) is True
    assert gone(scheduler[0]) and gone(scheduler[1])
    assert components.stop(SCHEDULER, tmp_path) is False


def test_stop_ends_what_a_killed_component_left_behind(scheduler: tuple[int, int], tmp_path: Path) -> None:
    os.kill(scheduler[0], signal.SIGKILL)
    assert gone(scheduler[0]) and started_at(scheduler[1]) is not None
    assert components.stop(SCHEDULER, tmp_path) is False
    assert gone(scheduler[1])


def test_a_killed_component_starts_again_without_its_leftovers(
    scheduler: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "airflow"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    os.kill(scheduler[0], signal.SIGKILL)
    assert gone(scheduler[0])
    try:
        assert components.ensure_running(SCHEDULER, tmp_path, env=os.environ) is True
        assert components.ensure_running(SCHEDULER, tmp_path, env=os.environ) is False
        assert gone(scheduler[1])
    finally:
        components.stop(SCHEDULER, tmp_path)


def test_the_scheduler_starts_last_because_its_tasks_need_the_api() -> None:
    assert [one.name for one in COMPONENTS] == ["api-server", "dag-processor", "triggerer", "scheduler"]


def test_nobody_serves_logs_to_the_network() -> None:
    servers = [one for one in COMPONENTS if one.name in ("scheduler", "triggerer")]
    assert all("--skip-serve-logs" in one.arguments for one in servers)


def test_the_lock_is_held_by_one(tmp_path: Path) -> None:
    with locked(tmp_path), try_locked(tmp_path) as held:
        assert held is False
    with try_locked(tmp_path) as held:
        assert held is True


def test_the_keeper_goes_on_when_a_component_cannot_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "airflow"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    first, *others = COMPONENTS
    components.daemon_of(first, tmp_path).log_path.mkdir()  # as good as a full disk
    try:
        keeper.look_after(tmp_path, {one.name: keeper.Patience() for one in COMPONENTS})
        running = {one.name for one in COMPONENTS if components.daemon_of(one, tmp_path).running()}
        assert running == {one.name for one in others}
    finally:
        for one in others:
            components.stop(one, tmp_path)


def test_the_keeper_waits_longer_after_each_early_death() -> None:
    patience = keeper.Patience()
    waits = []
    now = 0.0
    for _ in range(8):
        start = now
        while not patience.ready(now):
            now += 0.5
        waits.append(now - start)
        patience.note_start(now)
    assert waits == [0, 2, 4, 8, 16, 32, 60, 60]


def test_the_keeper_forgets_early_deaths_after_a_long_life() -> None:
    patience = keeper.Patience()
    for now in (0.0, 10.0, 20.0):
        patience.note_start(now)
    patience.note_start(1000.0)
    assert patience.ready(1002.0)


def test_an_occupied_port_is_not_free() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        assert not ports.is_free(server.server_port)
    assert ports.is_free(ports.any_free())


class Api:
    """An API server that tells the health it is given."""

    def __init__(self) -> None:
        self.report: dict[str, Any] = {}
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name http.server calls
                body = json.dumps(api.report).encode()
                self.send_response(200 if api.report else 503)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name http.server gives
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def tell(self, *, age_s: float = -60.0, **other: str) -> None:
        beat = (datetime.now(UTC) - timedelta(seconds=age_s)).isoformat()
        names = {one.health_key for one in COMPONENTS}
        self.report = {name: {"status": other.get(name, "healthy"), f"latest_{name}_heartbeat": beat} for name in names}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def api() -> Iterator[Api]:
    one = Api()
    yield one
    one.close()


@pytest.fixture
def sleepers(tmp_path: Path) -> Iterator[Path]:
    """All four components as processes that do nothing."""
    for one in COMPONENTS:
        daemon = components.daemon_of(one, tmp_path)
        daemon.start(["/bin/sh", "-c", "echo up; exec sleep 60"])
        output(daemon)
    yield tmp_path
    for one in COMPONENTS:
        components.stop(one, tmp_path)


def complaint(component: Component, run_dir: Path, api: Api) -> str:
    return health.complaints([component], run_dir, url=api.url)[component.name]


def test_all_is_well(sleepers: Path, api: Api) -> None:
    api.tell()
    health.await_healthy(sleepers, url=api.url, limit_s=0)


def test_a_component_that_is_not_healthy_yet_is_starting(sleepers: Path, api: Api) -> None:
    api.tell(scheduler="unhealthy")
    assert complaint(SCHEDULER, sleepers, api) == "starting"


def test_the_heartbeat_of_a_predecessor_does_not_count(sleepers: Path, api: Api) -> None:
    api.tell(age_s=30)
    assert complaint(SCHEDULER, sleepers, api) == "starting"


def test_a_dead_process_is_not_well_whatever_the_report_says(sleepers: Path, api: Api) -> None:
    api.tell()
    components.stop(SCHEDULER, sleepers)
    assert complaint(SCHEDULER, sleepers, api) == "not running"


def test_a_death_is_told_with_the_end_of_the_log(sleepers: Path, api: Api) -> None:
    components.daemon_of(SCHEDULER, sleepers).stop()
    with pytest.raises(SetupError, match=r"scheduler ended by itself; the end of .*scheduler.log:\nup"):
        health.await_healthy(sleepers, url=api.url, limit_s=5)


def test_patience_ends_with_the_reason_for_each(sleepers: Path, api: Api) -> None:
    api.tell(triggerer="unhealthy")
    with pytest.raises(SetupError, match=r"not well after 0 s: triggerer \(starting\); its logs are in"):
        health.await_healthy(sleepers, url=api.url, limit_s=0)


def test_no_answer_is_no_report() -> None:
    assert health.report(f"http://127.0.0.1:{ports.any_free()}") == {}


def test_a_component_whose_heartbeats_stay_away_is_stuck(sleepers: Path, api: Api) -> None:
    """Not at once: it must have been silent for two minutes, and be seen silent for one."""
    heartbeats = Heartbeats()
    _started_long_ago(sleepers)
    api.tell()
    api.report["scheduler"]["latest_scheduler_heartbeat"] = _ago(SILENT_S - 5)
    assert heartbeats.stuck(api.report, sleepers, now=0) == []
    api.report["scheduler"]["latest_scheduler_heartbeat"] = _ago(SILENT_S + 5)
    assert heartbeats.stuck(api.report, sleepers, now=1) == []
    assert heartbeats.stuck(api.report, sleepers, now=WATCHED_S) == []
    assert heartbeats.stuck(api.report, sleepers, now=1 + WATCHED_S) == [SCHEDULER]


def test_who_was_just_started_or_beats_again_is_not_stuck(sleepers: Path, api: Api) -> None:
    heartbeats = Heartbeats()
    api.tell(age_s=1000)
    assert heartbeats.stuck(api.report, sleepers, now=0) == []
    assert heartbeats.stuck(api.report, sleepers, now=WATCHED_S) == []
    _started_long_ago(sleepers)
    assert heartbeats.stuck(api.report, sleepers, now=1000) == []
    api.tell()
    assert heartbeats.stuck(api.report, sleepers, now=1001) == []
    api.tell(age_s=1000)
    assert heartbeats.stuck(api.report, sleepers, now=1000 + WATCHED_S) == []


def test_nobody_is_stuck_for_a_database_that_is_away(sleepers: Path, api: Api) -> None:
    heartbeats = Heartbeats()
    _started_long_ago(sleepers)
    for now in (0.0, 1000.0):
        api.tell(age_s=1000, metadatabase="unhealthy")
        assert heartbeats.stuck(api.report, sleepers, now=now) == []
    api.tell(age_s=1000)
    assert heartbeats.stuck(api.report, sleepers, now=1000) == []


def test_an_api_server_that_gives_no_answer_is_stuck(sleepers: Path, api: Api) -> None:
    """And nobody else, however long their heartbeats were not heard of."""
    heartbeats = Heartbeats()
    _started_long_ago(sleepers)
    assert heartbeats.stuck({}, sleepers, now=0) == []
    assert heartbeats.stuck({}, sleepers, now=WATCHED_S - 1) == []
    assert heartbeats.stuck({}, sleepers, now=WATCHED_S) == [API_SERVER]


def test_an_api_server_that_answered_a_moment_ago_or_was_just_started_is_not_stuck(sleepers: Path, api: Api) -> None:
    heartbeats = Heartbeats()
    for now in (0.0, WATCHED_S):
        assert heartbeats.stuck({}, sleepers, now=now) == [], "just started"
    _started_long_ago(sleepers)
    api.tell(metadatabase="unhealthy")
    assert heartbeats.stuck(api.report, sleepers, now=1000) == []
    for now in (1001.0, 1001 + WATCHED_S):
        assert heartbeats.stuck({}, sleepers, now=now) == [], "it has answered"


def test_who_never_gave_a_heartbeat_or_is_dead(sleepers: Path, api: Api) -> None:
    heartbeats = Heartbeats()
    _started_long_ago(sleepers)
    components.stop(SCHEDULER, sleepers)
    api.report = {"metadatabase": {"status": "healthy"}}
    assert heartbeats.stuck(api.report, sleepers, now=0) == []
    stuck = heartbeats.stuck(api.report, sleepers, now=WATCHED_S)
    assert [one.name for one in stuck] == ["dag-processor", "triggerer"]


def test_the_keeper_ends_what_is_stuck_with_all_its_children(scheduler: tuple[int, int], tmp_path: Path) -> None:
    keeper.end_stuck([SCHEDULER], tmp_path)
    assert gone(scheduler[0]) and gone(scheduler[1])


def _started_long_ago(run_dir: Path) -> None:
    for one in COMPONENTS:
        os.utime(components.daemon_of(one, run_dir).pid_path, (0, time.time() - 1000))


def _ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
