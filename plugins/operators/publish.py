"""Publish: the end of a build, as an Airflow operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from imagesmith.steps.publish import publish_run
from operators.deployment import this_deployment
from operators.image_assets import announce, images_alias
from operators.step_operator import RETRIES, RETRY_COUNT

if TYPE_CHECKING:
    from airflow.sdk import Context


class Publish(BaseOperator):
    """The build's end written down and its new images made known; fails when a required target got to none.

    :param generator: name of the generator, whose images on each cloud are an asset.

    Wire it as teardown of `begin` with `on_failure_fail_dagrun`, so that it runs even in a run marked failed by hand.
    """

    def __init__(self, *, generator: str, **kwargs: Any) -> None:
        kwargs.setdefault("retries", RETRY_COUNT)
        kwargs.setdefault("retry_policy", RETRIES)
        kwargs.setdefault("outlets", [images_alias(generator)])
        super().__init__(**kwargs)

    def execute(self, context: Context) -> dict[str, str]:
        """Image id by cloud."""
        run, events = context["dag_run"], context["outlet_events"]
        return publish_run(
            run.dag_id,
            run.run_id,
            deployment=this_deployment(),
            emit=lambda line: self.log.info("%s", line),
            announce=lambda news: announce(events, news),
        )
