"""The Airflow pools that include/clouds.yaml names are there before a task wants a slot of one.

Airflow never runs a task whose pool does not exist, and says so in its log only.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from airflow.listeners import hookimpl

from imagesmith import settings
from imagesmith.cloud_settings import read_clouds

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

# Of a new pool. What an administrator makes of it in Airflow stays.
SLOTS = 32
log = logging.getLogger(__name__)


@hookimpl
def on_starting(component: object) -> None:
    """When one of Airflow's components starts; a task that starts tells us too, and may not reach the database."""
    from airflow.sdk.execution_time.task_runner import TaskRunnerMarker

    if not isinstance(component, TaskRunnerMarker):
        _begin()


@hookimpl
def on_dag_run_running(dag_run: DagRun, msg: str) -> None:
    """Before a run's first task: the file may have changed since the start."""
    _begin()


def make_missing() -> list[str]:
    """The pools that were missing and now are there; tasks that wait without a worker count in them as well."""
    from airflow.models.pool import Pool

    clouds = read_clouds(settings.include_dir()).clouds
    wanted = {about.pool for about in clouds.values() if about.pool}
    missing = sorted(wanted - {pool.pool for pool in Pool.get_pools()}) if wanted else []
    for name in missing:
        of = ", ".join(cloud for cloud, about in clouds.items() if about.pool == name)
        Pool.create_or_update_pool(name, SLOTS, f"Imagesmith: tasks on {of}", include_deferred=True)
        log.info("made pool %s with %s slots", name, SLOTS)
    return missing


def _begin() -> None:
    # In a thread, which has a session of its own: a commit in the scheduler's would break what it has locked.
    threading.Thread(target=_make, name="imagesmith-pools", daemon=True).start()


def _make() -> None:
    try:
        make_missing()
    except Exception:  # the thread's last line of defence; the next run tries again
        log.exception("the pools of include/clouds.yaml could not be made; make them in Airflow: Admin, Pools")
