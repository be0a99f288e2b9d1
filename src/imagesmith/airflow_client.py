"""Airflow's public REST API, as the command line uses it.

On urllib3 and not on httpx, whose import alone takes longer than all that is asked here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import urllib3

from imagesmith import settings
from imagesmith.errors import DefinitionError, ImagesmithError, SetupError, Transient
from imagesmith.findings import did_you_mean
from imagesmith.settings import AirflowApi

TIMEOUT = urllib3.Timeout(connect=5, read=30)
ENDED = ("success", "failed")

# Tags of the DAGs in `dags/`: every generator has the first, our own DAGs have both.
TAG, TAG_MAINTENANCE = "imagesmith", "maintenance"


@dataclass(frozen=True)
class Run:
    """One DAG run; `state` is Airflow's word at the time it was read."""

    dag_id: str
    run_id: str
    state: str

    @property
    def ended(self) -> bool:
        """True when Airflow will do nothing more in it."""
        return self.state in ENDED


class NoSuchRun(SetupError):
    """Airflow has no run, or no DAG, of that name."""


class NoSuchGenerator(DefinitionError):
    """Airflow has no DAG for the generator, or none yet."""


class AirflowClient:
    """Airflow's REST API by its address and user, by default those of the deployment.

    Every method raises SetupError where Airflow cannot be reached or does not let us in, and Transient where it
    answers with an error of its own.
    """

    def __init__(self, api: AirflowApi | None = None) -> None:
        self._api = api or settings.airflow_api()
        self._pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False)
        self._token = ""

    @property
    def url(self) -> str:
        """Where the UI and the API are."""
        return self._api.url

    def run_address(self, dag_id: str, run_id: str) -> str:
        """The page of a run in the UI."""
        return f"{self.url}/dags/{quote(dag_id)}/runs/{quote(run_id, safe='')}"

    def generators(self) -> list[str]:
        """Names of the generators Airflow has a DAG for."""
        found = self._call("GET", f"/dags?tags={TAG}&limit=1000")
        return sorted(
            dag["dag_id"] for dag in found["dags"] if TAG_MAINTENANCE not in {tag["name"] for tag in dag["tags"]}
        )

    def trigger(self, dag_id: str, conf: Mapping[str, Any], *, note: str = "") -> Run:
        """A new run; raises NoSuchGenerator, or DefinitionError when the DAG is paused or `conf` does not fit it."""
        self._refuse_unready(dag_id)
        body = {"logical_date": None, "conf": dict(conf), "note": note or None}
        made = self._call("POST", f"/dags/{quote(dag_id, safe='')}/dagRuns", body, subject=dag_id)
        return Run(dag_id, made["dag_run_id"], made["state"])

    def run(self, dag_id: str, run_id: str) -> Run:
        """The run as it is now; raises NoSuchRun."""
        found = self._call("GET", _run_path(dag_id, run_id), subject=f"run {run_id} of {dag_id}")
        return Run(dag_id, run_id, found["state"])

    def find_runs(self, run_id: str) -> list[Run]:
        """Runs of exactly that id, of whatever DAG."""
        found = self._call("GET", f"/dags/~/dagRuns?run_id_pattern={quote(run_id, safe='')}")
        return [Run(run["dag_id"], run_id, run["state"]) for run in found["dag_runs"] if run["dag_run_id"] == run_id]

    def fail_run(self, dag_id: str, run_id: str) -> None:
        """Mark the run failed: its tasks are ended, its teardowns clean up."""
        path = f"{_run_path(dag_id, run_id)}?update_mask=state"
        self._call("PATCH", path, {"state": "failed"}, subject=f"run {run_id} of {dag_id}")

    def result(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """What the task returned."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{quote(task_id)}/xcomEntries/return_value"
        return self._call("GET", path, subject=f"the result of {task_id} in run {run_id}")["value"]

    def failures(self, dag_id: str, run_id: str) -> dict[str, str]:
        """By task why it failed, as its log says; "" where the log does not."""
        path = _run_path(dag_id, run_id)
        tasks = self._call("GET", f"{path}/taskInstances?limit=1000", subject=f"run {run_id}")
        failed = [task for task in tasks["task_instances"] if task["state"] == "failed"]
        return {task["task_id"]: self._last_error(path, task) for task in failed}

    def _last_error(self, run_path: str, task: Mapping[str, Any]) -> str:
        path = f"{run_path}/taskInstances/{quote(task['task_id'])}/logs/{task['try_number']}?full_content=true"
        try:
            content = self._call("GET", path, subject="the log")["content"]
        except ImagesmithError:
            return ""  # a log that is gone must not hide what else is known
        details = [line["error_detail"] for line in content if line.get("error_detail")]
        return str(details[-1][0].get("exc_value") or details[-1][0].get("exc_type")) if details else ""

    def _refuse_unready(self, dag_id: str) -> None:
        try:
            dag = self._call("GET", f"/dags/{quote(dag_id, safe='')}", subject=dag_id)
        except NoSuchRun as error:
            cure = did_you_mean(dag_id, self.generators(), things="it has")
            raise NoSuchGenerator(f"{dag_id}: Airflow has no such generator; {cure}") from error
        if dag["is_paused"]:
            raise DefinitionError(
                f"{dag_id}: its DAG is paused, so a build would never start; switch it on at {self.url}/dags/{dag_id}"
            )

    def _call(self, method: str, path: str, body: object = None, *, subject: str = "Airflow") -> Any:
        """The JSON answer of the API; logs in first, and once more when the token has expired."""
        fresh = not self._token
        self._token = self._token or self._log_in()
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        answer = self._request(method, f"/api/v2{path}", body, headers)
        if answer.status == 401 and not fresh:
            self._token = ""
            return self._call(method, path, body, subject=subject)
        if answer.status >= 400:
            raise _refusal(answer, subject=subject, api=self._api)
        return self._document(answer) if answer.data else None

    def _log_in(self) -> str:
        if self._api.password is None:
            raise SetupError(
                "no password for Airflow is known; start this machine's with `make up`, or set "
                "IMAGESMITH_AIRFLOW_URL, IMAGESMITH_AIRFLOW_USER and IMAGESMITH_AIRFLOW_PASSWORD"
            )
        who = {"username": self._api.username, "password": self._api.password}
        answer = self._request("POST", "/auth/token", who, {"Accept": "application/json"})
        if answer.status >= 400:
            raise _refusal(answer, subject="Airflow", api=self._api)
        document = self._document(answer)
        if not isinstance(document, dict) or not isinstance(document.get("access_token"), str):
            raise self._no_airflow()
        token: str = document["access_token"]
        return token

    def _document(self, answer: urllib3.BaseHTTPResponse) -> Any:
        try:
            return answer.json()
        except ValueError as error:
            raise self._no_airflow() from error

    def _no_airflow(self) -> SetupError:
        return SetupError(f"what answers at {self.url} is no Airflow; set IMAGESMITH_AIRFLOW_URL to where it runs")

    def _request(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.request(method, self.url + path, json=body, headers=dict(headers))
        except urllib3.exceptions.HTTPError as error:
            raise SetupError(
                f"Airflow does not answer at {self.url} ({_reason(error)}); start it with `make up`, "
                "or set IMAGESMITH_AIRFLOW_URL to where it runs"
            ) from error


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"


def _reason(error: BaseException) -> str:
    """The last words of the operating system, without urllib3's own object in front of them."""
    return str(error).rpartition(": ")[2] or type(error).__name__


def _refusal(answer: urllib3.BaseHTTPResponse, *, subject: str, api: AirflowApi) -> ImagesmithError:
    """Airflow's own reason as our error."""
    reason = _detail(answer)
    if answer.status in (401, 403):
        return SetupError(
            f"Airflow at {api.url} does not let user {api.username} do this ({reason}); "
            "check IMAGESMITH_AIRFLOW_USER and IMAGESMITH_AIRFLOW_PASSWORD"
        )
    if answer.status == 404:
        return NoSuchRun(f"Airflow at {api.url} does not know {subject} ({reason}); see {api.url}/dags")
    if answer.status in (400, 422):
        return DefinitionError(f"{subject}: {reason}; see `imagesmith plan`, or the form in the UI")
    return Transient(f"Airflow at {api.url} answered {answer.status}: {reason}; try again")


def _detail(answer: urllib3.BaseHTTPResponse) -> str:
    try:
        detail = answer.json()["detail"]
        if isinstance(detail, list):
            return "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in detail)
    except (ValueError, KeyError, TypeError, RecursionError):
        return (answer.data.decode(errors="replace").strip() or answer.reason or "no reason given")[:300]
    # What follows an empty line is the whole schema.
    return str(detail.get("reason", detail) if isinstance(detail, dict) else detail).split("\n\n")[0]
