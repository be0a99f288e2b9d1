"""What a build's tasks printed: the newest lines while they come, and whole logs in pieces, the last one first."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from imagesmith.catalog.records import BuildRecord
from imagesmith.errors import BuildStateError
from imagesmith.web import runs
from imagesmith.web.api.builds import BuildId
from imagesmith.web.host import Caller, Right
from imagesmith.web.output import Task
from imagesmith.web.pages.frame import page
from imagesmith.web.parts import CallerDep, Parts, PartsDep, the_build
from imagesmith.web.problems import Problem, not_found

router = APIRouter(prefix="/builds/{build_id}")
# Of the end that the catalog keeps of an output, up to 16 KiB: with so much there may be a lot more, for which Airflow
# takes many seconds.
LONG_BYTES = 12 * 1024
Cloud = Annotated[str, Path(max_length=100)]


@router.get("/tail/{cloud}")
def show_tail(parts: PartsDep, caller: CallerDep, request: Request, build_id: BuildId, cloud: Cloud) -> Response:
    """The last of what the cloud's script printed, as the catalog has it."""
    the_build(parts, caller, build_id, Right.READ_LOGS)
    try:
        target = parts.catalog.target(build_id, cloud)
    except BuildStateError as error:
        raise not_found(f"target {cloud[:80]} of {build_id}") from error
    return page(
        request,
        "build-tail.html",
        build_id=build_id,
        cloud=cloud,
        tail=target.output_tail,
        test_tail=target.test_output_tail,
    )


@router.get("/output/{cloud}/{step}")
def show_output(
    parts: PartsDep,
    caller: CallerDep,
    request: Request,
    build_id: BuildId,
    cloud: Cloud,
    step: Annotated[str, Path(max_length=100)],
    piece: Annotated[int | None, Query(ge=0, le=1_000_000)] = None,
    wait: bool = False,
) -> Response:
    """A piece of the step's log, by default its last; the piece before it is asked for on demand.

    Of a long log that is not here yet the end comes first, out of the catalog, unless one is ready to `wait`.
    """
    build = the_build(parts, caller, build_id, Right.READ_LOGS)
    task = _task(parts, caller, build, cloud, step)
    log_url = f"{runs.page_of(parts.host, build.dag_id, build.run_id)}/tasks/{task.task_id}"
    shown: dict[str, Any] = {"build": build, "cloud": cloud, "step": step, "log_url": log_url}
    tail = parts.catalog.target(build_id, cloud).output_tail
    if step == "customize" and len(tail.encode()) > LONG_BYTES and not (wait or parts.outputs.have(task)):
        return page(request, "output.html", **shown, tail=tail, number=piece)
    return page(request, "output.html", **shown, piece=parts.outputs.piece(parts.host, caller, task, piece))


def _task(parts: Parts, caller: Caller, build: BuildRecord, cloud: str, step: str) -> Task:
    if step not in runs.TASKS or cloud not in {target.cloud for target in parts.catalog.targets(build.build_id)}:
        raise not_found(f"step {step[:80]} on {cloud[:80]} of build {build.build_id}")
    run, task_id = runs.Run(build.dag_id, build.run_id, ""), f"{cloud}.{step}"
    number, ended = runs.last_try(parts.host, caller, run, task_id)
    if not number:
        raise Problem(404, f"{cloud}: Airflow has no log of the step {step} yet, or keeps it no longer")
    return Task(run, task_id, number, ended)
