"""LaunchVM: one step of a target as an Airflow operator."""

from __future__ import annotations

from imagesmith.steps.runner import Step
from operators.step_operator import StepOperator


class LaunchVM(StepOperator):
    """An instance of the source image that answers over SSH."""

    step = Step.LAUNCH_VM
