"""Brings back a component of Airflow that has died or does nothing any more, and the PostgreSQL of this machine.

Runs as a background process of its own: `python -m imagesmith.local.keeper`, in the components' environment.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from types import FrameType

from imagesmith import settings
from imagesmith.errors import SetupError
from imagesmith.local import components, health
from imagesmith.local.components import COMPONENTS, Component, ensure_running, run_directory
from imagesmith.local.heartbeats import Heartbeats
from imagesmith.local.lock import try_locked
from imagesmith.local.postgres import Postgres
from imagesmith.processes import Daemon

_LOOK_EVERY_S = 1.0
_LISTEN_EVERY_S = 15.0
_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 60.0
_SOON_S = 180.0
_DATABASE = "PostgreSQL"
_log = logging.getLogger("imagesmith.keeper")


class Patience:
    """How long to leave a component alone: twice as long after each start that came soon after the last."""

    def __init__(self) -> None:
        self._pause_s = 0.0
        self._started: float | None = None

    def ready(self, now: float) -> bool:
        """True if the component may be started again at this moment (seconds of a monotonic clock)."""
        return self._started is None or now >= self._started + self._pause_s

    def note_start(self, now: float) -> None:
        """Remembers that the component was started."""
        soon = self._started is not None and now < self._started + _SOON_S
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S) if soon else _FIRST_PAUSE_S
        self._started = now


def daemon(run_dir: Path) -> Daemon:
    """The keeper as a background process."""
    return Daemon("keeper", directory=run_dir)


def command() -> list[str]:
    """What to start it with."""
    return [sys.executable, "-m", "imagesmith.local.keeper"]


def keep() -> None:
    """Looks after the components until it is told to end."""
    run_dir = run_directory(settings.airflow_dir())
    patience = {name: Patience() for name in (_DATABASE, *(component.name for component in COMPONENTS))}
    # No password is needed to start what was made before.
    database = Postgres(settings.airflow_dir() / "postgres", run_directory=run_dir, password="")
    heartbeats, listen_at = Heartbeats(), 0.0
    while True:
        stuck: list[Component] = []
        if time.monotonic() >= listen_at and (url := _url()):
            stuck = heartbeats.stuck(health.report(url), run_dir, now=time.monotonic())
            listen_at = time.monotonic() + _LISTEN_EVERY_S
        # Whoever holds the lock is starting or ending things right now.
        with try_locked(run_dir) as held:
            if held:
                look_after_database(database, patience[_DATABASE])
                end_stuck(stuck, run_dir)
                look_after(run_dir, patience)
        _reap()
        time.sleep(_LOOK_EVERY_S)


def look_after(run_dir: Path, patience: dict[str, Patience]) -> None:
    """Starts each component that is dead; one that cannot be started, as where the disk is full, is left for later."""
    for component in COMPONENTS:
        _bring_back(
            component.name, partial(ensure_running, component, run_dir, env=os.environ), patience[component.name]
        )


def end_stuck(stuck: Iterable[Component], run_dir: Path) -> None:
    """Ends those whose process is there but does nothing, so that they start anew."""
    for component in stuck:
        components.stop(component, run_dir)
        _log.warning("%s gave no sign of life and has been ended", component.name)


def look_after_database(database: Postgres, patience: Patience) -> None:
    """Starts the server if it has died; the same as for components goes for one that cannot be started."""
    _bring_back(_DATABASE, database.revive, patience)


def _bring_back(name: str, start_if_dead: Callable[[], bool], patience: Patience) -> None:
    if not patience.ready(time.monotonic()):
        return
    try:
        started = start_if_dead()
    except (OSError, SetupError) as error:
        patience.note_start(time.monotonic())
        _log.warning("%s is dead and cannot be started: %s", name, error)
        return
    if started:
        patience.note_start(time.monotonic())
        _log.warning("%s was dead and has been started again", name)


def _url() -> str:
    """Where Airflow answers, "" if that can't be known now."""
    try:
        return settings.recorded_environment().get("IMAGESMITH_AIRFLOW_URL", "")
    except SetupError:
        return ""


def _reap() -> None:
    """Takes leave of children that have ended, which would else stay as zombies."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass  # there are none


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of each request
    signal.signal(signal.SIGTERM, _end)
    keep()
