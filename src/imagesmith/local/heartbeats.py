"""Components whose process is there but does nothing any more: no heartbeat comes, or, of the API server, no answer.

Airflow's scheduler, for one, can't end while its workers wait for work, so that one whose loop has failed, as where the
disk was full, stays as a process for ever.
"""

import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from imagesmith.local.components import API_SERVER, COMPONENTS, Component, daemon_of

# So long a component gives no sign of life, and so long it is watched doing so, before it counts as stuck. A start on
# a busy machine takes less than the sum, and so does the return of a component whose database was away.
SILENT_S = 120.0
WATCHED_S = 60.0


class Heartbeats:
    """What one onlooker has seen of the components' heartbeats, from one health report to the next."""

    def __init__(self) -> None:
        self._silent_since: dict[str, float] = {}
        self._answered_at = 0.0

    def stuck(self, report: Mapping[str, Mapping[str, Any]], run_dir: Path, *, now: float) -> list[Component]:
        """The components to start anew at this moment (seconds of a monotonic clock), by Airflow's health report.

        An empty report is the API server's silence, and tells nothing of the others; nor does one without the database,
        where the heartbeats are kept.
        """
        silent = {one.name for one in self._heard(report) if _is_silent(one, self._sign(one, report), run_dir)}
        self._silent_since = {name: self._silent_since.get(name, now) for name in silent}
        return [one for one in COMPONENTS if now - self._silent_since.get(one.name, now) >= WATCHED_S]

    def _heard(self, report: Mapping[str, Mapping[str, Any]]) -> list[Component]:
        """Those of whom the report, or that there is none, tells something."""
        if not report:
            return [API_SERVER]
        self._answered_at = time.time()
        if (report.get("metadatabase") or {}).get("status") != "healthy":
            return []
        return [one for one in COMPONENTS if one is not API_SERVER]

    def _sign(self, component: Component, report: Mapping[str, Mapping[str, Any]]) -> float:
        """When it last gave a sign of life, in seconds of Unix time; 0 if it never did."""
        if component is API_SERVER:
            return self._answered_at
        heartbeat = (report.get(component.health_key) or {}).get(f"latest_{component.health_key}_heartbeat")
        return datetime.fromisoformat(heartbeat).timestamp() if heartbeat else 0.0


def _is_silent(component: Component, sign: float, run_dir: Path) -> bool:
    """True if its process is there, and was neither started nor heard for long."""
    daemon = daemon_of(component, run_dir)
    if daemon.running() is None:
        return False
    # The pid file is written when the process starts.
    return time.time() - max(sign, daemon.pid_path.stat().st_mtime) >= SILENT_S
