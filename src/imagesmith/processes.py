"""Background processes that outlive the command that starts them.

A daemon is one process group with a pid file and a log. The pid file also holds the moment the
process started, so that a pid which the kernel has meanwhile given to somebody else is never signalled.
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_POLL_S = 0.05
# Of /proc/PID/stat, counted from the field after the name: pgrp, session and starttime (fields 5, 6 and 22 of proc(5)).
_GROUP_FIELD = 2
_SESSION_FIELD = 3
_START_TIME_FIELD = 19


def started_at(pid: int) -> str | None:
    """Clock ticks after boot at which the process started, or None if it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name in brackets may itself hold blanks and brackets
    return None if fields[0] in ("Z", "X") else fields[_START_TIME_FIELD]


def group_members(group: int) -> list[int]:
    """Living processes (zombies left out) of the process group."""
    return _living(_GROUP_FIELD, group)


def session_members(session: int) -> list[int]:
    """Living processes (zombies left out) of the session, its leader among them."""
    return _living(_SESSION_FIELD, session)


def _living(field: int, value: int) -> list[int]:
    members = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[field]) == value and fields[0] not in ("Z", "X"):
            members.append(int(entry.name))
    return members


class Daemon:
    """A named background process whose files lie in one directory: `<name>.pid` and `<name>.log`."""

    def __init__(self, name: str, *, directory: Path) -> None:
        self.name = name
        self.pid_path = directory / f"{name}.pid"
        self.log_path = directory / f"{name}.log"

    def start(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> int:
        """The pid of the running daemon; starts it unless it runs already.

        `env` replaces the whole environment; the log is appended to. Raises OSError, and leaves nothing running, if its
        files cannot be written.
        """
        running = self.running()
        if running is not None:
            return running
        self.pid_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            process = subprocess.Popen(
                list(argv),
                env=None if env is None else dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._remember(process.pid)
        except OSError:
            # A process that nobody knows of would be there twice after the next start.
            self._signal(process.pid, signal.SIGKILL)
            process.wait()
            raise
        return process.pid

    def running(self) -> int | None:
        """The daemon's pid if it lives, else None."""
        recorded = self._recorded()
        if recorded is None:
            return None
        pid, start_time = recorded
        self._reap(pid)
        return pid if started_at(pid) == start_time else None

    def stop(self, *, limit_s: float = 20.0) -> bool:
        """True if something was running; nothing of its process group is left afterwards.

        The group gets SIGTERM, and SIGKILL once `limit_s` has passed.
        """
        pid = self.running()
        if pid is None:
            self.pid_path.unlink(missing_ok=True)
            return False
        self._signal(pid, signal.SIGTERM)
        if not self._ends(pid, limit_s=limit_s):
            self._signal(pid, signal.SIGKILL)
            self._ends(pid, limit_s=5.0)
        self.pid_path.unlink(missing_ok=True)
        return True

    def _remember(self, pid: int) -> None:
        written = self.pid_path.with_suffix(".pid.new")
        written.write_text(f"{pid} {started_at(pid) or 'gone'}\n")
        written.replace(self.pid_path)

    def _recorded(self) -> tuple[int, str] | None:
        try:
            pid, start_time = self.pid_path.read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid), start_time

    def _ends(self, pid: int, *, limit_s: float) -> bool:
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            self._reap(pid)
            if not group_members(pid):
                self._reap(pid)  # it may have ended since the last look
                return True
            time.sleep(_POLL_S)
        return False

    @staticmethod
    def _reap(pid: int) -> None:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass  # started by an earlier command, so init reaps it

    @staticmethod
    def _signal(pid: int, number: signal.Signals) -> None:
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            pass  # it ended by itself in the meantime
