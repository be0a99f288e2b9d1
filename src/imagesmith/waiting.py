"""Waiting: the one place that sleeps.

A step is a coroutine that can be entered again at any time, so a wait may give up its process: in a worker it has
`patience_s`, and when that is used up it raises `StillWaiting`; the step is then entered again where waiting is cheap.
Limits are wall-clock times, because they outlive processes.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ParamSpec, TypeVar

from imagesmith import crash_points
from imagesmith.errors import TimeLimitExceeded, Transient

P = ParamSpec("P")
T = TypeVar("T")

# What a step waits in its worker while others may need it: less than a move to the triggerer takes.
CROWDED_PATIENCE_S = 2.0
BACKOFF_FIRST_S = 1.0
BACKOFF_MOST_S = 30.0


class StillWaiting(Exception):
    """The patience of this process is used up; the step is to be entered again elsewhere."""


class Unanswered(Transient):
    """What others were to ask for us has not come within our limit."""


@dataclass(frozen=True)
class Limit:
    """A moment that a step may not pass, and whose limit that is, for the message."""

    at: datetime
    whose: str

    def left_s(self) -> float:
        """Seconds until the moment; negative afterwards."""
        return (self.at - datetime.now(UTC)).total_seconds()


class Waits:
    """How one step waits: until its limit, and in a worker no longer than its patience."""

    def __init__(self, limit: Limit, *, patience_s: float | None) -> None:
        self._limit = limit
        self._patience_ends = None if patience_s is None else _now() + patience_s

    def within(self, seconds: float, whose: str) -> Waits:
        """Waits for a part of the step, which end after so long, or at the step's own limit, with the same patience."""
        limit = Limit(datetime.now(UTC) + timedelta(seconds=seconds), whose)
        part = Waits(min(self._limit, limit, key=lambda each: each.at), patience_s=None)
        part._patience_ends = self._patience_ends
        return part

    def left_s(self) -> float:
        """Seconds until the step's limit."""
        return self._limit.left_s()

    def patience_left_s(self) -> float:
        """Seconds this process may still wait, no more than the limit leaves."""
        if self._patience_ends is None:
            return self.left_s()
        return min(self._patience_ends - _now(), self.left_s())

    async def pause(self, seconds: float, what: str, *, cause: BaseException | None = None) -> None:
        """Sleep; raises TimeLimitExceeded when `what` has no time left, StillWaiting when our patience ends."""
        self.check(what, cause=cause)
        if self._patience_ends is not None and _now() + seconds > self._patience_ends:
            raise StillWaiting(what)
        await crash_points.areach(crash_points.IN_WAIT)
        await asyncio.sleep(max(0.0, min(seconds, self.left_s())))

    def check(self, what: str, *, cause: BaseException | None = None) -> None:
        """Raises TimeLimitExceeded when the limit has passed."""
        if self.left_s() <= 0:
            last = f"; the last trouble was: {cause}" if cause else ""
            raise TimeLimitExceeded(f"{what}: {self._limit.whose} is used up{last}") from cause

    async def until(
        self, look: Callable[[], Awaitable[T | None]], what: str, *, every_s: Iterable[float], first_s: float = 0
    ) -> T:
        """The first answer of `look` that is not None; it is asked after each pause of `every_s`, whose last repeats.

        `first_s` is the pause before the first look, for what can't be done at once.

        A Transient error of `look` is waited out with growing pauses. Raises TimeLimitExceeded, StillWaiting.
        """
        pauses = _last_repeats(every_s)
        failures = 0
        cause: Transient | None = None
        if first_s:
            await self.pause(first_s, what)
        while True:
            try:
                found = await look()
                failures, cause = 0, None
            except TimeLimitExceeded as error:
                self.check(what, cause=error.__cause__)  # in the words of the whole wait
                raise
            except Unanswered as error:
                self.check(what, cause=cause or error.__cause__)
                raise
            except Transient as error:
                found, cause = None, error
                failures += 1
            if found is not None:
                await crash_points.areach(crash_points.AFTER_WAIT)
                return found
            await self.pause(_backoff_s(failures) if cause else next(pauses), what, cause=cause)

    async def call(self, what: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A blocking call's answer, made in a thread and made again after a Transient error until the limit.

        The call runs to its end even when the task around it is cancelled, so no effect goes unrecorded.
        """
        return await self.again(what, lambda: in_thread(function, *args, **kwargs))

    async def no_longer(self, answer: asyncio.Future[T], what: str) -> T:
        """The answer that others get for us; raises Unanswered when it does not come within our limit."""
        if not (await asyncio.wait([answer], timeout=max(0.0, self.left_s())))[0]:
            answer.cancel()
            raise Unanswered(f"{what}: no answer in time")
        return await answer

    async def again(self, what: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """What `attempt` comes to, begun again after a Transient error until the limit."""
        failures = 0
        cause: Transient | None = None
        while True:
            try:
                return await attempt()
            except Unanswered as error:
                self.check(what, cause=cause or error.__cause__)
            except Transient as error:
                failures += 1
                cause = error
                await self.pause(_backoff_s(failures), what, cause=error)


async def rest(seconds: float) -> None:
    """Sleep for those who gather and wait on behalf of many, and so have no limit of their own."""
    await asyncio.sleep(seconds)


def wait_in_thread(seconds: float) -> None:
    """Sleep in a thread of blocking calls, for a moment only."""
    time.sleep(seconds)


def patience_s(whole_s: float, *, live_targets: int, workers: int) -> float:
    """How long a step may wait in its worker: all its patience only while there is a worker for every target."""
    return whole_s if live_targets <= workers else min(whole_s, CROWDED_PATIENCE_S)


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The answer of a blocking call made in a thread; a cancelled caller still waits for its end."""
    work = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


def _last_repeats(pauses: Iterable[float]) -> Iterator[float]:
    last = 1.0
    for last in pauses:
        yield last
    while True:
        yield last


def _backoff_s(failures: int) -> float:
    """A pause that doubles up to `BACKOFF_MOST_S`, with full jitter on its upper half so that callers spread."""
    most = min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2 ** min(failures - 1, 10))
    return random.uniform(most / 2, most)


def _now() -> float:
    return time.monotonic()
