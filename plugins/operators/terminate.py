"""Terminate: one step of a target as an Airflow operator."""

from __future__ import annotations

from imagesmith.steps.runner import Step
from operators.step_operator import StepOperator


class Terminate(StepOperator):
    """Nothing of the target left on its cloud but a successful image; a teardown of `begin` and `launch_vm`."""

    step = Step.TERMINATE
