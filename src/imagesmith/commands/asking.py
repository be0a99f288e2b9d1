"""A question to one of our own DAGs, which runs where the connections are, and its answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from imagesmith.airflow_client import AirflowClient
from imagesmith.errors import ImagesmithError, TimeLimitExceeded

LOOK_S = 0.3


def result_of(dag_id: str, task_id: str, conf: Mapping[str, Any], *, limit_s: float, note: str) -> Any:
    """What the task of a new run of the DAG returned; raises its error, or SetupError where Airflow is not up."""
    airflow = AirflowClient()
    run = airflow.trigger(dag_id, conf, note=note)
    deadline = time.monotonic() + limit_s
    while not (run := airflow.run(run.dag_id, run.run_id)).ended:
        if time.monotonic() > deadline:
            where = airflow.run_address(run.dag_id, run.run_id)
            raise TimeLimitExceeded(
                f"{dag_id}: no answer in {limit_s:.0f} s; see {where} and `imagesmith airflow status`"
            )
        time.sleep(LOOK_S)
    if run.state != "success":
        reason = airflow.failures(run.dag_id, run.run_id).get(task_id)
        raise ImagesmithError(reason or f"{dag_id} failed; see {airflow.run_address(run.dag_id, run.run_id)}")
    return airflow.result(run.dag_id, run.run_id, task_id)
