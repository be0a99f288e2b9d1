"""What builds that are over have left, while others are begun anew: those are left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from imagesmith.catalog.records import BuildState
from imagesmith.catalog.store import Catalog
from imagesmith.clouds.memory import MemoryCloud
from imagesmith.core import TAG_CLOUD, LaunchRequest, Resource, ResourceKind, TargetState
from imagesmith.steps.janitor import Sweep
from imagesmith.steps.runner import Deployment

from .built import a_plan, a_project, begun

FIRST, SECOND = BUILDS = ("20260102-120000-aaaaaa", "20260102-120000-bbbbbb")
HERE = "here"


class Slow(MemoryCloud):
    """A cloud on which deleting, or looking for what is left, takes as long as `meanwhile` needs; it is called once."""

    meanwhile: Callable[[str], None] = staticmethod(lambda method: None)

    def delete(self, resources: Iterable[Resource]) -> list[Resource]:
        self.meanwhile("delete")
        return super().delete(resources)

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

        self.cloud.meanwhile = meanwhile  # type: ignore[method-assign]

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
