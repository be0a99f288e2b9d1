"""The PostgreSQL of one machine, for real: it lets in who knows the password, and keeps what was committed."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from imagesmith.local.postgres import Postgres


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    directory = tmp_path_factory.mktemp("postgres")
    one = Postgres(directory / "data", run_directory=directory / "run", password="right")
    one.start()
    yield one
    one.stop()


def ask(url: str, text: str) -> object:
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.begin() as connection:
            result = connection.execute(sqlalchemy.text(text))
            return result.scalar() if result.returns_rows else None
    finally:
        engine.dispose()


def test_databases_are_made_once(server: Postgres) -> None:
    for _ in range(2):
        server.ensure_database("catalog")
    assert ask(server.url("catalog"), "SELECT current_database()") == "catalog"


def test_a_wrong_password_is_refused(server: Postgres) -> None:
    with pytest.raises(sqlalchemy.exc.OperationalError, match="password authentication failed"):
        ask(server.url("postgres").replace(":right@", ":wrong@"), "SELECT 1")


def test_it_listens_on_loopback_only_and_has_no_socket_file(server: Postgres) -> None:
    assert ask(server.url("postgres"), "SHOW listen_addresses") == "127.0.0.1"
    assert ask(server.url("postgres"), "SHOW unix_socket_directories") == ""
    assert ask(server.url("postgres"), "SHOW fsync") == "on"


def test_what_was_committed_survives_a_stop_and_a_kill(server: Postgres) -> None:
    url = server.url("postgres")
    ask(url, "CREATE TABLE kept (x int)")
    ask(url, "INSERT INTO kept VALUES (7)")
    assert server.stop() is True
    assert server.daemon.running() is None
    server.start()
    assert server.url("postgres") == url, "addresses that were written down stay true"
    server.daemon.stop(limit_s=0)
    server.start()
    assert ask(url, "SELECT x FROM kept") == 7


def test_one_that_was_killed_is_revived_at_its_address_and_one_that_runs_is_left_alone(server: Postgres) -> None:
    pid, url = server.daemon.running(), server.url("postgres")
    assert server.revive() is False
    assert server.daemon.running() == pid
    assert pid is not None
    os.killpg(pid, signal.SIGKILL)
    while server.daemon.running() is not None:
        pass
    assert server.revive() is True
    assert server.daemon.running() not in (None, pid)
    assert (server.url("postgres"), ask(url, "SELECT 1")) == (url, 1)


def test_one_that_was_just_dying_when_it_was_asked_for_is_followed_by_another(
    server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid, running = server.daemon.running(), server.daemon.running
    assert pid is not None
    os.killpg(pid, signal.SIGKILL)
    while running() is not None:
        pass
    before = iter([pid])
    monkeypatch.setattr(server.daemon, "running", lambda: next(before, None) or running())
    server.start()
    assert running() not in (None, pid)
    assert ask(server.url("postgres"), "SELECT 1") == 1


def test_one_whose_children_have_not_ended_yet_is_followed_by_another(server: Postgres) -> None:
    pid = server.daemon.running()
    assert pid is not None
    children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    os.kill(children[0], signal.SIGSTOP)
    threading.Timer(1.5, os.kill, (children[0], signal.SIGCONT)).start()
    os.killpg(pid, signal.SIGKILL)
    while server.daemon.running() is not None:
        pass
    server.start()
    assert "pre-existing shared memory block" in server.daemon.log_path.read_text()
    assert ask(server.url("postgres"), "SELECT 1") == 1


def test_one_whose_death_its_parent_has_not_noted_yet_is_followed_by_another(server: Postgres) -> None:
    server.stop()
    starts = "import sys; from pathlib import Path; from imagesmith.local.postgres import Postgres; "
    starts += "Postgres(Path(sys.argv[1]), run_directory=Path(sys.argv[2]), password='right').start(); "
    starts += "print('started', flush=True); sys.stdin.read()"
    places = [str(server.daemon.pid_path.parents[1] / "data"), str(server.daemon.pid_path.parent)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", starts, *places], **pipes) as parent:
        assert parent.stdout is not None
        assert parent.stdin is not None
        assert parent.stdout.readline() == "started\n"
        pid = server.daemon.running()
        assert pid is not None
        os.killpg(pid, signal.SIGKILL)
        # It is a zombie until its parent ends.
        threading.Timer(1.0, parent.stdin.close).start()
        server.start()
        assert server.daemon.running() not in (None, pid)
    assert ask(server.url("postgres"), "SELECT 1") == 1


def test_one_that_was_stopped_is_not_revived(server: Postgres) -> None:
    server.stop()
    assert server.revive() is False
    server.start()


def test_start_twice_is_one_server(server: Postgres) -> None:
    pid = server.daemon.running()
    server.start()
    assert server.daemon.running() == pid


def test_stop_of_nothing_says_so(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "data", run_directory=tmp_path / "run", password="right")
    assert server.stop() is False
