"""At the end of a run nothing that was sealed for it stays: not in Airflow's database, and no credential at a cloud."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow.listeners import hookimpl

from imagesmith.core import PASSWORD_PREFIX
from imagesmith.sealing import without_sealed

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

log = logging.getLogger(__name__)


@hookimpl
def on_dag_run_success(dag_run: DagRun, msg: str) -> None:
    """The scheduler keeps what is assigned here with the run's last state."""
    _scrub(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: DagRun, msg: str) -> None:
    """As after a success; where there was a build, its teardown has taken the credential back by now."""
    _scrub(dag_run)


def _scrub(dag_run: DagRun) -> None:
    conf = dict(dag_run.conf or {})
    kept = without_sealed(conf)
    if kept == conf:
        return
    dag_run.conf = kept
    gone = [key for key in conf if key not in kept and key.startswith(PASSWORD_PREFIX)]
    sealed = {key.removeprefix(PASSWORD_PREFIX): conf[key] for key in gone}
    if not sealed:
        return
    # Beside the scheduler's loop, which waits for nobody.
    run = (dag_run.dag_id, dag_run.run_id, sealed)
    threading.Thread(target=_take_back_unused, args=run, name="imagesmith-take-back", daemon=True).start()


def _take_back_unused(dag_id: str, run_id: str, sealed: Mapping[str, str]) -> None:
    """A run that ended before it had a build has no teardown that would take its credentials back."""
    from hooks.password_desk import AirflowDesk
    from operators.deployment import this_deployment

    try:
        if this_deployment().catalog.find_build(dag_id, run_id) is None:
            for cloud, value in sealed.items():
                AirflowDesk().revoke(dag_id, cloud, value)
    except Exception:  # the thread's last line of defence: it ends here, and the credential ends by itself
        log.exception("the credentials of run %s of %s, which has no build, end by themselves", run_id, dag_id)
