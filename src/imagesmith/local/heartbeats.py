"""Components whose process is there but does nothing any more: their heartbeats stay away.

Airflow's scheduler, for one, can't end while its workers wait for work, so that one whose loop has failed, as where the
disk was full, stays as a process for ever.
"""

import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from imagesmith.local.components import COMPONENTS, Component, daemon_of

# So long a component gives no sign of life, and so long it is watched doing so, before it counts as stuck. A start on
# a busy machine takes less than the sum, and so does the return of a component whose database was away.
SILENT_S = 120.0
WATCHED_S = 60.0


class Heartbeats:
    """What one onlooker has seen of the components' heartbeats, from one health report to the next."""

    def __init__(self) -> None:
        self._silent_since: dict[str, float] = {}

    def stuck(self, report: Mapping[str, Mapping[str, Any]], run_dir: Path, *, now: float) -> list[Component]:
        """The components to start anew at this moment (seconds of a monotonic clock), by Airflow's health report.

        None while the report does not know: heartbeats are kept in the database. The API server has none.
        """
        if (report.get("metadatabase") or {}).get("status") != "healthy":
            self._silent_since.clear()
            return []
        return [one for one in COMPONENTS if self._is_stuck(one, report.get(one.health_key) or {}, run_dir, now)]

    def _is_stuck(self, component: Component, state: Mapping[str, Any], run_dir: Path, now: float) -> bool:
        sign = _last_sign(component, state, run_dir)
        if sign is None or time.time() - sign < SILENT_S:
            self._silent_since.pop(component.name, None)
            return False
        return now - self._silent_since.setdefault(component.name, now) >= WATCHED_S


def _last_sign(component: Component, state: Mapping[str, Any], run_dir: Path) -> float | None:
    """When its process was started or last gave a heartbeat, in seconds of Unix time; None if it has neither."""
    daemon = daemon_of(component, run_dir)
    if component.health_key == "metadatabase" or daemon.running() is None:
        return None
    # The pid file is written when the process starts.
    started = daemon.pid_path.stat().st_mtime
    heartbeat = state.get(f"latest_{component.health_key}_heartbeat")
    return max(started, datetime.fromisoformat(heartbeat).timestamp()) if heartbeat else started
