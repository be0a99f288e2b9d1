"""What is seen while builds run that are given a secret: answers, pages, processes."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from .airflow_rest import Rest
from .traces import processes


@dataclass
class Evidence:
    """What was seen while the builds ran: answers of the API and pages, and what the processes were started with."""

    answers: list[tuple[str, bytes]] = field(default_factory=list)
    processes: dict[str, bytes] = field(default_factory=dict)
    runs: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[int, Any]] = field(default_factory=list)


class Recorded(Rest):
    """REST whose answers are kept."""

    evidence: Evidence

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and document of the answer."""
        status, answer = super().call(method, path, body)
        if hasattr(self, "evidence"):
            self.evidence.answers.append((f"{method} {path}", json.dumps(answer, ensure_ascii=False).encode()))
        return status, answer


@contextlib.contextmanager
def watched_processes(evidence: Evidence) -> Iterator[None]:
    """Looks at all processes again and again."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.25):
            evidence.processes.update(processes())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def keep(seen: Evidence, response: Any) -> None:
    """The answer to the browser kept."""
    with contextlib.suppress(Exception):  # a redirect has no body, and a page that was left takes its answers along
        seen.answers.append((response.url, response.body()))


def look_at_all_of(rest: Recorded, generator: str, run_id: str) -> None:
    """Every answer Airflow has about a run."""
    run = f"/api/v2/dags/{generator}/dagRuns/{quote(run_id, safe='')}"
    rest.call("GET", run)
    for task in rest.call("GET", f"{run}/taskInstances")[1]["task_instances"]:
        one = f"{run}/taskInstances/{task['task_id']}"
        for what in ("", "/xcomEntries", "/tries", "/logs/1?full_content=true"):
            rest.call("GET", one + what)
    rest.call("GET", f"/api/v2/eventLogs?dag_id={generator}&limit=1000")
    rest.call("GET", f"/api/v2/dags/{generator}/details")
