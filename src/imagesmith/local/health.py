"""Whether Airflow's components are well, from their processes and from Airflow's own report."""

import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from imagesmith.errors import SetupError
from imagesmith.local.components import API_SERVER, COMPONENTS, Component, daemon_of
from imagesmith.local.lock import locked
from imagesmith.processes import Daemon

_TAIL_LINES = 25
_POLL_S = 0.25


def report(url: str) -> dict[str, dict[str, Any]]:
    """Airflow's health report, by component; empty while the API server does not answer."""
    try:
        answer = httpx.get(f"{url}/api/v2/monitor/health", timeout=5)
        answer.raise_for_status()
        found: dict[str, dict[str, Any]] = answer.json()
    except (httpx.HTTPError, ValueError):
        return {}
    return found


def complaints(components: Iterable[Component], run_dir: Path, *, url: str) -> dict[str, str]:
    """By component what is the matter with it, "" where it is well."""
    found = report(url)
    return {one.name: _complaint(one, daemon_of(one, run_dir), found) for one in components}


def await_api(run_dir: Path, *, url: str, limit_s: float) -> None:
    """Returns once the API server answers tasks without delay.

    Its part for tasks is built at the first request and takes seconds, longer than a task waits.
    """
    deadline = time.monotonic() + limit_s
    daemon = daemon_of(API_SERVER, run_dir)
    while not _answers(f"{url}/execution/health/ping"):
        if daemon.running() is None:
            raise SetupError(_obituary(API_SERVER, daemon))
        if time.monotonic() > deadline:
            raise SetupError(f"Airflow's api-server did not answer in {limit_s:.0f} s; see {daemon.log_path}")
        time.sleep(_POLL_S)


def await_healthy(run_dir: Path, *, url: str, limit_s: float) -> None:
    """Returns once all components are well.

    Raises SetupError as soon as one has died that the keeper is not just starting anew, or after `limit_s`; its message
    has the end of the log.
    """
    deadline = time.monotonic() + limit_s
    while True:
        unwell = {name: why for name, why in complaints(COMPONENTS, run_dir, url=url).items() if why}
        if not unwell:
            return
        for component in COMPONENTS:
            if _dead(component, run_dir):
                raise SetupError(_obituary(component, daemon_of(component, run_dir)))
        if time.monotonic() > deadline:
            reasons = ", ".join(f"{name} ({why})" for name, why in unwell.items())
            raise SetupError(f"Airflow was not well after {limit_s:.0f} s: {reasons}; its logs are in {run_dir}")
        time.sleep(_POLL_S)


def _dead(component: Component, run_dir: Path) -> bool:
    """True if it has died, and nobody was about to start it anew."""
    daemon = daemon_of(component, run_dir)
    if daemon.running() is not None:
        return False
    with locked(run_dir):
        return daemon.running() is None


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=30).is_success
    except httpx.HTTPError:
        return False


def _complaint(component: Component, daemon: Daemon, found: dict[str, dict[str, Any]]) -> str:
    """Why the component is not well, or ""."""
    if daemon.running() is None:
        return "not running"
    if not found:
        return "starting" if component.health_key == "metadatabase" else "the API server does not answer"
    state = found.get(component.health_key) or {}
    if state.get("status") != "healthy":
        return "starting"
    heartbeat = state.get(f"latest_{component.health_key}_heartbeat")
    if heartbeat and _before_start(heartbeat, daemon):
        return "starting"  # the heartbeat is of its predecessor
    return ""


def _before_start(heartbeat: str, daemon: Daemon) -> bool:
    # The pid file is written when the process starts.
    return datetime.fromisoformat(heartbeat).timestamp() < daemon.pid_path.stat().st_mtime


def _obituary(component: Component, daemon: Daemon) -> str:
    lines = daemon.log_path.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
    end = "\n".join(lines)
    return f"Airflow's {component.name} ended by itself; the end of {daemon.log_path}:\n{end}"
