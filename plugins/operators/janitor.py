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

    :param dry_run: say what would be done and touch nothing.
    """

    template_fields = ("dry_run",)

    def __init__(self, *, dry_run: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dry_run = dry_run

    def execute(self, context: Context) -> list[str]:
        """What was done, a line each."""
        janitor = Sweep(
            this_deployment(),
            open_cloud=open_cloud,
            dry_run=str(self.dry_run) == "True",
            emit=lambda line: self.log.info("%s", line),
        )
        return asyncio.run(janitor.run(datetime.now(UTC)))
