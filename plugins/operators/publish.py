"""Publish: the end of a build, as an Airflow operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from imagesmith.steps.publish import publish_run
from operators.deployment import this_deployment
from operators.step_operator import RETRIES, RETRY_COUNT

if TYPE_CHECKING:
    from airflow.sdk import Context


class Publish(BaseOperator):
    """The build's end written down; fails when a required target did not get to its image.

    Wire it as teardown of `begin` with `on_failure_fail_dagrun`, so that it runs even in a run marked failed by hand.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("retries", RETRY_COUNT)
        kwargs.setdefault("retry_policy", RETRIES)
        super().__init__(**kwargs)

    def execute(self, context: Context) -> dict[str, str]:
        """Image id by cloud."""
        run = context["dag_run"]
        return publish_run(
            run.dag_id,
            run.run_id,
            catalog=this_deployment().catalog,
            emit=lambda line: self.log.info("%s", line),
        )
