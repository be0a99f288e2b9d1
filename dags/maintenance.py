"""The janitor, which finishes what no build is alive to finish, and what asks the clouds where the connections are."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param

from operators.janitor import Janitor
from operators.preflight import ListCloud, Preflight, TestCloud
from operators.recover import Recover

with DAG(
    dag_id="imagesmith_janitor",
    description="Ends abandoned builds and deletes what they left on their clouds",
    schedule=timedelta(minutes=15),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={
        "dry_run": Param(False, type="boolean", description="Say what would be done and touch nothing"),
        "older_than_hours": Param(
            24,
            type="number",
            minimum=0,
            description="Age of what bears this deployment's tag and no catalog knows, before it is deleted",
        ),
    },
    tags=["imagesmith", "maintenance"],
    is_paused_upon_creation=False,
):
    Janitor(
        task_id="sweep",
        only_report="{{ params.dry_run }}",
        older_than_hours="{{ params.older_than_hours }}",
        execution_timeout=timedelta(hours=1),
    )

with DAG(
    dag_id="imagesmith_plan",
    description="Asks each cloud of a generator, read-only, whether a build would find what it needs",
    schedule=None,
    catchup=False,
    params={
        "generator": Param(type="string", minLength=1, description="The generator's name"),
        "clouds": Param(
            None, type=["null", "array"], items={"type": "string"}, description="Which of its clouds; all by default"
        ),
        "parameters": Param({}, type="object", description="The parameters a build would be given"),
    },
    tags=["imagesmith", "maintenance"],
    is_paused_upon_creation=False,
):
    Preflight(task_id="ask", execution_timeout=timedelta(minutes=5))

with DAG(
    dag_id="imagesmith_test_cloud",
    description="Asks one cloud, read-only, whom it takes us for",
    schedule=None,
    catchup=False,
    params={"cloud": Param(type="string", minLength=1, description="The cloud's name in include/clouds.yaml")},
    tags=["imagesmith", "maintenance"],
    is_paused_upon_creation=False,
):
    TestCloud(task_id="ask", execution_timeout=timedelta(minutes=2))

with DAG(
    dag_id="imagesmith_list_cloud",
    description="Asks one cloud, read-only, for the images and instance types there are to choose from",
    schedule=None,
    catchup=False,
    params={
        "cloud": Param(type="string", minLength=1, description="The cloud's name in include/clouds.yaml"),
        "search": Param("", type="string", maxLength=100, description="A part of the images' names"),
    },
    tags=["imagesmith", "maintenance"],
    is_paused_upon_creation=False,
):
    ListCloud(task_id="ask", execution_timeout=timedelta(minutes=5))

with DAG(
    dag_id="imagesmith_catalog_rebuild",
    description="Reads back from the clouds' own tags what the catalog has lost, and overwrites nothing",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    tags=["imagesmith", "maintenance"],
    is_paused_upon_creation=False,
):
    Recover(task_id="read", execution_timeout=timedelta(minutes=15))
