"""The catalog read back from the clouds' tags, as an Airflow operator: where the connections are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperator

from hooks.opening import open_cloud
from imagesmith import settings
from imagesmith.steps.janitor import defined_clouds
from imagesmith.steps.recover import Recovered, recover
from operators.deployment import this_deployment

if TYPE_CHECKING:
    from airflow.sdk import Context


class Recover(BaseOperator):
    """Images, builds, parents and digests from the tags on every cloud of include/clouds.yaml into the catalog."""

    def execute(self, context: Context) -> list[Recovered]:
        """What each cloud told."""
        answers = recover(
            this_deployment(),
            clouds=defined_clouds(settings.include_dir()),
            open_cloud=open_cloud,
            emit=lambda line: self.log.info("%s", line),
        )
        for answer in answers:
            for remark in (answer["left_out"], answer["problem"]):
                if remark:
                    self.log.warning("%s", remark)
        return answers
