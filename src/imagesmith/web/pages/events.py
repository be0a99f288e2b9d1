"""What pages are told while they are open, as server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from imagesmith.catalog.records import BuildRecord
from imagesmith.catalog.watching import WatchedBuild
from imagesmith.web.api.builds import BuildId, BuildListed
from imagesmith.web.host import Caller
from imagesmith.web.pages.frame import render
from imagesmith.web.parts import CallerDep, Parts, PartsDep, the_build
from imagesmith.web.pulse import LATE_S

Told = Callable[[Sequence[WatchedBuild]], Iterator[str]]
router = APIRouter(prefix="/builds")
# After so long a stream ends, and the browser comes again: with its login as it is by then.
LIFE_S = 600.0
# After a stream that broke, a browser waits so long.
COME_AGAIN_MS = 2_000
_QUIET = ": nothing new\n\n"
Moment = Annotated[float, Query(ge=0, le=4e9, allow_inf_nan=False, description="when the page was loaded")]


@router.get("/events")
async def builds_events(
    parts: PartsDep,
    caller: CallerDep,
    request: Request,
    at: Moment,
    generator: Annotated[str, Query(max_length=100)] = "",
    state: Annotated[str, Query(max_length=100)] = "",
) -> StreamingResponse:
    """Rows of builds that changed, and `new` where the list itself did."""
    since = datetime.fromtimestamp(at, UTC)

    def told(batch: Sequence[WatchedBuild]) -> Iterator[str]:
        seen = parts.host.sees(caller, {each.summary.generator for each in batch})
        ours = [each.summary for each in batch if each.summary.generator in seen]
        ours = [each for each in ours if generator in ("", each.generator)]
        if any(state or each.created_at > since for each in ours):
            yield event("new")
        for each in ours:
            row = render(request, "build-row.html", build=BuildListed.model_validate(each))
            yield event(f"build-{each.build_id}", row)

    return _stream(parts, since, told)


@router.get("/{build_id}/events")
async def build_events(
    parts: PartsDep, caller: CallerDep, request: Request, build_id: BuildId, at: Moment
) -> StreamingResponse:
    """`changed` for steps and states, `ended` for the build's end after `at`, `output-CLOUD` for more output."""
    await anyio.to_thread.run_sync(the_build, parts, caller, build_id)
    since = datetime.fromtimestamp(at, UTC)
    last: list[WatchedBuild] = []

    def told(batch: Sequence[WatchedBuild]) -> Iterator[str]:
        for each in batch:
            if each.summary.build_id != build_id or not _still_sees(parts, caller, each):
                continue
            before = last.pop() if last else None
            last.append(each)
            yield from _of_one(before, each, since)

    return _stream(parts, since, told)


def page_time(build: BuildRecord, loaded: datetime) -> datetime:
    """The `at` of a page of the build: no end that it shows is after it, and any other is, whatever wrote it.

    Clocks of several machines differ.
    """
    return max(loaded, build.ended_at) if build.ended_at else loaded - timedelta(seconds=LATE_S)


def event(name: str, data: str = "") -> str:
    """One event; whatever lines the data has."""
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {name}\n{lines}\n"


def _still_sees(parts: Parts, caller: Caller, each: WatchedBuild) -> bool:
    return bool(parts.host.sees(caller, [each.summary.generator]))


def _of_one(before: WatchedBuild | None, now: WatchedBuild, since: datetime) -> Iterator[str]:
    told, ended = since if before is None else before.summary.ended_at, now.summary.ended_at
    if ended and (told is None or ended > told):
        yield event("ended")
    elif _moved(before, now):
        yield event("changed")
    for cloud, mark in now.output.items():
        if before is None or before.output.get(cloud) != mark:
            yield event(f"output-{cloud}")


def _moved(before: WatchedBuild | None, now: WatchedBuild) -> bool:
    """Whether the page may show it as it is no more; of an ended build it shows the end."""
    if before is None:
        return now.summary.ended_at is None
    return (before.summary, before.steps) != (now.summary, now.steps)


def _stream(parts: Parts, since: datetime, told: Told) -> StreamingResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_said(parts, since, told), media_type="text/event-stream", headers=headers)


async def _said(parts: Parts, since: datetime, told: Told) -> AsyncIterator[str]:
    yield f"retry: {COME_AGAIN_MS}\n\n"
    over = time.monotonic() + LIFE_S
    pulse = await anyio.to_thread.run_sync(lambda: parts.pulse)
    async with aclosing(pulse.news(since)) as news:
        async for batch in news:
            yield await anyio.to_thread.run_sync(_joined, told, batch)
            if time.monotonic() > over:
                return


def _joined(told: Told, batch: Sequence[WatchedBuild]) -> str:
    return "".join(told(batch)) or _QUIET
