"""Airflow's four components as background processes, and the care it takes to end them wholly."""

import os
import signal
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from imagesmith.local.ports import LOOPBACK
from imagesmith.processes import Daemon, session_members, started_at


@dataclass(frozen=True)
class Component:
    """One of Airflow's long-running commands; `health_key` is its name in the health report."""

    name: str
    arguments: tuple[str, ...]
    health_key: str
    stop_limit_s: float = 15.0


API_SERVER = Component("api-server", ("api-server", "--host", LOOPBACK), "metadatabase")
# Without this flag scheduler and triggerer serve their logs on every address of the machine; here all
# share one disk.
SCHEDULER = Component("scheduler", ("scheduler", "--skip-serve-logs"), "scheduler")
# In the order they start: the scheduler last, because tasks it starts give up on an API that is not there.
# They end the other way round.
COMPONENTS = (
    API_SERVER,
    Component("dag-processor", ("dag-processor",), "dag_processor"),
    Component("triggerer", ("triggerer", "--skip-serve-logs"), "triggerer"),
    SCHEDULER,
)


def run_directory(airflow_dir: Path) -> Path:
    """Where pid files and logs of the daemons lie."""
    return airflow_dir / "run"


def daemon_of(component: Component, run_dir: Path) -> Daemon:
    """The background process of the component."""
    return Daemon(component.name, directory=run_dir)


def ensure_running(component: Component, run_dir: Path, *, env: Mapping[str, str]) -> bool:
    """True if the component had to be started; what a killed predecessor left behind is ended first."""
    daemon = daemon_of(component, run_dir)
    if daemon.running() is not None:
        return False
    _kill(_left_behind(daemon))
    executable = Path(sys.executable).parent / "airflow"
    daemon.start([str(executable), *component.arguments], env=env, cwd=run_dir)
    return True


def stop(component: Component, run_dir: Path) -> bool:
    """True if the component was running; nothing of its session is left afterwards.

    Tasks that run are killed, not asked: asked, a task cancels what it does on its cloud, while a killed
    one is taken up where it was once Airflow is back.
    """
    daemon = daemon_of(component, run_dir)
    pid = daemon.running()
    if pid is None:
        _kill(_left_behind(daemon))
        return daemon.stop()
    if component is SCHEDULER:
        _kill([member for member in session_members(pid) if member != pid])
    daemon.stop(limit_s=component.stop_limit_s)
    # Airflow puts each task into a process group of its own, out of reach of the daemon's.
    _kill(session_members(pid))
    return True


def _left_behind(daemon: Daemon) -> list[int]:
    """Processes of a daemon whose leader is dead.

    The kernel gives no new process a number that still names a session, so if the number now belongs to
    somebody, nothing of ours is left.
    """
    try:
        session = int(daemon.pid_path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return []
    return [] if started_at(session) is not None else session_members(session)


def _kill(pids: Iterable[int]) -> None:
    # Oldest first: a worker that outlived its task by a moment would report it as failed.
    for pid in sorted(pids):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it ended by itself in the meantime
