"""An Airflow for the web app: users by token, rights by role, and as much of its REST API as builds need."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request

from imagesmith.web.host import Answer, Caller, Right, Scope

ADMIN, VIEWER, STRANGER = "ann", "vic", "sam"
EVERYTHING = frozenset(Right)
RIGHTS = {ADMIN: EVERYTHING, VIEWER: frozenset({Right.SEE, Right.READ_LOGS}), STRANGER: frozenset[Right]()}
RUN = re.compile(r"/api/v2/dags/([^/?]+)/dagRuns/([^/?]+)(/taskInstances.*)?")


class FakeHost:
    """The token, or the cookie `_token`, is the user's name. Generators named `secret…` are the admin's."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str, Any]] = []
        self.runs: dict[tuple[str, str], str] = {}
        self.tasks: list[str] = []
        self.results: dict[str, Any] = {}
        self.unread: set[str] = set()
        self.paused: set[str] = set()
        self.refusal: Answer | None = None
        self.tries: dict[str, int] = {}
        self.task_state = "success"
        self.printed: list[str] = []
        self.logs_are_for = {ADMIN, VIEWER}

    async def caller(self, scope: Scope) -> Caller | None:
        request = Request(scope)
        kind, _, bearer = request.headers.get("authorization", "").partition(" ")
        token = bearer if kind.lower() == "bearer" else request.cookies.get("_token")
        return Caller(token, by_cookie=not bearer) if token in RIGHTS else None

    def sees(self, caller: Caller, dag_ids: Collection[str]) -> set[str]:
        return {dag_id for dag_id in dag_ids if self.may(caller, Right.SEE, dag_id)}

    def may(self, caller: Caller, right: Right, dag_id: str | None) -> bool:
        hidden = dag_id is not None and dag_id.startswith("secret") and caller.name != ADMIN
        if right is Right.READ_LOGS and caller.name not in self.logs_are_for:
            return False
        return right in RIGHTS[caller.name] and not hidden

    def has_connection(self, caller: Caller, cloud: str) -> bool | None:
        return cloud == "ec2" if caller.name == ADMIN else None

    def page(self, path: str) -> str:
        return f"http://airflow{path}"

    def origins(self) -> frozenset[str]:
        return frozenset({"airflow.example"})

    def call(self, caller: Caller, method: str, path: str, body: object = None) -> Answer:
        self.calls.append((caller.name, method, path, body))
        if self.refusal and method == "POST":
            return self.refusal
        run = RUN.match(path)
        if run:
            return self._of_run(unquote(run[1]), unquote(run[2]), run[3] or "", method=method)
        dag_id = unquote(path.split("/")[4])
        if method == "GET":
            return self._of_dag(dag_id)
        if path.endswith("/dagRuns"):
            run_id = f"manual__{len(self.runs)}"
            self.runs[dag_id, run_id] = "queued"
            return Answer(200, {"dag_run_id": run_id, "state": "queued"})
        return Answer(200, {"task_instances": []})

    def log(self, rest: str) -> Answer:
        """What was printed behind the token, which is how much of it was read; no token once the task is over."""
        token = re.search(r"[?&]token=(\d+)", rest)
        new = self.printed[int(token[1]) if token else 0 :]
        going = self.task_state == "running"
        return Answer(
            200,
            {
                "content": [{"event": "::group::Log message source details"}, *({"event": line} for line in new)],
                "continuation_token": str(len(self.printed)) if going else None,
            },
        )

    def _of_dag(self, dag_id: str) -> Answer:
        if dag_id in self.unread:
            return Answer(404, {"detail": "no such DAG"})
        return Answer(200, {"is_paused": dag_id in self.paused})

    def _of_run(self, dag_id: str, run_id: str, rest: str, *, method: str) -> Answer:
        if (dag_id, run_id) not in self.runs:
            return Answer(404, {"detail": "no such run"})
        if "xcomEntries" in rest:
            found = run_id in self.results
            return Answer(200, {"value": self.results[run_id]}) if found else Answer(404, {"detail": "none"})
        if "/logs/" in rest:
            return self.log(rest)
        if rest.count("/") == 2:  # one task
            known = rest.rpartition("/")[2] in self.tries
            task = {"try_number": self.tries.get(rest.rpartition("/")[2]), "state": self.task_state}
            return Answer(200, task) if known else Answer(404, {"detail": "no such task"})
        if rest:
            return Answer(200, {"task_instances": [{"task_id": task} for task in self.tasks]})
        if method == "PATCH":
            self.runs[dag_id, run_id] = "failed"
        return Answer(200, {"state": self.runs[dag_id, run_id]})
