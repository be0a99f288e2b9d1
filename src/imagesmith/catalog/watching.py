"""Builds that pages watch: all that are under way or ended a moment ago, in one query without plans."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from imagesmith.catalog.access import Access, reads
from imagesmith.catalog.builds import ENDED
from imagesmith.catalog.pages import BUILD_COLUMNS, BuildSummary
from imagesmith.catalog.records import BuildState
from imagesmith.catalog.schema import Build, Step, Target

# More at once is no page's matter; the newest are those that are looked at.
MOST = 500
OPEN = [state for state in BuildState if state not in ENDED]


@dataclass(frozen=True)
class WatchedBuild:
    """A build with what changes with all that pages show of it: its steps, and by cloud how far its output is."""

    summary: BuildSummary
    steps: str
    output: Mapping[str, str]


class WatchStore(Access):
    """The catalog's part about what is going on."""

    @reads
    def watched_builds(self, session: Session, *, since: datetime, limit: int = MOST) -> list[WatchedBuild]:
        """Builds that have not ended, or ended since then, newest first."""
        seen = (
            select(*BUILD_COLUMNS)
            .where(or_(Build.state.in_(OPEN), Build.ended_at >= since))
            .order_by(Build.created_at.desc(), Build.build_id.desc())
            .limit(limit)
            .subquery()
        )
        steps = (
            select(func.count(Step.step) + func.count(Step.ended_at))
            .where(Step.build_id == Target.build_id, Step.cloud == Target.cloud)
            .scalar_subquery()
        )
        target = (Target.cloud, Target.state.label("target_state"), Target.attempt.label("target_attempt"))
        output = (Target.script_index, Target.output_offset, Target.test_index, Target.test_output_offset)
        query = (
            select(seen, *target, *output, steps.label("steps"))
            .outerjoin(Target, Target.build_id == seen.c.build_id)
            .order_by(seen.c.created_at.desc(), seen.c.build_id.desc(), Target.cloud)
        )
        return _grouped(session.execute(query).all())


def _grouped(rows: Any) -> list[WatchedBuild]:
    of_build: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        of_build[row.build_id].append(row)
    return [_watched(targets) for targets in of_build.values()]


def _watched(rows: list[Any]) -> WatchedBuild:
    first, targets = rows[0], [row for row in rows if row.cloud is not None]
    about = {column.key: getattr(first, column.key) for column in BUILD_COLUMNS}
    summary = BuildSummary(**about, targets={row.cloud: row.target_state for row in targets})
    return WatchedBuild(
        summary,
        steps=repr([(row.cloud, row.target_attempt, row.steps) for row in targets]),
        output={
            row.cloud: f"{row.script_index} {row.output_offset} {row.test_index} {row.test_output_offset}"
            for row in targets
        },
    )
