"""The refusals each route documents."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from imagesmith.web.problems import MEDIA_TYPE


class Mistake(BaseModel):
    """One mistake in a request, or in the generator it would make."""

    field: str = Field(
        description="dotted; a key of the generator's file where `file` is given", examples=["clouds.ec2"]
    )
    message: str = Field(examples=["is no cloud in clouds.yaml"])
    cure: str = Field(examples=["did you mean ec2?"])
    file: str | None = Field(None, examples=["include/generators/dstat.yaml"])
    line: int | None = Field(None, description="counts from 1; 0 where the file as a whole is meant", examples=[7])


class ProblemShown(BaseModel):
    """A refusal (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(description="what, on which thing, and the cure", examples=["limit: must be at most 200"])
    errors: list[Mistake] | None = None


_WHY = {
    400: "the request can't be read",
    401: "nobody whom Airflow knows",
    403: "not allowed, or a write that may come from another site",
    404: "not there, or not for you to see",
    409: "not in this state",
    412: "changed by somebody else: `yours` and `theirs` are both texts, `etag` the present one",
    413: "the body is too large",
    422: "something in the request does not fit",
    428: "`If-Match` is missing",
    502: "a cloud's Keystone, or Airflow, has trouble of its own",
    503: "the catalog or the deployment can't be used now",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documented refusals of a route: those that all have, and its own."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemShown"}}}
    return {
        status: {"description": _WHY[status], "content": content} for status in sorted({401, 403, 413, 503, *statuses})
    }
