"""What is asked of one cloud account, asked together: by all builds of a process, and by all processes of a deployment.

Questions that come up within a moment are one call. Where more than one target is at work on a cloud they go over the
catalog's board (catalog/board.py), so that one call a tick serves every build that waits, wherever its step runs; the
tick grows with their number. A build that is alone asks at once and leaves no note.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from imagesmith import answers
from imagesmith.catalog.board import Turn
from imagesmith.catalog.store import Catalog
from imagesmith.core import Cloud, Image, ImageQuery, Instance, Resource, SourceImage
from imagesmith.errors import CredentialsRefused, ImagesmithError, Transient, revive
from imagesmith.waiting import StillWaiting, Unanswered, Waits, in_thread, rest

T = TypeVar("T")

# The pause between two rounds of one kind of question: none for so few targets, so much for each more, and at most.
TICK_FROM_TARGETS = 4
TICK_PER_TARGET_S = 0.1
TICK_MOST_S = 9.0
# A crowd that thins out keeps its pace: of those that have just ended many will have been asked for seldom, too.
CROWD_OF = timedelta(minutes=5)
# Rounds that end things and see what is left are so many ticks apart: no image waits for them.
ENDING_TICKS = 3
# How long a count of the targets at work is good for.
COUNT_GOOD_FOR_S = 2.0
# How often a round under way tells that its asker lives; less than the board's lease.
RENEW_S = 5.0
# The pause of one who wakes when somebody else's round is over, at least: it may be just beginning.
LEAST_REST_S = 0.02


class Board:
    """The catalog's board as one account of one cloud sees it; `account` tells accounts apart and holds no secret."""

    def __init__(self, catalog: Catalog, cloud: str, account: str) -> None:
        self._catalog = catalog
        self._cloud = cloud
        self._account = account
        self._tick_s: float | None = None
        self._counted_at = float("-inf")

    def tick_s(self) -> float | None:
        """How long rounds of one kind are apart; None for a target that is alone and need not share."""
        if time.monotonic() - self._counted_at > COUNT_GOOD_FOR_S:
            # A target has ended before its terminate step begins, which is to be shared as well.
            _, recent = self._catalog.crowd(self._cloud, since=datetime.now(UTC) - CROWD_OF)
            self._tick_s = tick_s(recent) if recent > 1 else None
            self._counted_at = time.monotonic()
        return self._tick_s

    def note(self, kind: str, keys: Sequence[str], *, tick_s: float, since: datetime | None) -> Turn:
        """The first turn of questions that came up now."""
        return self._catalog.note_questions(self._account, kind, keys, tick_s=tick_s, since=since)

    def come_again(self, kind: str, keys: Sequence[str], turn: Turn, *, tick_s: float) -> Turn:
        """The turn after one that had to wait."""
        return self._catalog.next_turn(self._account, kind, keys, ticket=turn.ticket, tick_s=tick_s)

    def renew(self, kind: str, turn: Turn) -> None:
        """Tell that the round is still under way."""
        self._catalog.renew_lease(self._account, kind, turn.number)

    def trouble(self, kind: str, key: str) -> dict[str, Any] | None:
        """The trouble that the last round brought instead of an answer, if it was a short while ago."""
        return self._catalog.last_trouble(self._account, kind, key)

    def answer(self, kind: str, turn: Turn, found: Mapping[str, dict[str, Any]], *, failed: bool) -> None:
        """Write down what a round brought."""
        self._catalog.answer_questions(self._account, kind, turn, found, failed=failed)


def tick_s(targets: int) -> float:
    """How long rounds are apart when so many targets are, or were lately, at work."""
    return min(TICK_MOST_S, TICK_PER_TARGET_S * max(0, targets - TICK_FROM_TARGETS))


class SharedLooks:
    """One cloud account, asked together. Waiters that share an object must share an event loop.

    Each method raises the cloud's error, and Unanswered or StillWaiting by the `waits` of the one who asks.
    """

    def __init__(self, cloud: Cloud, *, gather_s: float = 0.05, board: Board | None = None) -> None:
        self._cloud = cloud
        self._instances = _Kind("instance", cloud.observe_instances, answers.INSTANCE, board, gather_s)
        self._images = _Kind("image", cloud.observe_images, answers.IMAGE, board, gather_s)
        self._sources = _Kind("source", self._find_sources, answers.SOURCE, board, gather_s)
        self._names = _Kind("name", cloud.find_images_named, answers.MAYBE_RESOURCE, board, gather_s)
        self._left = _Kind("left", self._find_left, answers.RESOURCES, board, gather_s, ticks=ENDING_TICKS)
        self._ends = _Kind("end", self._end, answers.FLAG, board, gather_s, ticks=ENDING_TICKS)

    async def instance(
        self, instance_id: str, waits: Waits | None = None, *, since: datetime | None = None
    ) -> Instance:
        """The instance as the cloud sees it now, or saw it since then."""
        return await self._instances.ask(instance_id, waits, since=since)

    async def image(self, image_id: str, waits: Waits | None = None) -> Image:
        """The image as the cloud sees it now."""
        return await self._images.ask(image_id, waits)

    async def source_image(self, query: ImageQuery, waits: Waits | None = None, *, since: datetime) -> SourceImage:
        """The source image as the cloud saw it at some moment after `since`; raises SourceImageNotFound."""
        return await self._sources.ask(answers.text_of(query), waits, since=since)

    async def image_named(self, name: str, waits: Waits | None = None) -> Resource | None:
        """Our own image of exactly that name, or None."""
        return await self._names.ask(name, waits)

    async def left(self, build_id: str, waits: Waits | None = None) -> list[Resource]:
        """What the build has on this cloud by its tags, as `Cloud.find_left` finds it."""
        return await self._left.ask(build_id, waits)

    async def end(self, resources: Sequence[Resource], waits: Waits | None = None) -> list[Resource]:
        """Ask for the end of each thing, together with those of other builds; those not yet gone."""
        keys = [answers.text_of(resource) for resource in resources]
        gone = await asyncio.gather(*(self._ends.ask(key, waits) for key in keys))
        return [resource for resource, is_gone in zip(resources, gone, strict=True) if not is_gone]

    def _find_sources(self, queries: Sequence[str]) -> dict[str, SourceImage]:
        return {text: self._cloud.find_source_image(answers.query_of(text)) for text in queries}

    def _find_left(self, build_ids: Sequence[str]) -> dict[str, list[Resource]]:
        found = self._cloud.find_left(build_ids)
        return {build_id: [each for each in found if each.build_id == build_id] for build_id in build_ids}

    def _end(self, things: Sequence[str]) -> dict[str, bool]:
        resources = {text: answers.resource_of(text) for text in things}
        remaining = {(each.kind, each.id) for each in self._cloud.delete(resources.values())}
        return {text: (each.kind, each.id) not in remaining for text, each in resources.items()}


@dataclass(eq=False)
class _Asker(Generic[T]):
    """One who waits for an answer."""

    key: str
    waits: Waits | None
    since: datetime | None
    future: asyncio.Future[T]


@dataclass(frozen=True)
class _Found(Generic[T]):
    """What came of asking: a value or an error for each key; `failed` if it was the same trouble for all."""

    by_key: Mapping[str, T | Exception]
    failed: bool = False


class _Kind(Generic[T]):
    """Questions of one kind, gathered for `gather_s` in this process, and over the board with all others."""

    def __init__(
        self,
        name: str,
        ask_all: Callable[[Sequence[str]], Mapping[str, T]],
        form: answers.Form[T],
        board: Board | None,
        gather_s: float,
        *,
        ticks: int = 1,
    ) -> None:
        self._name = name
        self._ticks = ticks
        self._ask_all = ask_all
        self._form = form
        self._board = board
        self._gather_s = gather_s
        self._wanted: list[_Asker[T]] = []
        self._serving: set[asyncio.Task[None]] = set()

    async def ask(self, key: str, waits: Waits | None, *, since: datetime | None = None) -> T:
        loop = asyncio.get_running_loop()
        asker = _Asker(key, waits, since, loop.create_future())
        if not self._wanted:
            task = loop.create_task(self._serve())
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        self._wanted.append(asker)
        if waits is None:
            answer: T = await asker.future
            return answer
        try:
            return await waits.no_longer(asker.future, f"ask the cloud for {self._name} {key}")
        except Unanswered as unanswered:
            raise unanswered from await self._last_trouble(key)

    async def _last_trouble(self, key: str) -> Exception | None:
        """What others were last told instead of an answer, perhaps before this process was there."""
        trouble = await in_thread(self._board.trouble, self._name, key) if self._board else None
        return revive(trouble["error"], trouble["message"]) if trouble else None

    async def _serve(self) -> None:
        await rest(self._gather_s)
        askers, self._wanted = self._wanted, []
        try:
            await self._serve_these(askers)
        except BaseException as error:
            for asker in askers:
                _give(asker, error)
            if not isinstance(error, Exception):
                raise

    async def _serve_these(self, askers: list[_Asker[T]]) -> None:
        tick_s = await in_thread(self._board.tick_s) if self._board else None
        if self._board is not None and tick_s is not None:
            await self._over_the_board(self._board, askers, tick_s=tick_s * self._ticks)
            return
        found = await in_thread(self._ask, list(dict.fromkeys(asker.key for asker in askers)))
        _give_all(askers, found.by_key)

    async def _over_the_board(self, board: Board, askers: list[_Asker[T]], *, tick_s: float) -> None:
        keys = list(dict.fromkeys(asker.key for asker in askers))
        since = max((asker.since for asker in askers if asker.since), default=None)
        turn = await in_thread(board.note, self._name, keys, tick_s=tick_s, since=since)
        while True:
            if turn.ask:
                found = await self._ask_for_all(board, turn)
                _give_all(askers, found.by_key)
            else:
                _give_all(askers, {key: self._read(answer) for key, answer in turn.answers.items()})
            askers = self._patient(askers, turn.wait_s)
            if not askers:
                return
            await rest(max(LEAST_REST_S, turn.wait_s))
            keys = list(dict.fromkeys(asker.key for asker in askers))
            turn = await in_thread(board.come_again, self._name, keys, turn, tick_s=tick_s)

    def _patient(self, askers: Sequence[_Asker[T]], wait_s: float) -> list[_Asker[T]]:
        """Those who still wait for an answer; who can't sit out the pause leaves its process at once."""
        for asker in askers:
            if asker.waits is not None and asker.waits.patience_left_s() < min(wait_s, asker.waits.left_s()):
                _give(asker, StillWaiting(f"wait for the next round of looks ({self._name})"))
        return [asker for asker in askers if not asker.future.done()]

    async def _ask_for_all(self, board: Board, turn: Turn) -> _Found[T]:
        """What the round brings, which is written down before anybody goes on, even if this task is cancelled."""

        def ask_and_write() -> _Found[T]:
            found = self._ask(turn.ask)
            written = {key: self._written(answer) for key, answer in found.by_key.items()}
            board.answer(self._name, turn, written, failed=found.failed)
            return found

        work = asyncio.ensure_future(in_thread(ask_and_write))
        while not (await asyncio.wait([work], timeout=RENEW_S))[0]:
            await in_thread(board.renew, self._name, turn)
        return work.result()

    def _ask(self, keys: Sequence[str]) -> _Found[T]:
        """The cloud's answers; what is wrong with one key is not the others' trouble."""
        try:
            answered = self._ask_all(keys)
            return _Found({key: answered[key] for key in keys})
        except (Transient, CredentialsRefused) as error:
            return _Found(dict.fromkeys(keys, error), failed=True)
        except ImagesmithError as error:
            if len(keys) == 1:
                return _Found({keys[0]: error})
        return _Found({key: self._ask([key]).by_key[key] for key in keys})

    def _written(self, answer: T | Exception) -> dict[str, Any]:
        if isinstance(answer, Exception):
            return {"error": type(answer).__name__, "message": str(answer)}
        return {"value": self._form.write(answer)}

    def _read(self, written: Mapping[str, Any]) -> T | Exception:
        if "error" in written:
            return revive(written["error"], written["message"])
        return self._form.read(written["value"])


def _give_all(askers: Sequence[_Asker[T]], by_key: Mapping[str, T | Exception]) -> None:
    for asker in askers:
        if asker.key in by_key:
            _give(asker, by_key[asker.key])


def _give(asker: _Asker[T], answer: T | BaseException) -> None:
    if asker.future.done():
        return  # who asked has gone away
    if isinstance(answer, BaseException):
        asker.future.set_exception(answer)
        asker.future.exception()  # it was seen, even if nobody waits for it any more
    else:
        asker.future.set_result(answer)
