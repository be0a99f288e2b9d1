"""Waits and shared looks, on a loop whose clock jumps over every sleep."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from imagesmith import waiting
from imagesmith.core import Instance, InstanceState
from imagesmith.errors import CloudBusy, CredentialsRefused, TimeLimitExceeded
from imagesmith.shared_looks import SharedLooks
from imagesmith.waiting import BACKOFF_MOST_S, Limit, StillWaiting, Unanswered, Waits, in_thread, patience_s

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now_s = 0.0
        self.slept: list[float] = []
        patch.setattr(waiting, "_now", lambda: self.now_s)
        patch.setattr(waiting, "datetime", self)
        # A copy, for the module itself is also that of a server in another thread, whose pauses would count.
        patch.setattr(waiting, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": self.sleep}))

    def now(self, zone: Any) -> datetime:
        return START + timedelta(seconds=self.now_s)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def waits(limit_s: float = 60, *, patience_s: float | None = None) -> Waits:
    return Waits(Limit(START + timedelta(seconds=limit_s), "the limit of 1m for launch_vm"), patience_s=patience_s)


def answers(*values: Any) -> Callable[[], Awaitable[Any]]:
    """A look that gives one value after the other, the last for ever; errors are raised."""
    left = list(values)

    async def look() -> Any:
        value = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(value, Exception):
            raise value
        return value

    return look


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def test_until_looks_first_and_then_after_each_pause_whose_last_repeats(clock):
    found = run(waits().until(answers(None, None, None, None, "there"), "w", every_s=(0.5, 1, 2)))
    assert (found, clock.slept) == ("there", [0.5, 1, 2, 2])


def test_what_is_there_at_once_costs_no_time(clock):
    assert run(waits().until(answers("there"), "w", every_s=(1,))) == "there"
    assert clock.slept == []


def test_what_cannot_be_there_at_once_is_not_asked_for_at_once(clock):
    assert run(waits().until(answers("there"), "w", every_s=(1,), first_s=0.5)) == "there"
    assert clock.slept == [0.5]


def test_an_answer_that_is_false_is_an_answer(clock):
    assert run(waits().until(answers(None, 0), "w", every_s=(1,))) == 0


def test_a_limit_that_passes_names_what_was_awaited_and_whose_limit_it_is(clock):
    with pytest.raises(TimeLimitExceeded) as told:
        run(waits(5).until(answers(None), "first: wait for SSH", every_s=(2,)))
    assert str(told.value) == "first: wait for SSH: the limit of 1m for launch_vm is used up"
    assert clock.now_s == 5, "the last pause is cut short, so that no time beyond the limit is spent"


def test_the_last_trouble_is_told_with_the_limit(clock):
    with pytest.raises(TimeLimitExceeded, match="is used up; the last trouble was: ec2: throttled"):
        run(waits(5).until(answers(CloudBusy("ec2: throttled")), "w", every_s=(1,)))


def test_patience_ends_before_a_pause_it_could_not_sit_out(clock):
    with pytest.raises(StillWaiting, match="first: wait for SSH"):
        run(waits(patience_s=3).until(answers(None), "first: wait for SSH", every_s=(2,)))
    assert clock.now_s == 2


@pytest.mark.parametrize(("live", "expected"), [(1, 90), (6, 90), (7, 2), (100, 2)])
def test_patience_is_short_where_others_need_the_worker(live, expected):
    assert patience_s(90, live_targets=live, workers=6) == expected
    assert patience_s(0, live_targets=live, workers=6) == 0


def test_no_patience_still_looks_once(clock):
    assert run(waits(patience_s=0).until(answers("there"), "w", every_s=(1,))) == "there"


def test_a_limit_that_passed_counts_more_than_patience(clock):
    with pytest.raises(TimeLimitExceeded):
        run(waits(0, patience_s=0).pause(1, "w"))


def test_a_part_of_a_step_has_its_own_limit_the_steps_and_its_patience(clock):
    assert waits(60).within(5, "the part's").left_s() == 5
    assert waits(5).within(60, "the part's").left_s() == 5
    with pytest.raises(TimeLimitExceeded, match="the part's is used up"):
        run(waits(60).within(5, "the part's").until(answers(None), "w", every_s=(2,)))
    with pytest.raises(StillWaiting):
        run(waits(60, patience_s=1).within(5, "the part's").pause(2, "w"))


def test_patience_left_is_never_more_than_the_limit_leaves(clock):
    assert waits(5, patience_s=20).patience_left_s() == 5
    assert waits(60, patience_s=20).patience_left_s() == 20
    assert waits(60).patience_left_s() == 60


def test_busy_answers_are_waited_out_with_growing_pauses_within_bounds(clock):
    busy = [CloudBusy("busy")] * 9
    assert run(waits(600).until(answers(*busy, "there"), "w", every_s=(0.1,))) == "there"
    for failures, pause_s in enumerate(clock.slept, start=1):
        most = min(BACKOFF_MOST_S, 2.0 ** (failures - 1))
        assert most / 2 <= pause_s <= most


def test_the_pause_falls_back_once_the_cloud_answers_again(clock):
    look = answers(CloudBusy("busy"), CloudBusy("busy"), None, CloudBusy("busy"), "there")
    run(waits().until(look, "w", every_s=(0.1,)))
    assert 0.5 <= clock.slept[3] <= 1.0


def test_an_error_that_nobody_can_wait_out_is_raised_at_once(clock):
    with pytest.raises(CredentialsRefused):
        run(waits().until(answers(CredentialsRefused("no")), "w", every_s=(1,)))
    assert clock.slept == []


def test_a_call_is_made_again_until_it_is_answered(clock):
    tries = []

    def act(word: str, *, end: str) -> str:
        tries.append(word)
        if len(tries) < 3:
            raise CloudBusy("busy")
        return word + end

    assert run(waits().call("w", act, "done", end=".")) == "done."
    assert len(tries) == 3


def test_a_call_gives_up_at_the_limit_with_the_clouds_reason(clock):
    def act() -> None:
        raise CloudBusy("ec2: busy all day")

    with pytest.raises(TimeLimitExceeded, match="ec2: busy all day"):
        run(waits(5).call("w", act))


def test_a_cancelled_caller_waits_for_the_end_of_its_call():
    entered, release, effects = threading.Event(), threading.Event(), []

    def act() -> None:
        entered.set()
        release.wait(5)
        effects.append("made")

    async def go() -> None:
        task = asyncio.create_task(in_thread(act))
        await asyncio.to_thread(entered.wait, 5)
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert effects == ["made"]

    run(go())


class Asked:
    """A cloud that notes each question about instances."""

    def __init__(self) -> None:
        self.questions: list[list[str]] = []
        self.error: Exception | None = None

    def observe_instances(self, ids: list[str]) -> dict[str, Instance]:
        self.questions.append(sorted(ids))
        if self.error:
            raise self.error
        return {id_: Instance(id_, InstanceState.RUNNING, address=f"at-{id_}") for id_ in ids}

    def observe_images(self, ids: list[str]) -> dict[str, Any]:
        raise AssertionError("nobody asked for images")

    find_images_named = observe_images


def looks(cloud: Asked) -> SharedLooks:
    return SharedLooks(cloud, gather_s=0.01)  # type: ignore[arg-type]


def test_many_who_ask_at_once_are_one_call():
    cloud = Asked()

    async def go() -> list[Instance]:
        shared = looks(cloud)
        return await asyncio.gather(*(shared.instance(f"i-{number % 3}") for number in range(30)))

    seen = run(go())
    assert [instance.address for instance in seen[:4]] == ["at-i-0", "at-i-1", "at-i-2", "at-i-0"]
    assert cloud.questions == [["i-0", "i-1", "i-2"]]


def test_who_asks_later_gets_a_fresh_answer():
    cloud = Asked()

    async def go() -> None:
        shared = looks(cloud)
        await shared.instance("i-1")
        await shared.instance("i-1")

    run(go())
    assert cloud.questions == [["i-1"], ["i-1"]]


def test_an_error_reaches_everybody_and_the_next_round_is_whole():
    cloud = Asked()

    async def go() -> None:
        shared = looks(cloud)
        cloud.error = CloudBusy("busy")
        told = await asyncio.gather(shared.instance("i-1"), shared.instance("i-2"), return_exceptions=True)
        assert [str(error) for error in told] == ["busy", "busy"]
        cloud.error = None
        assert (await shared.instance("i-1")).address == "at-i-1"

    run(go())


def test_one_who_goes_away_takes_nothing_from_the_others():
    cloud = Asked()

    async def go() -> Instance:
        shared = looks(cloud)
        first = asyncio.create_task(shared.instance("i-1"))
        second = asyncio.create_task(shared.instance("i-1"))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert run(go()).address == "at-i-1"
    assert cloud.questions == [["i-1"]]


class Silent:
    """Looks that fail once, and then get no answer until the limit is over."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left = [CloudBusy("ec2: throttled"), Unanswered("ask the cloud for instance i-1: no answer in time")]

    async def look(self) -> str:
        error = self._left.pop(0)
        if isinstance(error, Unanswered):
            self._clock.now_s = 60
        raise error


@pytest.mark.parametrize("way", ["until", "again", "again within until"])
def test_a_limit_met_while_others_ask_for_us_tells_what_was_waited_for_and_the_last_trouble(
    clock: Clock, way: str
) -> None:
    ours, silent = waits(60), Silent(clock)

    async def within() -> str:
        return await ours.again("look at instance i-1", silent.look)

    waiting_for = {
        "until": lambda: ours.until(silent.look, "wait until i-1 runs", every_s=(1,)),
        "again": lambda: ours.again("wait until i-1 runs", silent.look),
        "again within until": lambda: ours.until(within, "wait until i-1 runs", every_s=(1,)),
    }
    with pytest.raises(TimeLimitExceeded) as told:
        asyncio.run(waiting_for[way]())
    assert str(told.value) == (
        "wait until i-1 runs: the limit of 1m for launch_vm is used up; the last trouble was: ec2: throttled"
    )
