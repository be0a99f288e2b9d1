"""The base of the operators that are one step of a target: enter it, wait a little, defer what is long."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator, conf
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowSkipException

from hooks.opening import open_account
from imagesmith import settings
from imagesmith.errors import ImagesmithError, Interrupted, Transient, revive
from imagesmith.steps.runner import Step, StepResult, planned_target, run_step
from imagesmith.waiting import StillWaiting, patience_s
from operators.deployment import this_deployment
from triggers.step_trigger import StepTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

# What nobody can wait out fails at once; everything else, a killed process included, starts the step over.
RETRIES = ExceptionRetryPolicy(
    rules=[
        RetryRule(exception=Transient, action=RetryAction.RETRY, retry_delay=timedelta(seconds=5)),
        RetryRule(exception=ImagesmithError, action=RetryAction.FAIL),
    ]
)
RETRY_COUNT = 5


class StepOperator(BaseOperator):
    """One step of one target.

    :param cloud: name of the cloud, which is also its connection's id.
    :param deferrable: wait in the triggerer once `IMAGESMITH_WORKER_PATIENCE` is over; otherwise wait in the worker.
    """

    step: ClassVar[Step]

    def __init__(
        self,
        *,
        cloud: str,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=True),
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("retries", RETRY_COUNT)
        kwargs.setdefault("retry_delay", timedelta(seconds=5))
        kwargs.setdefault("retry_policy", RETRIES)
        super().__init__(**kwargs)
        self.cloud = cloud
        self.deferrable = deferrable

    def execute(self, context: Context) -> StepResult:  # noqa: RET503  (`defer` raises)
        """Run the step, or as much of it as this worker has patience for."""
        run = context["dag_run"]
        build_id, target = planned_target(
            this_deployment().catalog, run.dag_id, run.run_id, cloud=self.cloud, step=self.step
        )
        if isinstance(target, str):
            raise AirflowSkipException(target)
        try:
            return asyncio.run(
                run_step(
                    self.step,
                    build_id,
                    cloud=self.cloud,
                    open_account=open_account,
                    deployment=this_deployment(),
                    emit=self._emit,
                    patience_s=self._patience_s() if self.deferrable else None,
                )
            )
        except StillWaiting as waiting:
            self.log.info("%s; going on in the triggerer", waiting)
        self.defer(
            trigger=StepTrigger(
                step=str(self.step),
                build_id=build_id,
                cloud=self.cloud,
                target=target.model_dump(mode="json"),
            ),
            method_name="resume",
        )

    def resume(self, context: Context, event: dict[str, Any]) -> StepResult:
        """The step's result from the trigger, or its error raised again."""
        if "error" in event:
            raise revive(event["error"], event["message"])
        result: StepResult = event["result"]
        return result

    def on_kill(self) -> None:
        """End this process's part of the step; calls under way are recorded, the teardown removes what is there."""
        raise Interrupted(f"{self.cloud}: {self.step} was asked to end")

    def _patience_s(self) -> float:
        live_targets = this_deployment().catalog.live_targets()
        workers = conf.getint("core", "parallelism")
        return patience_s(settings.worker_patience_s(), live_targets=live_targets, workers=workers)

    def _emit(self, line: str) -> None:
        self.log.info("%s", line)
