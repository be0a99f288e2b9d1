"""What builds that are over have left, while others are begun anew: those are left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imagesmith import waiting
from imagesmith.catalog.records import BuildState
from imagesmith.catalog.store import Catalog
from imagesmith.clouds.memory import MemoryCloud
from imagesmith.core import TAG_CLOUD, Cloud, LaunchRequest, Resource, ResourceKind, TargetState
from imagesmith.plan import PlannedTarget
from imagesmith.shared_looks import SharedLooks
from imagesmith.steps import terminate
from imagesmith.steps.janitor import Sweep
from imagesmith.steps.runner import Deployment, Step, run_step
from imagesmith.waiting import StillWaiting

from .built import a_plan, a_project, begun

FIRST, SECOND = BUILDS = ("20260102-120000-aaaaaa", "20260102-120000-bbbbbb")
HERE = "here"


class Slow(MemoryCloud):
    """A cloud on which deleting, or looking for what is left, takes as long as `meanwhile` needs; it is called once."""

    meanwhile: Callable[[str], None] = staticmethod(lambda method: None)
    # Kinds of things that something of somebody else's uses.
    in_use: frozenset[ResourceKind] = frozenset()
    credential_taken_back = False

    def delete(self, resources: Iterable[Resource]) -> list[Resource]:
        self.meanwhile("delete")
        held = [each for each in resources if each.kind in self.in_use]
        return [*super().delete(each for each in resources if each not in held), *held]

    def end_credential(self) -> str:
        self.credential_taken_back = True
        return ""

    def find_left(self, build_ids: Sequence[str]) -> list[Resource]:
        self.meanwhile(f"find {' '.join(build_ids)}")
        return super().find_left(build_ids)


class World:
    """Two builds of long ago on one cloud, and a janitor for them."""

    def __init__(self, folder: Path) -> None:
        self.catalog = Catalog(f"sqlite:///{folder / 'catalog.db'}")
        self.catalog.upgrade()
        self.cloud = Slow(HERE, folder / "here.json")
        self.there = MemoryCloud("there", folder / "there.json")
        self.said: list[str] = []
        include = a_project(folder)
        for build_id in BUILDS:
            begun(self.catalog, a_plan(include, build_id))
            self.catalog.restart_build(build_id, deadline=datetime.now(UTC) - timedelta(days=2))

    def launch(self, build_id: str, *, attempt: int) -> str:
        request = LaunchRequest(
            name=f"imagesmith-{build_id}-{attempt}",
            build_id=build_id,
            source_image_id="image-base-1",
            instance_type="small",
            public_key="ssh-ed25519 AAAA",
            user_data="",
            tags={TAG_CLOUD: HERE},
        )
        return self.cloud.launch(request, self.catalog.ledger(build_id, HERE))

    def at(self, moment: str, act: Callable[[], Any]) -> None:
        """Let `act` happen while the cloud is first at that."""
        coming = [act]

        def meanwhile(method: str) -> None:
            if method == moment and coming:
                coming.pop()()

        self.cloud.meanwhile = meanwhile  # type: ignore[method-assign]  # what happens then is the test's own

    def restart(self, build_id: str) -> None:
        self.catalog.restart_build(build_id, deadline=datetime.now(UTC) + timedelta(hours=1))

    def sweep(self) -> None:
        janitor = Sweep(
            Deployment(self.catalog, b"s" * 32),
            open_cloud=lambda cloud, _: self.cloud if cloud.cloud == HERE else self.there,
            defined=(),
            strays_age=timedelta(hours=24),
            dry_run=False,
            emit=self.said.append,
        )
        asyncio.run(janitor.run(datetime.now(UTC)))

    def terminate(self, build_id: str, *, patience_s: float | None = None) -> None:
        async def open_account(_: PlannedTarget, credential: object) -> tuple[Cloud, SharedLooks]:
            return self.cloud, SharedLooks(self.cloud, gather_s=0)

        asyncio.run(
            run_step(
                Step.TERMINATE,
                build_id,
                cloud=HERE,
                open_account=open_account,
                deployment=Deployment(self.catalog, b"s" * 32),
                emit=self.said.append,
                patience_s=patience_s,
            )
        )

    def instances(self) -> list[str]:
        found = self.cloud.find_resources()
        return [each.id for each in found if each.kind is ResourceKind.INSTANCE]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    one = World(tmp_path)
    yield one
    one.catalog.close()


def test_all_that_is_over_is_ended(world):
    for build_id in BUILDS:
        world.launch(build_id, attempt=1)
    world.sweep()
    assert world.instances() == []
    assert {world.catalog.build(build_id).state for build_id in BUILDS} == {BuildState.CANCELLED}


@pytest.mark.parametrize("moment", ["delete", f"find {SECOND}"], ids=["before its turn", "in its turn"])
def test_a_build_that_is_begun_anew_during_the_sweep_keeps_its_instance(world, moment):
    for build_id in BUILDS:
        world.launch(build_id, attempt=1)
    world.catalog.fail_target(SECOND, HERE, "it failed")
    fresh = []

    def retry() -> None:
        world.restart(SECOND)
        fresh.append(world.launch(SECOND, attempt=2))

    world.at(moment, retry)
    world.sweep()
    assert fresh[0] in world.instances()
    assert world.catalog.target(SECOND, HERE).state is TargetState.SUBMITTED
    assert world.catalog.build(SECOND).state is BuildState.RUNNING
    assert world.catalog.build(FIRST).state is BuildState.CANCELLED


def test_a_build_that_is_begun_anew_during_the_sweep_is_not_called_abandoned(world):
    world.launch(FIRST, attempt=1)
    world.at("delete", lambda: world.restart(SECOND))
    world.sweep()
    assert world.catalog.build(SECOND).state is BuildState.RUNNING
    assert {target.state for target in world.catalog.targets(SECOND)} == {TargetState.SUBMITTED}
    assert not any(f"build {SECOND}" in line and "abandoned" in line for line in world.said)


# On a cloud that asks for a password, where only a build's own credential lets somebody in


class Hurried:
    """A clock that jumps over each pause."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.slept_s = 0.0
        patch.setattr(waiting, "datetime", self)
        patch.setattr(waiting, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": self.sleep}))

    def now(self, zone: Any) -> datetime:
        return datetime.now(zone) + timedelta(seconds=self.slept_s)

    async def sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Hurried:
    return Hurried(monkeypatch)


@pytest.fixture
def asking(world: World, clock: Hurried) -> World:
    """The first build has left all it made, and of that the group is in use; the second works with a credential."""
    world.launch(FIRST, attempt=1)
    world.catalog.update_target(FIRST, HERE, sealed_credential="sealed")
    world.restart(SECOND)
    world.catalog.update_target(SECOND, HERE, sealed_credential="sealed")
    world.cloud.in_use = frozenset({ResourceKind.SECURITY_GROUP})
    return world


def test_what_an_older_build_left_and_is_in_use_is_told_and_fails_nobody(asking, clock):
    asking.terminate(SECOND)
    assert clock.slept_s <= terminate.OLDER_LIMIT_S
    assert asking.cloud.credential_taken_back
    assert asking.catalog.target(SECOND, HERE).sealed_credential == ""
    group = next(row for row in asking.catalog.resources(build_id=FIRST))
    assert (group.kind, asking.instances()) == (ResourceKind.SECURITY_GROUP, [])
    warning = next(line for line in asking.said if "WARNING" in line)
    assert f"of build {FIRST} there is still security_group {group.resource_id}, which could not be deleted" in warning


def test_what_is_in_use_no_longer_goes_with_the_next_build(asking):
    asking.terminate(SECOND)
    asking.cloud.in_use = frozenset()
    asking.catalog.update_target(SECOND, HERE, sealed_credential="sealed")
    asking.terminate(SECOND)
    assert asking.catalog.resources(build_id=FIRST) == []
    assert asking.catalog.target(FIRST, HERE).sealed_credential == ""
    assert len([line for line in asking.said if "WARNING" in line]) == 1


def test_a_worker_whose_patience_ends_is_given_up_while_older_things_are_waited_for(asking):
    with pytest.raises(StillWaiting):
        asking.terminate(SECOND, patience_s=0)
    assert not asking.cloud.credential_taken_back
    assert not any("WARNING" in line for line in asking.said)
