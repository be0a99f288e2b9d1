"""VerifyImage: one step of a target as an Airflow operator."""

from __future__ import annotations

from imagesmith.steps.runner import Step
from operators.step_operator import StepOperator


class VerifyImage(StepOperator):
    """The saved image booted, found to hold what was customized and nothing of the build, and tested."""

    step = Step.VERIFY_IMAGE
