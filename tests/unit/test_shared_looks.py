"""What several processes ask of one account together: two of them here, each with its own looks, over one catalog."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from imagesmith import answers, shared_looks
from imagesmith.catalog.records import NewTarget
from imagesmith.catalog.store import Catalog
from imagesmith.core import (
    Image,
    ImageQuery,
    ImageState,
    Instance,
    InstanceState,
    Resource,
    ResourceKind,
    SourceImage,
)
from imagesmith.errors import CloudBusy, SaveInterrupted, SourceImageNotFound, TimeLimitExceeded
from imagesmith.shared_looks import Board, SharedLooks, tick_s
from imagesmith.waiting import Limit, StillWaiting, Waits

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Asked:
    """A cloud that notes each question."""

    def __init__(self) -> None:
        self.questions: list[tuple[str, ...]] = []
        self.error: Exception | None = None
        self.broken = ""

    def _ask(self, what: str, keys: Sequence[str]) -> None:
        self.questions.append((what, *sorted(keys)))
        if self.error:
            raise self.error
        if self.broken in keys:
            raise SaveInterrupted(f"{self.broken} was cut off")

    def observe_instances(self, ids: Sequence[str]) -> dict[str, Instance]:
        self._ask("instances", ids)
        return {id_: Instance(id_, InstanceState.RUNNING, address=f"at-{id_}") for id_ in ids}

    def observe_images(self, ids: Sequence[str]) -> dict[str, Image]:
        self._ask("images", ids)
        return {id_: Image(id_, ImageState.AVAILABLE, tags={"a": "b"}, snapshot_ids=("s",)) for id_ in ids}

    def find_images_named(self, names: Sequence[str]) -> dict[str, Resource | None]:
        self._ask("names", names)
        return {name: None if name == "free" else Resource(ResourceKind.IMAGE, "ami-1", name=name) for name in names}

    def find_source_image(self, query: ImageQuery) -> SourceImage:
        self._ask("source", [str(query)])
        if query.name == "none":
            raise SourceImageNotFound("none such")
        return SourceImage("ami-9", query.name, details={"RootDeviceName": "/dev/xvda"})

    def find_left(self, build_ids: Sequence[str]) -> list[Resource]:
        self._ask("left", build_ids)
        return [Resource(ResourceKind.VOLUME, f"vol-{id_}", tags={"imagesmith:build": id_}) for id_ in build_ids]

    def delete(self, resources: Any) -> list[Resource]:
        things = list(resources)
        self._ask("delete", [each.id for each in things])
        return [each for each in things if each.id == "i-slow"]


class Noted(Catalog):
    """A catalog whose clock stands still until so many have noted their questions."""

    def __init__(self, url: str) -> None:
        super().__init__(url, clock=self.clock)
        self.now_s, self.noted, self.awaited = 0, 0, 0

    def clock(self) -> datetime:
        return NOW + timedelta(seconds=self.now_s + 10 * (self.noted >= self.awaited))

    def await_notes(self, count: int) -> None:
        self.now_s, self.noted, self.awaited = self.now_s + 20, 0, count

    def note_questions(self, *args: Any, **kwargs: Any) -> Any:
        turn = super().note_questions(*args, **kwargs)
        self.noted += 1
        return turn


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Noted]:
    """Two targets are at work on the cloud, so that there is somebody to share with."""
    monkeypatch.setattr(shared_looks, "tick_s", lambda targets: 0.1)
    one = Noted(f"sqlite:///{tmp_path / 'catalog.db'}")
    one.upgrade()
    for number in (1, 2):
        begin(one, number)
    yield one
    one.close()


def begin(catalog: Catalog, number: int) -> None:
    catalog.begin_build(
        build_id=f"b-{number}",
        generator="g",
        version="v",
        content={},
        dag_id="g",
        run_id=f"r-{number}",
        requested_by="",
        requested_how="",
        plan={},
        deadline=NOW,
        targets=[NewTarget("ec2")],
    )


def looks(cloud: Asked, catalog: Catalog) -> SharedLooks:
    return SharedLooks(cloud, gather_s=0, board=Board(catalog, "ec2", "account"))  # type: ignore[arg-type]


def both(cloud: Asked, catalog: Noted, ask: Any) -> list[Any]:
    """What two processes get that ask at the same time."""
    catalog.await_notes(2)

    async def go() -> list[Any]:
        one, other = looks(cloud, catalog), looks(cloud, catalog)
        return await asyncio.gather(ask(one, 1), ask(other, 2), return_exceptions=True)

    return asyncio.run(go())


def test_two_processes_are_one_call(catalog):
    cloud = Asked()
    seen = both(cloud, catalog, lambda one, number: one.instance(f"i-{number}"))
    assert [each.address for each in seen] == ["at-i-1", "at-i-2"]
    assert cloud.questions == [("instances", "i-1", "i-2")]


def test_every_kind_of_answer_reaches_the_other_process_as_it_was(catalog):
    """Each is asked for by one of the two, and read from the board by the other."""
    cloud = Asked()
    alone = SharedLooks(cloud, gather_s=0)  # type: ignore[arg-type]
    query = ImageQuery(name="debian-*", owner="1", properties={"os": "linux"})
    instance = Resource(ResourceKind.INSTANCE, "i-1", name="vm", tags={"a": "b"})
    asks = (
        lambda one: one.instance("i-1"),
        lambda one: one.image("ami-1"),
        lambda one: one.source_image(query, since=NOW + timedelta(hours=1)),
        lambda one: one.image_named("free"),
        lambda one: one.image_named("taken"),
        lambda one: one.left("b-1"),
        lambda one: one.end([instance, Resource(ResourceKind.INSTANCE, "i-slow")]),
    )
    for ask in asks:

        async def once(ask: Any = ask) -> Any:
            return await ask(alone)

        expected = asyncio.run(once())
        assert both(cloud, catalog, lambda one, _, ask=ask: ask(one)) == [expected, expected]
    assert answers.query_of(answers.text_of(query)) == query
    assert answers.resource_of(answers.text_of(instance)) == instance


def test_a_build_that_is_alone_asks_at_once_and_leaves_no_note(catalog):
    catalog.fail_target("b-2", "ec2", "it is over")
    cloud = Asked()

    async def go() -> None:
        await looks(cloud, catalog).instance("i-1")

    asyncio.run(go())
    assert (cloud.questions, catalog.noted) == ([("instances", "i-1")], 0)


def test_a_source_image_that_another_build_has_just_found_is_not_looked_up_again(catalog):
    cloud = Asked()
    since = NOW - timedelta(minutes=1)

    async def go() -> None:
        for _ in range(3):
            catalog.await_notes(1)
            await looks(cloud, catalog).source_image(ImageQuery(name="debian"), since=since)

    asyncio.run(go())
    assert len(cloud.questions) == 1


def test_busy_reaches_both_and_the_next_round_waits(catalog):
    cloud = Asked()
    cloud.error = CloudBusy("ec2: throttled")
    told = both(cloud, catalog, lambda one, number: one.instance(f"i-{number}"))
    assert [(type(error), str(error)) for error in told] == [(CloudBusy, "ec2: throttled")] * 2
    assert len(cloud.questions) == 1
    assert catalog.note_questions("account", "instance", ["i-1"], tick_s=0, since=None).wait_s == 1


def test_what_is_wrong_with_one_is_not_the_others_trouble(catalog):
    cloud = Asked()
    cloud.broken = "ami-2"
    good, bad = both(cloud, catalog, lambda one, number: one.image(f"ami-{number}"))
    assert good.id == "ami-1"
    assert isinstance(bad, SaveInterrupted)


def test_one_source_image_that_is_not_there_hides_no_other(catalog):
    cloud = Asked()
    names = {1: "debian", 2: "none"}
    good, bad = both(
        cloud,
        catalog,
        lambda one, number: one.source_image(ImageQuery(name=names[number]), since=NOW + timedelta(hours=1)),
    )
    assert good.id == "ami-9"
    assert isinstance(bad, SourceImageNotFound)


def test_who_has_no_patience_for_the_next_round_leaves_its_process_at_once(catalog):
    waits = Waits(Limit(datetime.now(UTC) + timedelta(hours=1), "the limit"), patience_s=0.1)

    async def go() -> None:
        with pytest.raises(StillWaiting):
            await looks(Asked(), catalog).instance("i-1", waits)

    asyncio.run(go())


def test_who_comes_too_late_for_another_round_is_told_what_the_last_one_brought(catalog):
    """As a step does that is entered again in another process just before its limit."""
    turn = catalog.note_questions("account", "instance", ["i-1"], tick_s=0, since=None)
    trouble = {"i-1": {"error": "CloudBusy", "message": "ec2: throttled"}}
    catalog.answer_questions("account", "instance", turn, trouble, failed=True)
    waits = Waits(Limit(datetime.now(UTC) + timedelta(seconds=0.1), "the limit"), patience_s=None)
    late = looks(Asked(), catalog)

    async def go() -> Instance:
        return await waits.again("look at i-1", lambda: late.instance("i-1", waits))

    with pytest.raises(
        TimeLimitExceeded, match="look at i-1: the limit is used up; the last trouble was: ec2: throttled"
    ):
        asyncio.run(go())


def test_what_was_trouble_long_ago_is_not_the_last_trouble(catalog):
    turn = catalog.note_questions("account", "instance", ["i-1"], tick_s=0, since=None)
    trouble = {"error": "CloudBusy", "message": "ec2: throttled"}
    catalog.answer_questions("account", "instance", turn, {"i-1": trouble}, failed=True)
    assert catalog.last_trouble("account", "instance", "i-1") == trouble
    catalog.now_s += 61
    assert catalog.last_trouble("account", "instance", "i-1") is None


def test_a_killed_process_takes_nothing_from_the_other(catalog):
    """It has begun a round and never writes down what it brought: its lease ends."""
    killed = catalog.note_questions("account", "instance", ["i-0"], tick_s=0, since=None)
    assert killed.ask
    late = Catalog(
        catalog._database.url.render_as_string(hide_password=False),
        clock=lambda: datetime.now(UTC) + timedelta(seconds=16),
    )
    cloud = Asked()

    async def go() -> Instance:
        return await looks(cloud, late).instance("i-1")

    assert asyncio.run(go()).id == "i-1"
    assert cloud.questions == [("instances", "i-0", "i-1")]
    late.close()


def test_a_cloud_that_leaves_a_key_out_is_told_to_who_asked(catalog):
    cloud = Asked()
    cloud.observe_instances = lambda ids: {}  # type: ignore[method-assign]

    async def go() -> None:
        with pytest.raises(KeyError):
            await SharedLooks(cloud, gather_s=0).instance("i-1")  # type: ignore[arg-type]

    asyncio.run(go())


def test_the_tick_grows_with_the_crowd_and_few_do_not_wait():
    assert [tick_s(targets) for targets in (1, 2, 4)] == [0, 0, 0]
    assert 0 < tick_s(6) < 0.5
    assert tick_s(30) < tick_s(80) <= tick_s(10_000) < 10
