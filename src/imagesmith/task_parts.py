"""Which tasks a generator's DAG has on each cloud: those of its file, and those that a build under way still needs.

A build keeps to its plan whatever becomes of the file meanwhile, and its last tasks delete what it made. So a cloud
that was taken out, and a whole file that is gone or has mistakes now, keep their tasks until those builds end.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pydantic import ValidationError

from imagesmith.catalog.store import Catalog
from imagesmith.cloud_settings import CloudSettings
from imagesmith.generator import Generator
from imagesmith.plan import Plan, PlannedTarget, time_limits_s

log = logging.getLogger(__name__)

_MOST_BUILDS = 10_000

Parts = dict[str, "Part"]


@dataclass(frozen=True)
class Part:
    """The tasks of one cloud; `time_limits_s` has every step, `pool` is Airflow's."""

    time_limits_s: Mapping[str, int]
    verifies: bool
    pool: str | None = None


def parts_of(generator: Generator, clouds: Mapping[str, CloudSettings]) -> Parts:
    """By cloud, as the file says."""
    return {
        cloud: Part(time_limits_s(generator, cloud), generator.verifies(cloud), clouds[cloud].pool)
        for cloud in generator.clouds
    }


def with_plans(parts: Mapping[str, Part], plans: Iterable[Plan]) -> Parts:
    """The same, and what builds under way need besides; where they have more time for a step, that."""
    kept = dict(parts)
    for plan in plans:
        for cloud, target in plan.targets.items():
            kept[cloud] = _widened(kept[cloud], target) if cloud in kept else _part(target)
    return kept


def open_plans(catalog: Catalog, *, only: str | None = None) -> dict[str, list[Plan]]:
    """The plans of all builds that have not ended, or of one generator's, by generator, newest first."""
    plans: dict[str, list[Plan]] = {}
    for build in catalog.builds(generator=only, only_open=True, limit=_MOST_BUILDS):
        try:
            plan = Plan.model_validate(build.plan)
        except ValidationError as error:  # another release's; nobody else's tasks suffer for it
            log.warning("build %s: its plan can't be read, so only its file gives it tasks: %s", build.build_id, error)
        else:
            plans.setdefault(build.generator, []).append(plan)
    return plans


def _part(target: PlannedTarget) -> Part:
    return Part(target.time_limits_s, target.verify)


def _widened(part: Part, target: PlannedTarget) -> Part:
    planned = target.time_limits_s
    limits = {step: max(limit, planned.get(step, 0)) for step, limit in part.time_limits_s.items()}
    return replace(part, time_limits_s=limits, verifies=part.verifies or target.verify)
