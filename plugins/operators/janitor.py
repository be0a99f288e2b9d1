"""The janitor as an Airflow operator."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from hooks.opening import open_cloud
from imagesmith.steps.janitor import Sweep
from operators.deployment import this_deployment

if TYPE_CHECKING:
    from airflow.sdk import Context


class Janitor(BaseOperator):
    """Ends the builds nobody is alive to end and deletes what they left; fails when something could not be deleted.

    :param only_report: say what would be done and touch nothing.
    """

    template_fields = ("only_report",)

    def __init__(self, *, only_report: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.only_report = only_report

    def execute(self, context: Context) -> list[str]:
        """What was done, a line each."""
        janitor = Sweep(
            this_deployment(),
            open_cloud=open_cloud,
            dry_run=str(self.only_report) == "True",
            emit=lambda line: self.log.info("%s", line),
        )
        return asyncio.run(janitor.run(datetime.now(UTC)))
