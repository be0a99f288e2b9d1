"""Builds as people see them: the table, one build with all its clouds, and what can be done with it."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from imagesmith.catalog.records import BuildRecord, BuildState
from imagesmith.consistency import Comparison, Difference, shown
from imagesmith.plan import Plan
from imagesmith.things import Kind
from imagesmith.web import proofs, runs
from imagesmith.web.api.builds import BuildId, build_shown, builds_listed, cancelled, retried
from imagesmith.web.host import Right
from imagesmith.web.pages.events import page_time
from imagesmith.web.pages.frame import at, go_to, page
from imagesmith.web.pages.posted import PostedDep
from imagesmith.web.pages.starts import Start, asking, go_to_run, refused
from imagesmith.web.paging import PagingDep
from imagesmith.web.parts import CallerDep, Parts, PartsDep, the_build
from imagesmith.web.problems import Problem

router = APIRouter(prefix="/builds")
Name = Annotated[str, Query(max_length=100)]
# More differences than this are in the REST answer and on the command line.
MOST_DIFFERENCES = 300


@router.get("")
def list_builds(
    parts: PartsDep, caller: CallerDep, request: Request, paging: PagingDep, generator: Name = "", state: Name = ""
) -> Response:
    """Builds, newest first, moving as they go on."""
    chosen = BuildState(state) if state in list(BuildState) else None
    loaded = datetime.now(UTC)
    found = builds_listed(parts, caller, paging, generator=generator.strip() or None, state=chosen)
    filters = {"generator": generator.strip(), "state": chosen or ""}
    return page(
        request,
        "builds.html",
        found=found,
        paging=paging,
        filters=filters,
        states=list(BuildState),
        to=lambda offset: at(request, "builds", **filters, limit=paging.limit, offset=offset),
        events=at(request, "builds", "events", **filters, at=loaded.timestamp()),
    )


@router.get("/{build_id}")
def show_build(parts: PartsDep, caller: CallerDep, request: Request, build_id: BuildId) -> Response:
    """One build as it is now; what moves in it asks for itself again."""
    loaded = datetime.now(UTC)
    build = the_build(parts, caller, build_id)
    targets = parts.catalog.targets(build_id)
    may = {right: parts.host.may(caller, right, build.generator) for right in (Right.STEER, Right.START)}
    lost = [target.cloud for target in targets if target.state in runs.RETRIED]
    return page(
        request,
        "build.html",
        build=build_shown(parts, caller, build),
        plan=Plan.model_validate(build.plan),
        tails={target.cloud: (target.output_tail, target.test_output_tail) for target in targets},
        may_read=parts.host.may(caller, Right.READ_LOGS, build.generator),
        may_cancel=may[Right.STEER] and not build.state.ended,
        may_retry=may[Right.STEER] and build.state.ended and bool(lost),
        may_rebuild=may[Right.START] and build.state.ended and not build.read_back,
        read_back=build.read_back,
        lost=lost,
        proven=bool(build.provenance),
        tasks=runs.TASKS,
        events=at(request, "builds", build_id, "events", at=page_time(build, loaded).timestamp()),
        **_consistency(build),
    )


@router.post("/{build_id}/cancel")
def cancel_build(parts: PartsDep, caller: CallerDep, request: Request, build_id: BuildId) -> Response:
    """End it."""
    cancelled(parts, caller, build_id)
    return go_to(request, "builds", build_id, done="cancelled")


@router.post("/{build_id}/retry")
def retry_build(parts: PartsDep, caller: CallerDep, request: Request, build_id: BuildId) -> Response:
    """Begin again where it failed, and only there."""
    retried(parts, caller, build_id)
    return go_to(request, "builds", build_id, done="retried")


@router.get("/{build_id}/rebuild")
def ask_rebuild(parts: PartsDep, caller: CallerDep, request: Request, build_id: BuildId) -> Response:
    """What a build from the same inputs needs again, as it is stored nowhere."""
    build = the_build(parts, caller, build_id, Right.START)
    return _rebuild_page(parts, request, build)


@router.post("/{build_id}/rebuild")
def rebuild(parts: PartsDep, caller: CallerDep, request: Request, build_id: BuildId, fields: PostedDep) -> Response:
    """Build again from the same inputs, or say what is missing."""
    build = the_build(parts, caller, build_id, Right.START)
    start = Start.posted(fields)
    try:
        run = proofs.rebuild(parts, caller, build, runs.Wanted(None, start.secrets, start.passwords))
    except Problem as problem:
        return _rebuild_page(parts, request, build, problem)
    return go_to_run(request, run)


def _rebuild_page(parts: Parts, request: Request, build: BuildRecord, problem: Problem | None = None) -> Response:
    plan = Plan.model_validate(build.plan)
    return page(
        request,
        "rebuild.html",
        status=problem.status if problem else 200,
        build=build,
        plan=plan,
        asking=asking(parts, plan.targets),
        **refused(problem),
    )


def _consistency(build: BuildRecord) -> dict[str, Any]:
    found = proofs.consistency_of(build)
    comparison = found.comparison
    forbidden = list(comparison.forbidden) if comparison else []
    allowed = [each for each in comparison.differences if each.allowed] if comparison else []
    return {
        "verdict": found.verdict,
        "told": found.told,
        "compared": _seen(comparison),
        "forbidden": forbidden[:MOST_DIFFERENCES],
        "allowed": allowed[:MOST_DIFFERENCES],
        "left_out": max(0, len(forbidden) - MOST_DIFFERENCES) + max(0, len(allowed) - MOST_DIFFERENCES),
        "value_of": _value,
    }


def _seen(comparison: Comparison | None) -> list[str]:
    return [cloud for cloud in comparison.clouds if cloud not in comparison.unseen] if comparison else []


def _value(difference: Difference, cloud: str) -> str:
    return shown(difference.values.get(cloud, ""), Kind(difference.kind))
