"""SSHCustomize: one step of a target as an Airflow operator."""

from __future__ import annotations

from imagesmith.steps.runner import Step
from operators.step_operator import StepOperator


class SSHCustomize(StepOperator):
    """The scripts run on the instance, their output in this task's log, and the instance clean."""

    step = Step.CUSTOMIZE
