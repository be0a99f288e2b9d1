"""Preflight as an Airflow operator: where the connections are, the clouds are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from hooks.opening import open_cloud
from imagesmith import settings
from imagesmith.generator import load_all
from imagesmith.steps.preflight import Introduction, Offer, ask, chosen_cloud, introduce, offer, preview
from operators.deployment import this_deployment

if TYPE_CHECKING:
    from airflow.sdk import Context


class Preflight(BaseOperator):
    """What each cloud says to a build of the run's params `generator`, `clouds` and `parameters`; launches nothing."""

    def execute(self, context: Context) -> dict[str, Any]:
        """The generator's version as this worker reads it, and an answer for each cloud."""
        params = context["params"]
        plan = preview(
            params["generator"],
            load_all(settings.include_dir()),
            parameters=params["parameters"],
            clouds=params["clouds"],
        )
        answers = ask(plan, open_cloud, catalog=this_deployment().catalog)
        for answer in answers:
            for problem in answer["problems"]:
                self.log.warning("%s", problem)
        return {"version": plan.version, "answers": answers}


class TestCloud(BaseOperator):
    """Whom the cloud of the run's param `cloud` takes us for; a refusal is a result, too."""

    def execute(self, context: Context) -> Introduction:
        """The cloud's own answer."""
        cloud = chosen_cloud(context["params"]["cloud"], settings.include_dir())
        answer = introduce(cloud, open_cloud)
        self.log.info("%s: %s", cloud.cloud, answer["problem"] or answer["identity"])
        return answer


class ListCloud(BaseOperator):
    """What the cloud of the run's param `cloud` has to choose from; a refusal is a result, too."""

    def execute(self, context: Context) -> Offer:
        """The cloud's own lists."""
        params = context["params"]
        answer = offer(chosen_cloud(params["cloud"], settings.include_dir()), open_cloud, search=params["search"])
        self.log.info("%s: %s", params["cloud"], answer["problem"] or f"{len(answer['images'])} images")
        return answer
