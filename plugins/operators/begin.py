"""Begin: the build's plan frozen in the catalog, as an Airflow operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from imagesmith import settings
from imagesmith.generator import load_all
from imagesmith.steps.begin import Request, begin
from operators.deployment import this_deployment
from operators.step_operator import RETRIES, RETRY_COUNT

if TYPE_CHECKING:
    from airflow.sdk import Context


class Begin(BaseOperator):
    """The build's plan, frozen. Calls no cloud.

    :param generator: name of the generator to build.
    """

    def __init__(self, *, generator: str, **kwargs: Any) -> None:
        kwargs.setdefault("retries", RETRY_COUNT)
        kwargs.setdefault("retry_policy", RETRIES)
        super().__init__(**kwargs)
        self.generator = generator

    def execute(self, context: Context) -> dict[str, str]:
        """The build's id and version, for people who look at XCom; the steps read the catalog."""
        run = context["dag_run"]
        request = Request(
            generator=self.generator,
            dag_id=run.dag_id,
            run_id=run.run_id,
            how=getattr(run.run_type, "value", str(run.run_type)),
            by=getattr(run, "triggering_user_name", None) or "",
            parameters=dict(context["params"]),
        )
        build = begin(
            request,
            load=lambda: load_all(settings.include_dir(), only=self.generator),
            catalog=this_deployment().catalog,
        )
        self.log.info("build %s of %s %s, until %s", build.build_id, build.generator, build.version, build.deadline)
        return {"build_id": build.build_id, "version": build.version}
