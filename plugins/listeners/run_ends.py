"""At the end of a run nothing of its sealed credentials stays in Airflow's database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.listeners import hookimpl

from imagesmith.sealing import without_sealed

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun


@hookimpl
def on_dag_run_success(dag_run: DagRun, msg: str) -> None:
    """The scheduler keeps what is assigned here with the run's last state."""
    _scrub(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: DagRun, msg: str) -> None:
    """As after a success; by then the teardown has taken the credential back."""
    _scrub(dag_run)


def _scrub(dag_run: DagRun) -> None:
    kept = without_sealed(dag_run.conf or {})
    if kept != dag_run.conf:
        dag_run.conf = kept
