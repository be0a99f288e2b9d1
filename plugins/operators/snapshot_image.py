"""SnapshotImage: one step of a target as an Airflow operator."""

from __future__ import annotations

from imagesmith.steps.runner import Step
from operators.step_operator import StepOperator


class SnapshotImage(StepOperator):
    """The instance saved as a new image."""

    step = Step.SNAPSHOT_IMAGE
