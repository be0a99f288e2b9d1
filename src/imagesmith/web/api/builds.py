"""Builds: start, list, read, cancel, retry; and runs, by which a build is known until it has begun."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from imagesmith.catalog.pages import BuildSummary
from imagesmith.catalog.records import BuildRecord, BuildState
from imagesmith.core import TargetState
from imagesmith.progress import as_json, look
from imagesmith.web import runs
from imagesmith.web.api.answers import refusals
from imagesmith.web.host import Caller, Right
from imagesmith.web.paging import Listed, Paging, PagingDep, link_pages
from imagesmith.web.parts import CallerDep, Parts, PartsDep, address, readable, require, the_build, visible_generators
from imagesmith.web.problems import not_found

router = APIRouter(tags=["builds"])
BuildId = Annotated[str, Path(max_length=100, examples=["20261127-000303-1a2b3c"])]
Password = Annotated[SecretStr, Field(max_length=4_096)]


class BuildWanted(BaseModel):
    """A build that shall be started."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"generator": "dstat", "clouds": ["ec2"], "parameters": {"extra": "vim"}}]},
    )

    generator: str = Field(max_length=100)
    clouds: list[Annotated[str, Field(max_length=100)]] | None = Field(
        None, max_length=100, description="all of the generator's if left out"
    )
    parameters: dict[str, Any] = Field(default_factory=dict, max_length=200)
    passwords: dict[str, Password] = Field(
        default_factory=dict, max_length=100, description="by cloud, for those that ask; stored nowhere"
    )
    note: str = Field("", max_length=1_000)


class StepShown(BaseModel):
    """One step of a target's present attempt."""

    step: str = Field(examples=["launch_vm"])
    started_at: datetime
    ended_at: datetime | None
    error: str


class TargetShown(BaseModel):
    """One cloud's part of a build."""

    cloud: str = Field(examples=["ec2"])
    required: bool
    state: TargetState
    error: str
    image_id: str
    image_name: str
    unchanged_since: str = Field(description="the build whose image this is, where a new one would be the same")
    source_image_id: str
    source_image_name: str
    instance_id: str
    address: str
    attempt: int
    started_at: datetime | None
    ended_at: datetime | None
    steps: list[StepShown]


class BuildShown(BaseModel):
    """One build with its targets."""

    build_id: str = Field(examples=["20261127-000303-1a2b3c"])
    generator: str = Field(examples=["dstat"])
    version: str = Field(examples=["0123456789ab"])
    state: BuildState
    error: str
    dag_id: str
    run_id: str
    url: str = Field(description='the run in Airflow; "" of a build that was read back from its images')
    attempt: int
    requested_by: str
    requested_how: str
    created_at: datetime
    ended_at: datetime | None
    verdict: str = Field(description='whether its images are the same; "" where there is one alone')
    targets: list[TargetShown]


class BuildListed(BaseModel):
    """One build of a list, with the states of its targets by cloud."""

    model_config = ConfigDict(from_attributes=True)

    build_id: str = Field(examples=["20261127-000303-1a2b3c"])
    generator: str = Field(examples=["dstat"])
    version: str = Field(examples=["0123456789ab"])
    state: BuildState
    error: str
    run_id: str
    attempt: int
    requested_by: str
    requested_how: str
    created_at: datetime
    ended_at: datetime | None
    verdict: str
    targets: dict[str, TargetState]


class RunShown(BaseModel):
    """The DAG run of a build; `build` is null until the build has begun."""

    generator: str = Field(examples=["dstat"])
    run_id: str = Field(examples=["manual__2026-11-27T00:03:03+00:00"])
    state: str = Field(description="Airflow's word", examples=["queued"])
    url: str = Field(description="the run in Airflow")
    build: BuildShown | None


@router.post("/builds", status_code=status.HTTP_202_ACCEPTED, responses=refusals(400, 404, 409, 422, 502))
def start_build(
    parts: PartsDep, caller: CallerDep, request: Request, response: Response, wanted: BuildWanted
) -> RunShown:
    """Start a build: a DAG run like any other. Where it can be followed is in `Location`."""
    passwords = {cloud: secret.get_secret_value() for cloud, secret in wanted.passwords.items()}
    about = runs.Wanted(wanted.clouds, wanted.parameters, passwords)
    run = started(parts, caller, wanted.generator, about, note=wanted.note)
    response.headers["Location"] = address(request, "runs", run.dag_id, run.run_id)
    return run_shown(parts, caller, run)


@router.get("/builds", responses=refusals(422))
def list_builds(
    parts: PartsDep,
    caller: CallerDep,
    request: Request,
    response: Response,
    paging: PagingDep,
    generator: Annotated[str | None, Query(max_length=100, examples=["dstat"])] = None,
    state: BuildState | None = None,
) -> Listed[BuildListed]:
    """Builds, newest first."""
    found = builds_listed(parts, caller, paging, generator=generator, state=state)
    link_pages(request, response, paging, total=found.total)
    return found


@router.get("/builds/{build_id}", responses=refusals(404, 422))
def read_build(parts: PartsDep, caller: CallerDep, build_id: BuildId) -> BuildShown:
    """One build with its targets, their steps, errors and images."""
    return build_shown(parts, caller, the_build(parts, caller, build_id))


@router.post("/builds/{build_id}/cancel", status_code=202, responses=refusals(404, 409, 422, 502))
def cancel_build(parts: PartsDep, caller: CallerDep, build_id: BuildId) -> RunShown:
    """End the build; what it made on its clouds is deleted, which takes its time."""
    return run_shown(parts, caller, cancelled(parts, caller, build_id))


@router.post("/builds/{build_id}/retry", status_code=202, responses=refusals(404, 409, 422, 502))
def retry_build(parts: PartsDep, caller: CallerDep, build_id: BuildId) -> RunShown:
    """Build again on the clouds where the build failed, and only there."""
    return run_shown(parts, caller, retried(parts, caller, build_id))


@router.get("/runs/{generator}/{run_id:path}", responses=refusals(404, 422, 502))
def read_run(
    parts: PartsDep,
    caller: CallerDep,
    generator: Annotated[str, Path(max_length=100, examples=["dstat"])],
    run_id: Annotated[str, Path(max_length=250, examples=["manual__2026-11-27T00:03:03+00:00"])],
) -> RunShown:
    """The run of a generator, and its build once that has begun."""
    parts.shelf.path(generator)
    require(parts, caller, Right.SEE, generator)
    run = runs.find(parts.host, caller, generator, run_id)
    if run is None:
        raise not_found(f"run {run_id[:80]} of {generator}")
    return run_shown(parts, caller, run)


def cancelled(parts: Parts, caller: Caller, build_id: str) -> runs.Run:
    """The build's run, ended."""
    return runs.cancel(parts.host, caller, the_build(parts, caller, build_id, Right.STEER))


def retried(parts: Parts, caller: Caller, build_id: str) -> runs.Run:
    """The build's run, begun again on the clouds where it failed."""
    build = the_build(parts, caller, build_id, Right.STEER)
    known = parts.shelf.clouds()
    asking = known.broken | {name for name, cloud in known.clouds.items() if cloud.asks_password}
    targets = parts.catalog.targets(build_id)
    return runs.retry(parts.host, caller, build, targets, asking=frozenset(asking))


def started(parts: Parts, caller: Caller, generator: str, wanted: runs.Wanted, *, note: str = "") -> runs.Run:
    """The run of a new build of the generator."""
    parts.shelf.path(generator)  # of the other DAGs of this Airflow none is started here
    require(parts, caller, Right.START, generator)
    parts.shelf.entry(generator)
    return runs.start(parts.host, caller, generator, wanted.conf(), note=note)


def builds_listed(
    parts: Parts, caller: Caller, paging: Paging, *, generator: str | None, state: BuildState | None
) -> Listed[BuildListed]:
    """A part of the builds that the caller may see."""
    builds, total = parts.catalog.builds_page(
        generators=visible_generators(parts, caller, generator),
        state=state,
        limit=paging.limit,
        offset=paging.offset,
    )
    return Listed(items=[build_listed(parts, caller, build) for build in builds], total=total)


def build_listed(parts: Parts, caller: Caller, build: BuildSummary) -> BuildListed:
    """The build as a list shows it."""
    shown = BuildListed.model_validate(build)
    shown.error = readable(parts, caller, shown.error, of=shown.generator)
    return shown


def run_shown(parts: Parts, caller: Caller, run: runs.Run) -> RunShown:
    """The run, and its build if that has begun."""
    build = parts.catalog.find_build(run.dag_id, run.run_id)
    return RunShown(
        generator=run.dag_id,
        run_id=run.run_id,
        state=run.state,
        url=runs.page_of(parts.host, run.dag_id, run.run_id),
        build=build_shown(parts, caller, build) if build else None,
    )


def build_shown(parts: Parts, caller: Caller, build: BuildRecord) -> BuildShown:
    """The build as it is now, with its targets."""
    url = runs.page_of(parts.host, build.dag_id, build.run_id)
    shown = BuildShown.model_validate(as_json(look(parts.catalog, build), url=url))
    failing: list[BuildShown | TargetShown | StepShown] = [shown, *shown.targets]
    failing += [step for target in shown.targets for step in target.steps]
    for part in failing:
        part.error = readable(parts, caller, part.error, of=shown.generator)
    return shown
