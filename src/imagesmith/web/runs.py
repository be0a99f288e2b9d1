"""Builds started, cancelled and retried: the same DAG runs, asked of the same Airflow, as from Airflow's own pages.

Every call goes through Airflow's REST API as the caller, so that its rights, its checks of parameters, its audit log
and the password gate before it all hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from imagesmith.catalog.records import BuildRecord, TargetRecord
from imagesmith.core import PASSWORD_PREFIX, TargetState
from imagesmith.plan import CLOUDS_PARAM
from imagesmith.web.host import Answer, Caller, Host
from imagesmith.web.problems import Problem, forbidden, mistake, refused_field

ENDED = ("success", "failed")
# How Airflow and the password gate name a key of a run's conf, which has other names in our requests.
_PASSWORD = re.compile(rf"\b{PASSWORD_PREFIX}([\w.-]*\w)")
_PARAMETER = re.compile(r"Invalid input for param ([^\s:]+):")
# Of a task, that nothing more will come of this try.
OVER = (*ENDED, "skipped", "upstream_failed", "removed")
RETRIED = (TargetState.FAILED, TargetState.CANCELLED)
# A cloud's tasks have the names of its steps (imagesmith.steps.runner.Step, whose import would bring SSH with it).
TASKS = ("launch_vm", "customize", "snapshot_image", "verify_image", "terminate")
# Tasks of a build that belong to no cloud.
FIRST, LAST = "begin", "publish"
# Airflow reads the folder anew this often.
READ_AGAIN_S = 30


@dataclass(frozen=True)
class Run:
    """One DAG run; `state` is Airflow's word."""

    dag_id: str
    run_id: str
    state: str

    @property
    def ended(self) -> bool:
        """True when Airflow will do nothing more in it."""
        return self.state in ENDED


@dataclass(frozen=True)
class Wanted:
    """What a build is wanted to be; `clouds` None means all of the generator's."""

    clouds: Sequence[str] | None
    parameters: Mapping[str, Any] = field(repr=False)
    passwords: Mapping[str, str] = field(repr=False)

    def conf(self) -> dict[str, Any]:
        """The same as the conf of a DAG run; a Problem for parameters that would take another's place in it."""
        for name in self.parameters:
            if name == CLOUDS_PARAM or name.startswith(PASSWORD_PREFIX):
                raise refused_field(422, f"parameters.{name[:80]}", "is no parameter", "use `clouds` and `passwords`")
        chosen = {} if self.clouds is None else {CLOUDS_PARAM: list(self.clouds)}
        passwords = {PASSWORD_PREFIX + cloud: password for cloud, password in self.passwords.items()}
        return {**self.parameters, **chosen, **passwords}


def start(host: Host, caller: Caller, dag_id: str, conf: Mapping[str, Any], *, note: str = "") -> Run:
    """The new run; a Problem with Airflow's or the password gate's reason where none was made."""
    _refuse_unready(host, caller, dag_id)
    body = {"logical_date": None, "conf": dict(conf), "note": note or None}
    made = answered(host.call(caller, "POST", _dag_path(dag_id) + "/dagRuns", body), f"start {dag_id}")
    return Run(dag_id, str(made["dag_run_id"]), str(made["state"]))


def _refuse_unready(host: Host, caller: Caller, dag_id: str) -> None:
    answer = host.call(caller, "GET", _dag_path(dag_id))
    if answer.status == 404:
        later = {"Retry-After": str(READ_AGAIN_S)}
        raise Problem(409, f"Airflow has not read {dag_id} yet; try again in {READ_AGAIN_S} s", headers=later)
    if answered(answer, f"see {dag_id}").get("is_paused"):
        raise Problem(409, f"{dag_id} is paused, so no build of it would begin; unpause the DAG in Airflow")


def find(host: Host, caller: Caller, dag_id: str, run_id: str) -> Run | None:
    """The run as it is now, None for one that Airflow does not have."""
    answer = host.call(caller, "GET", _run_path(dag_id, run_id))
    if answer.status == 404:
        return None
    found = answered(answer, f"see the runs of {dag_id}")
    return Run(dag_id, run_id, str(found["state"]))


def cancel(host: Host, caller: Caller, build: BuildRecord) -> Run:
    """The build's run, marked failed: its tasks are ended and its teardown deletes what it made."""
    run = _alive(host, caller, build)
    if run.ended or (build.state.ended and not _begins_again(host, caller, run)):
        raise Problem(409, f"{build.build_id} is over: {build.state}; there is nothing to cancel")
    path = f"{_run_path(build.dag_id, build.run_id)}?update_mask=state"
    answered(host.call(caller, "PATCH", path, {"state": "failed"}), f"cancel builds of {build.generator}")
    return Run(build.dag_id, build.run_id, "failed")


def _begins_again(host: Host, caller: Caller, run: Run) -> bool:
    """True from a retry until its first task has told the catalog of it."""
    _, over = last_try(host, caller, run, FIRST)
    return not over


def retry(
    host: Host, caller: Caller, build: BuildRecord, targets: Sequence[TargetRecord], *, asking: frozenset[str]
) -> Run:
    """The build's run begun again for the targets that failed or were cancelled; what succeeded is left as it is.

    `asking` are the clouds that ask for a password, whose credential ended with the build.
    """
    lost = [target.cloud for target in targets if target.state in RETRIED]
    run = _alive(host, caller, build)
    if not build.state.ended or not run.ended:
        raise Problem(409, f"{build.build_id} is not over yet ({build.state}); cancel it first, or wait")
    if not lost:
        raise Problem(409, f"{build.build_id}: no target failed, so there is nothing to retry; start a new build")
    if unknowable := sorted(asking.intersection(lost)):
        raise Problem(
            409,
            f"{', '.join(unknowable)}: the password was for one build and is stored nowhere; "
            f"start a new build of {build.generator} there",
        )
    body = {
        "dry_run": False,
        "only_failed": False,
        "reset_dag_runs": True,
        "dag_run_id": build.run_id,
        "task_ids": _tasks_to_clear(host, caller, build, lost),
    }
    cleared = host.call(caller, "POST", _dag_path(build.dag_id) + "/clearTaskInstances", body)
    answered(cleared, f"retry builds of {build.generator}")
    return Run(build.dag_id, build.run_id, "queued")


def _tasks_to_clear(host: Host, caller: Caller, build: BuildRecord, lost: Sequence[str]) -> list[str]:
    """All tasks of those clouds, with what begins and what ends the build."""
    path = f"{_run_path(build.dag_id, build.run_id)}/taskInstances?limit=1000"
    there = answered(host.call(caller, "GET", path), f"see the tasks of {build.generator}")["task_instances"]
    names = sorted({str(task["task_id"]) for task in there})
    return [name for name in names if name in (FIRST, LAST) or name.partition(".")[0] in lost]


def result(host: Host, caller: Caller, run: Run, task_id: str) -> Any:
    """What the task of an ended run returned, None where it returned nothing."""
    path = f"{task_path(run, task_id)}/xcomEntries/return_value"
    answer = host.call(caller, "GET", path)
    return None if answer.status == 404 else answered(answer, f"see what {task_id} returned")["value"]


def last_try(host: Host, caller: Caller, run: Run, task_id: str) -> tuple[int, bool]:
    """The number of the task's latest try, 0 for none yet, and whether Airflow will do nothing more in it."""
    answer = host.call(caller, "GET", task_path(run, task_id))
    if answer.status == 404:
        return 0, True
    found = answered(answer, f"see the task {task_id}")
    return int(found["try_number"]), found["state"] in OVER


def page_of(host: Host, dag_id: str, run_id: str) -> str:
    """The address of the run in Airflow's UI."""
    return host.page(f"/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}")


def _alive(host: Host, caller: Caller, build: BuildRecord) -> Run:
    run = find(host, caller, build.dag_id, build.run_id)
    if run is None:
        raise Problem(
            409,
            f"{build.build_id}: its run is no longer in Airflow; the janitor ends the build and deletes what it left",
        )
    return run


def answered(answer: Answer, what: str) -> Any:
    """What Airflow answered, if it did what was asked; else a Problem with its reason."""
    if answer.status < 400:
        return answer.document
    if answer.status in (401, 403):
        raise forbidden(what)
    if answer.status in (400, 422):
        raise _of_conf(answer.reason)
    if answer.status in (404, 409):
        raise Problem(409, f"Airflow can't {what}: {answer.reason}")
    # The password gate's: Keystone or the deployment, whose trouble it says.
    status = answer.status if answer.status in (502, 503) else 502
    raise Problem(status, answer.reason, headers={"Retry-After": "5"})


def task_path(run: Run, task_id: str) -> str:
    """The task in Airflow's API."""
    return f"{_run_path(run.dag_id, run.run_id)}/taskInstances/{quote(task_id, safe='')}"


def _dag_path(dag_id: str) -> str:
    return f"/api/v2/dags/{quote(dag_id, safe='')}"


def _run_path(dag_id: str, run_id: str) -> str:
    return f"{_dag_path(dag_id)}/dagRuns/{quote(run_id, safe='')}"


def _of_conf(reason: str) -> Problem:
    """What Airflow says of a run's conf, by the field of our request that it is about."""
    password, parameter = _PASSWORD.search(reason), _PARAMETER.search(reason)
    field = f"passwords.{password[1]}" if password else ""
    if parameter and not password:
        field = CLOUDS_PARAM if parameter[1] == CLOUDS_PARAM else f"parameters.{parameter[1]}"
    detail = _PASSWORD.sub(r"passwords.\1", reason)
    return Problem(422, detail, errors=[mistake(field, detail)])
