"""What is proven of a build: whether its images are the same, the signed statement about them, the same build again."""

from typing import Any

from fastapi import APIRouter, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field

from imagesmith.consistency import Comparison
from imagesmith.web import downloads, proofs, runs
from imagesmith.web.api.answers import refusals
from imagesmith.web.api.builds import BuildId, Password, RunShown, run_shown
from imagesmith.web.host import Right
from imagesmith.web.parts import CallerDep, PartsDep, address, the_build

router = APIRouter(prefix="/builds/{build_id}", tags=["builds"])


class ConsistencyShown(BaseModel):
    """Whether a build's images are the same, and all that differs."""

    verdict: str = Field(
        description='identical, equal, different or unknown; "" where there are not two images to compare',
        examples=["equal"],
    )
    told: str = Field(description="the verdict in words", examples=["identical: 2 images hold the same"])
    comparison: Comparison | None


class RebuildWanted(BaseModel):
    """What a build needs again because it is stored nowhere."""

    model_config = ConfigDict(
        extra="forbid", hide_input_in_errors=True, json_schema_extra={"examples": [{"note": "after the fix"}]}
    )

    parameters: dict[str, Any] = Field(default_factory=dict, max_length=200, description="secret ones, and no others")
    passwords: dict[str, Password] = Field(
        default_factory=dict, max_length=100, description="by cloud, for those that ask; stored nowhere"
    )
    note: str = Field("", max_length=1_000)


@router.get("/consistency", responses=refusals(404, 422))
def read_consistency(parts: PartsDep, caller: CallerDep, build_id: BuildId) -> ConsistencyShown:
    """Whether the build's images are the same on every cloud, thing by thing."""
    found = proofs.consistency_of(the_build(parts, caller, build_id))
    return ConsistencyShown(verdict=found.verdict, told=found.told, comparison=found.comparison)


@router.get(
    "/provenance",
    response_class=Response,
    responses={
        200: {"description": "the envelope, as a file", "content": {downloads.DSSE: {"schema": {"type": "object"}}}},
        **refusals(404, 409, 422),
    },
)
def read_provenance(parts: PartsDep, caller: CallerDep, build_id: BuildId) -> Response:
    """The signed statement about the build's images: a DSSE envelope that `imagesmith verify` checks."""
    return downloads.provenance(the_build(parts, caller, build_id)).response()


@router.post("/rebuild", status_code=status.HTTP_202_ACCEPTED, responses=refusals(400, 404, 409, 422, 502))
def rebuild(
    parts: PartsDep,
    caller: CallerDep,
    request: Request,
    response: Response,
    build_id: BuildId,
    wanted: RebuildWanted | None = None,
) -> RunShown:
    """Build again from the exact inputs of this build: a new build. Where it can be followed is in `Location`."""
    wanted = wanted or RebuildWanted()
    build = the_build(parts, caller, build_id, Right.START)
    passwords = {cloud: secret.get_secret_value() for cloud, secret in wanted.passwords.items()}
    run = proofs.rebuild(parts, caller, build, runs.Wanted(None, wanted.parameters, passwords), note=wanted.note)
    response.headers["Location"] = address(request, "runs", run.dag_id, run.run_id)
    return run_shown(parts, caller, run)
