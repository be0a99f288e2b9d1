"""The janitor as an Airflow operator."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from hooks.opening import open_cloud
from imagesmith import settings
from imagesmith.steps.janitor import STRAYS_AGE_H, Sweep, defined_clouds
from operators.deployment import this_deployment

if TYPE_CHECKING:
    from airflow.sdk import Context


class Janitor(BaseOperator):
    """Ends the builds nobody is alive to end and deletes what they left; fails when something could not be deleted.

    :param only_report: say what would be done and touch nothing.
    :param older_than_hours: age at which something of this deployment's that no catalog knows is deleted.
    """

    template_fields = ("only_report", "older_than_hours")

    def __init__(
        self, *, only_report: bool | str = False, older_than_hours: float | str = STRAYS_AGE_H, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.only_report = only_report
        self.older_than_hours = older_than_hours

    def execute(self, context: Context) -> list[str]:
        """What was done, a line each."""
        janitor = Sweep(
            this_deployment(),
            open_cloud=open_cloud,
            defined=defined_clouds(settings.include_dir()),
            strays_age=timedelta(hours=float(self.older_than_hours)),
            dry_run=str(self.only_report) == "True",
            emit=lambda line: self.log.info("%s", line),
        )
        return asyncio.run(janitor.run(datetime.now(UTC)))
