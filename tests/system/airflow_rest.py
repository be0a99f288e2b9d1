"""Airflow's REST API as anybody's program calls it."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from .conftest import Deployment, file_environment

BUILD_LIMIT_S = 300.0


def until(look: Callable[[], Any], what: str, *, limit_s: float = BUILD_LIMIT_S, every_s: float = 0.5) -> Any:
    """The first true thing `look` gives."""
    deadline = time.monotonic() + limit_s
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not within {limit_s:g} s: {what}"
        time.sleep(every_s)
    return seen


class Rest:
    """Airflow's REST API with a bearer token, called as anybody's program would."""

    def __init__(self, deployment: Deployment) -> None:
        sourced = file_environment(deployment.home)
        self.url = sourced["IMAGESMITH_AIRFLOW_URL"]
        self.username = sourced["IMAGESMITH_AIRFLOW_USER"]
        self.password = sourced["IMAGESMITH_AIRFLOW_PASSWORD"]
        self._token = ""
        _, answer = self.call("POST", "/auth/token", {"username": self.username, "password": self.password})
        self._token = answer["access_token"]

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and document of the answer."""
        request = urllib.request.Request(self.url + path, json.dumps(body).encode() if body else None, method=method)
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def has_dag(self, dag_id: str) -> bool:
        """True if the list of DAGs has it, which is also what the UI shows."""
        _, found = self.call("GET", f"/api/v2/dags?dag_id_pattern={dag_id}&limit=1000")
        return dag_id in {dag["dag_id"] for dag in found["dags"]}

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """The DAG's runs."""
        _, found = self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns")
        return list(found["dag_runs"])

    def state(self, dag_id: str, run_id: str) -> str:
        """The run's state."""
        _, found = self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}")
        return str(found["state"])

    def task_state(self, dag_id: str, run_id: str, task_id: str) -> str:
        """The state of the run's task."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}"
        return str(self.call("GET", path)[1]["state"])

    def await_end(self, dag_id: str, run_id: str) -> str:
        """The run's last state."""

        def ended() -> str:
            state = self.state(dag_id, run_id)
            return state if state in ("success", "failed") else ""

        return str(until(ended, f"{run_id} of {dag_id} ends"))
