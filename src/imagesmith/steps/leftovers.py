"""What builds that are over have left on their clouds, by the catalog's rows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from imagesmith.catalog.records import BuildRecord, ResourceRecord
from imagesmith.catalog.store import Catalog
from imagesmith.core import ResourceKind, TargetState
from imagesmith.plan import Plan

# After the last moment at which a teardown may run, this much for clocks that differ and tasks that start late.
MARGIN = timedelta(minutes=10)
LASTING = (ResourceKind.IMAGE, ResourceKind.SNAPSHOT)


@dataclass(frozen=True, order=True)
class Leftover:
    """A target of a build that is over which may still have something on its cloud."""

    build_id: str
    cloud: str


def builds_over(catalog: Catalog, *, now: datetime) -> dict[str, BuildRecord]:
    """Builds, by id, that no step can still be running of: ended a while ago, or past every limit."""
    return {build.build_id: build for build in catalog.builds(limit=100_000) if is_over(build, now=now)}


def is_over(build: BuildRecord, *, now: datetime) -> bool:
    """Whether no step of the build can still be running, by this record of it: it may be begun anew at any time."""
    return _over_at(build) < now


def _over_at(build: BuildRecord) -> datetime:
    plan = Plan.model_validate(build.plan)
    slowest_s = max((target.time_limits_s["terminate"] for target in plan.targets.values()), default=0)
    past_every_limit = build.deadline + timedelta(seconds=slowest_s) + MARGIN
    return past_every_limit if build.ended_at is None else min(build.ended_at + MARGIN, past_every_limit)


def recorded_leftovers(catalog: Catalog, over: Collection[str]) -> list[Leftover]:
    """Targets of builds that are over for which the catalog holds things that should be gone."""
    return [Leftover(row.build_id, row.cloud) for row in recorded_things(catalog, over)]


def recorded_things(catalog: Catalog, over: Collection[str]) -> list[ResourceRecord]:
    """The things of these builds that should be gone, by the catalog's rows."""
    return [
        row
        for row in catalog.resources()
        if row.build_id in over
        and (row.kind not in LASTING or catalog.target(row.build_id, row.cloud).state is not TargetState.SUCCESSFUL)
    ]
