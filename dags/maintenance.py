"""The janitor: finishes what no build is alive to finish."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param

from operators.janitor import Janitor

with DAG(
    dag_id="imagesmith_janitor",
    description="Ends abandoned builds and deletes what they left on their clouds",
    schedule=timedelta(minutes=15),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={"dry_run": Param(False, type="boolean", description="Say what would be done and touch nothing")},
    tags=["imagesmith", "maintenance"],
    is_paused_upon_creation=False,
):
    Janitor(task_id="sweep", only_report="{{ params.dry_run }}", execution_timeout=timedelta(hours=1))
