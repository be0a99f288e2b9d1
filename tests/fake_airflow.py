"""An Airflow for the command line to talk to: its REST API over a loopback socket, its runs done by the test."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from imagesmith.settings import AirflowApi

USER, PASSWORD = "admin", "correct"


@dataclass
class FakeAirflow:
    """What the API server knows; answers as Airflow 3.3 was seen to answer."""

    url: str = ""
    dags: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    refusal: tuple[int, Any] | None = None
    on_trigger: Callable[[str, str, dict[str, Any]], str] = lambda dag_id, run_id, conf: "queued"

    @property
    def api(self) -> AirflowApi:
        """How to reach it."""
        return AirflowApi(url=self.url, username=USER, password=PASSWORD)

    def add_dag(self, dag_id: str, *, paused: bool = False, tags: tuple[str, ...] = ("imagesmith",)) -> None:
        """A DAG that can be triggered."""
        self.dags[dag_id] = {"dag_id": dag_id, "is_paused": paused, "tags": [{"name": tag} for tag in tags]}

    def answer(self, method: str, target: str, body: Any, token: str) -> tuple[int, Any]:
        """Status and JSON of one request."""
        path, query = unquote(urlsplit(target).path), parse_qs(urlsplit(target).query)
        if path == "/auth/token":
            return self._log_in(body)
        self.calls.append(f"{method} {path}")
        if token not in self.tokens:
            return 401, {"detail": "Invalid JWT token"}
        if self.refusal is not None:
            return self.refusal
        for pattern, found in (
            (r"/api/v2/dags", lambda: (200, {"dags": self._tagged(query["tags"])})),
            (r"/api/v2/dags/~/dagRuns", lambda: (200, {"dag_runs": self._matching(query["run_id_pattern"][0])})),
            (r"/api/v2/dags/(?P<dag>[^/]+)", self._dag),
            (r"/api/v2/dags/(?P<dag>[^/]+)/dagRuns", lambda dag: self._trigger(dag, body)),
            (r"/api/v2/dags/(?P<dag>[^/]+)/dagRuns/(?P<run>[^/]+)", lambda dag, run: self._run(dag, run, body)),
            (r".*/taskInstances", lambda: (200, {"task_instances": list(self.tasks.values())})),
            (r".*/taskInstances/(?P<task>[^/]+)/logs/1", self._log),
            (r".*/taskInstances/(?P<task>[^/]+)/xcomEntries/return_value", self._result),
        ):
            if match := re.fullmatch(pattern, path):
                answer: tuple[int, Any] = found(**match.groupdict())  # type: ignore[operator]
                return answer
        return 404, {"detail": "Not Found"}

    def _log_in(self, body: Any) -> tuple[int, Any]:
        if body != {"username": USER, "password": PASSWORD}:
            return 401, {"detail": "Invalid credentials"}
        token = f"token-{len(self.tokens)}"
        self.tokens = {token}
        return 201, {"access_token": token}

    def _tagged(self, tags: list[str]) -> list[Any]:
        return [dag for dag in self.dags.values() if set(tags) <= {tag["name"] for tag in dag["tags"]}]

    def _matching(self, pattern: str) -> list[Any]:
        return [run for run in self.runs.values() if pattern in run["dag_run_id"]]

    def _dag(self, dag: str) -> tuple[int, Any]:
        missing = {"detail": f"The Dag with ID: `{dag}` was not found"}
        return (200, self.dags[dag]) if dag in self.dags else (404, missing)

    def _trigger(self, dag: str, body: Any) -> tuple[int, Any]:
        if "logical_date" not in body:
            missing = {"type": "missing", "loc": ["body", "logical_date"], "msg": "Field required"}
            return 422, {"detail": [missing]}
        run_id = f"manual__2026-01-01T00:00:0{len(self.runs)}+00:00"
        state = self.on_trigger(dag, run_id, body["conf"])
        self.runs[dag, run_id] = {"dag_id": dag, "dag_run_id": run_id, "state": state, "conf": body["conf"]}
        return 200, self.runs[dag, run_id]

    def _run(self, dag: str, run: str, body: Any) -> tuple[int, Any]:
        if (dag, run) not in self.runs:
            return 404, {"detail": f"The DagRun with dag_id: `{dag}` and run_id: `{run}` was not found"}
        if body is not None:
            self.runs[dag, run].update(body)
        return 200, self.runs[dag, run]

    def _log(self, task: str) -> tuple[int, Any]:
        lines: list[dict[str, Any]] = [{"event": "::group::Pre Execute"}]
        if error := self.tasks[task].get("error"):
            detail = [{"exc_type": "SetupError", "exc_value": error}, {"exc_type": "KeyError", "exc_value": "cause"}]
            lines.append({"event": "Task failed with exception", "error_detail": detail})
        return 200, {"content": lines}

    def _result(self, task: str) -> tuple[int, Any]:
        return 200, {"key": "return_value", "value": self.results[task]}


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAirflow]:
    """A fake Airflow that the command line finds by its settings; it knows the generator dstat."""
    fake = FakeAirflow()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake))
    fake.url = f"http://127.0.0.1:{server.server_port}"
    fake.add_dag("dstat")
    fake.add_dag("imagesmith_plan", tags=("imagesmith", "maintenance"))
    monkeypatch.setenv("IMAGESMITH_AIRFLOW_URL", fake.url)
    monkeypatch.setenv("IMAGESMITH_AIRFLOW_USER", USER)
    monkeypatch.setenv("IMAGESMITH_AIRFLOW_PASSWORD", PASSWORD)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()


def _handler(fake: FakeAirflow) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            status, document = fake.answer(self.command, self.path, body, token)
            text = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = _answer  # noqa: N815 - the names http.server looks for

        def log_message(self, *_args: object) -> None:
            """Nothing: what was asked is in `calls`."""

    return Handler
