"""One look a tick for all who watch; nobody misses anything, and when the last has left nobody looks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest

from imagesmith.catalog.pages import BuildSummary
from imagesmith.catalog.records import BuildState
from imagesmith.catalog.watching import WatchedBuild
from imagesmith.core import TargetState
from imagesmith.errors import Transient
from imagesmith.web.app import PREFIX
from imagesmith.web.pages import events
from imagesmith.web.pulse import Pulse

from .conftest import Web
from .fake_host import ADMIN, VIEWER

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
TICK_S = 0.01


def watched(build_id: str, state: BuildState = BuildState.RUNNING) -> WatchedBuild:
    summary = BuildSummary(
        **{"build_id": build_id, "generator": "tools", "version": "v", "dag_id": "tools", "run_id": build_id},
        **{"attempt": 1, "requested_by": "ann", "requested_how": "manual", "error": "", "verdict": ""},
        state=state,
        created_at=LONG_AGO,
        ended_at=None,
        targets={"ec2": TargetState.LAUNCHING},
    )
    return WatchedBuild(summary, steps="", output={"ec2": "0 0"})


class Looks:
    """A catalog that counts who looks."""

    def __init__(self, *found: WatchedBuild) -> None:
        self.found = list(found)
        self.count = 0
        self.error: Exception | None = None

    def __call__(self, since: datetime) -> Sequence[WatchedBuild]:
        self.count += 1
        if self.error:
            raise self.error
        return list(self.found)


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not met():
            await asyncio.sleep(TICK_S)


def ids(batch: Sequence[WatchedBuild]) -> list[str]:
    return [each.summary.build_id for each in batch]


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


async def next_news(news: AsyncGenerator[Sequence[WatchedBuild], None], build_id: str) -> WatchedBuild:
    while True:
        batch = await anext(news)
        for each in batch:
            if each.summary.build_id == build_id:
                return each


def test_who_comes_hears_what_is_and_then_what_changes() -> None:
    async def watching() -> None:
        looks = Looks(watched("one"))
        async with aclosing(Pulse(looks, tick_s=TICK_S).news(LONG_AGO)) as news:
            assert ids(await anext(news)) == ["one"]
            looks.found = [watched("one", BuildState.FAILED), watched("two")]
            assert (await next_news(news, "two")).summary.build_id == "two"
        looks.found = []

    run(watching())


def test_a_hundred_who_watch_are_one_look_a_tick_and_none_when_they_left() -> None:
    async def watching() -> None:
        looks = Looks(watched("one"))
        pulse = Pulse(looks, tick_s=0.05)
        everybody = [pulse.news(LONG_AGO) for _ in range(100)]
        for news in everybody:
            await anext(news)
        begun, began = looks.count, asyncio.get_running_loop().time()
        await until(lambda: looks.count >= begun + 3)
        passed = asyncio.get_running_loop().time() - began
        assert looks.count - begun <= passed / 0.05 + 2, "one look a tick, however many watch"
        for news in everybody:
            await news.aclose()
        assert pulse.watchers == 0
        at_the_end = looks.count
        await asyncio.sleep(0.3)
        assert looks.count <= at_the_end + 1, "a look that was under way, and no more"
        async with aclosing(pulse.news(LONG_AGO)) as again:
            assert ids(await anext(again)) == ["one"]
            looks.found = [watched("two")]
            await next_news(again, "two")

    run(watching())


def test_a_database_that_restarts_ends_nobodys_watch() -> None:
    async def watching() -> None:
        looks = Looks(watched("one"))
        async with aclosing(Pulse(looks, tick_s=TICK_S).news(LONG_AGO)) as news:
            await anext(news)
            looks.error = Transient("catalog: away")
            before = looks.count
            await until(lambda: looks.count > before + 2)
            looks.error, looks.found = None, [watched("two")]
            await next_news(news, "two")

    run(watching())


def test_who_comes_in_the_turn_in_which_the_last_leaves_hears_too() -> None:
    async def watching() -> None:
        looks = Looks(watched("one"))
        pulse = Pulse(looks, tick_s=TICK_S)
        first = pulse.news(LONG_AGO)
        await anext(first)
        await first.aclose()
        async with aclosing(pulse.news(LONG_AGO)) as second:
            await anext(second)
            looks.found = [watched("two")]
            await next_news(second, "two")

    run(watching())


def test_who_is_slow_gets_the_newest_of_each_build_once() -> None:
    async def watching() -> None:
        looks = Looks(watched("one"))
        async with aclosing(Pulse(looks, tick_s=TICK_S).news(LONG_AGO)) as news:
            await anext(news)
            for mark in range(5):
                looks.found = [replace(watched("one"), steps=str(mark))]
                before = looks.count
                await until(lambda before=before: looks.count > before + 1)  # type: ignore[misc]  # mypy infers no lambda's default
            assert [each.steps for each in await anext(news)] == ["4"]

    run(watching())


def test_who_hears_nothing_is_told_so() -> None:
    async def watching() -> None:
        async with aclosing(Pulse(Looks(), tick_s=TICK_S).news(LONG_AGO, quiet_s=0.05)) as news:
            assert [await anext(news), await anext(news)] == [[], []]

    run(watching())


def test_the_catalog_tells_what_is_open_and_what_ended_since(web: Web) -> None:
    ended = web.built(ec2=TargetState.SUCCESSFUL)
    going = web.built(state=BuildState.RUNNING, ec2=TargetState.CUSTOMIZING, hotel=TargetState.LAUNCHING)
    found = web.catalog.watched_builds(since=datetime.now(UTC))
    assert ids(found) == [going]
    assert found[0].summary.targets == {"ec2": "customizing", "hotel": "launching"}
    assert ids(web.catalog.watched_builds(since=LONG_AGO)) == [going, ended]
    assert ids(web.catalog.watched_builds(since=LONG_AGO, limit=1)) == [going]
    before = found[0]
    web.catalog.update_target(going, "ec2", output_offset=10)
    after = web.catalog.watched_builds(since=datetime.now(UTC))[0]
    assert (after.summary, after.steps) == (before.summary, before.steps)
    assert {cloud for cloud, mark in after.output.items() if before.output[cloud] != mark} == {"ec2"}
    web.catalog.start_step(going, "ec2", "customize")
    assert web.catalog.watched_builds(since=datetime.now(UTC))[0].steps != before.steps


class Stream:
    """An event stream as a browser has it open, without a server between: said line by line, left at will."""

    def __init__(self, app: Any, path: str, user: str) -> None:
        self.said = ""
        self.status = 0
        self.type = ""
        self._left = asyncio.Event()
        self._begun = False
        path, _, query = path.partition("?")
        scope = {
            **{"type": "http", "method": "GET", "path": PREFIX + path, "raw_path": b"", "root_path": ""},
            **{"query_string": query.encode(), "headers": [(b"cookie", f"_token={user}".encode())]},
            **{"scheme": "http", "server": ("testserver", 80), "http_version": "1.1", "asgi": {"spec_version": "2.3"}},
        }
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> Any:
        if not self._begun:
            self._begun = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.type = dict(message["headers"])[b"content-type"].decode()
        self.said += message.get("body", b"").decode()

    async def leave(self) -> None:
        self._left.set()
        await asyncio.wait_for(self.task, 10)


@pytest.fixture
def pulse(web: Web, monkeypatch: pytest.MonkeyPatch) -> Pulse:
    """The app's own, quick, and its streams without an end."""
    monkeypatch.setattr(events, "LIFE_S", 600)
    app: Any = web.client.app
    found: Pulse = app.routes[0].app._app.state.parts.pulse
    found._tick_s = TICK_S
    return found


def test_rows_move_while_a_browser_looks_and_nobody_looks_when_it_left(web: Web, pulse: Pulse) -> None:
    build_id = web.built(state=BuildState.RUNNING, ec2=TargetState.LAUNCHING)
    hidden = web.built("secret-tools", state=BuildState.RUNNING, ec2=TargetState.LAUNCHING)

    async def watching() -> None:
        at = datetime.now(UTC).timestamp()
        stream = Stream(web.client.app, f"/builds/events?at={at}", VIEWER)
        await until(lambda: f"event: build-{build_id}\n" in stream.said)
        assert (stream.status, stream.type) == (200, "text/event-stream; charset=utf-8")
        assert "ec2: launching" in stream.said and "event: new" not in stream.said
        web.catalog.advance_target(build_id, "ec2", TargetState.SUCCESSFUL)
        await until(lambda: "ec2: successful" in stream.said)
        newer = web.built(state=BuildState.RUNNING, ec2=TargetState.LAUNCHING)
        await until(lambda: f"event: build-{newer}\n" in stream.said)
        assert "event: new" in stream.said
        assert hidden not in stream.said and "secret" not in stream.said
        web.catalog.end_build(newer, BuildState.FAILED)
        await stream.leave()
        assert pulse.watchers == 0
        # Who comes again hears what he missed since his page was loaded.
        again = Stream(web.client.app, f"/builds/events?at={at}", VIEWER)
        await until(lambda: "failed" in again.said)
        await again.leave()

    run(watching())


def test_one_build_tells_of_its_steps_its_output_and_its_end(web: Web, pulse: Pulse) -> None:
    other = web.built(state=BuildState.RUNNING, ec2=TargetState.LAUNCHING)
    build_id = web.built(state=BuildState.RUNNING, ec2=TargetState.LAUNCHING)

    async def watching() -> None:
        stream = Stream(web.client.app, f"/builds/{build_id}/events?at={datetime.now(UTC).timestamp()}", ADMIN)
        await until(lambda: "event: changed" in stream.said)
        web.catalog.update_target(build_id, "ec2", output_offset=5)
        await until(lambda: stream.said.count("event: output-ec2") == 2)
        web.catalog.advance_target(other, "ec2", TargetState.CUSTOMIZING)
        web.catalog.end_build(build_id, BuildState.FAILED)
        await until(lambda: "event: ended" in stream.said)
        assert stream.said.count("event: changed") == 1
        await stream.leave()

    run(watching())


def stream_of_page(web: Web, build_id: str) -> Stream:
    """The stream that the build's page as it is now opens."""
    page = web.page(f"/builds/{build_id}").text
    address = re.search(r'sse-connect="/imagesmith([^"]+)"', page)
    assert address
    return Stream(web.client.app, unescape(address[1]), ADMIN)


def test_an_end_that_the_page_shows_is_not_told_again_and_one_after_it_is(web: Web, pulse: Pulse) -> None:
    build_id = web.built()
    ended = web.catalog.build(build_id).ended_at
    assert ended

    async def watching() -> None:
        for after_s, news in ((5, False), (0, False), (-1, True)):
            at = (ended + timedelta(seconds=after_s)).timestamp()
            stream = Stream(web.client.app, f"/builds/{build_id}/events?at={at}", ADMIN)
            await until(lambda stream=stream: "event: output-ec2" in stream.said)  # type: ignore[misc]  # mypy infers no lambda's default
            assert ("event: ended" in stream.said, "event: changed" in stream.said) == (news, False), after_s
            await stream.leave()
        stream = stream_of_page(web, build_id)
        await until(lambda: "event: output-ec2" in stream.said)
        assert "event: ended" not in stream.said
        web.catalog.restart_build(build_id, deadline=ended)
        await until(lambda: "event: changed" in stream.said)
        web.catalog.end_build(build_id, BuildState.FAILED)
        await until(lambda: "event: ended" in stream.said)
        await stream.leave()

    run(watching())


@pytest.mark.parametrize("off_s", [-20, 20])
def test_a_clock_that_is_off_hides_no_end_and_tells_none_again(web: Web, pulse: Pulse, off_s: int) -> None:
    """The process that ends a build has another clock than the one that shows it."""
    build_id = web.built(state=BuildState.RUNNING, ec2=TargetState.LAUNCHING)

    async def watching() -> None:
        stream = stream_of_page(web, build_id)
        web.catalog._now = lambda: datetime.now(UTC) + timedelta(seconds=off_s)
        web.catalog.end_build(build_id, BuildState.FAILED)
        await until(lambda: "event: ended" in stream.said)
        await stream.leave()
        again = stream_of_page(web, build_id)
        await until(lambda: "event: output-ec2" in again.said)
        assert "event: ended" not in again.said
        await again.leave()

    run(watching())


def test_the_events_of_a_hidden_build_are_not_there(web: Web) -> None:
    hidden = web.built("secret-tools", state=BuildState.RUNNING, ec2=TargetState.LAUNCHING)
    assert web.page(f"/builds/{hidden}/events?at=0", user=VIEWER).status_code == 404
    assert web.page("/builds/events?at=nan").status_code == 422
