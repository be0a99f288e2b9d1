"""Targets and their steps in the catalog."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Unpack

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from imagesmith.catalog.access import Access, reads, record, the_target, writes
from imagesmith.catalog.records import BuildState, StepRecord, TargetChanges, TargetRecord
from imagesmith.catalog.schema import Build, Step, Target
from imagesmith.core import TargetState
from imagesmith.errors import BuildStateError

TAIL_BYTES = 64 * 1024  # enough to see why a script failed; the whole output is in the task's log


class TargetStore(Access):
    """The catalog's part about targets and steps."""

    @reads
    def target(self, session: Session, build_id: str, cloud: str) -> TargetRecord:
        """The target; raises BuildStateError where the build has none on that cloud."""
        return record(TargetRecord, the_target(session, build_id, cloud))

    @reads
    def targets(self, session: Session, build_id: str) -> list[TargetRecord]:
        """The build's targets in the order of their clouds' names."""
        rows = session.scalars(select(Target).where(Target.build_id == build_id).order_by(Target.cloud))
        return [record(TargetRecord, row) for row in rows]

    @reads
    def live_targets(self, session: Session) -> int:
        """How many targets of all builds have not ended."""
        ended = [state for state in TargetState if state.ended]
        going_on = select(Build.build_id).where(Build.ended_at.is_(None))
        rows = select(func.count()).where(Target.state.not_in(ended), Target.build_id.in_(going_on))
        return session.scalar(rows) or 0

    @reads
    def crowd(self, session: Session, cloud: str, *, since: datetime) -> tuple[int, int]:
        """How many targets on the cloud have not ended, and how many had not at some moment since then."""
        of_cloud = (Target.cloud == cloud) & Target.build_id.in_(select(Build.build_id).where(Build.ended_at.is_(None)))
        live = select(func.count()).where(of_cloud, Target.ended_at.is_(None))
        ended = select(func.count()).where(Target.cloud == cloud, Target.ended_at >= since)
        alive = session.scalar(live) or 0
        return alive, alive + (session.scalar(ended) or 0)

    @writes
    def update_target(
        self, session: Session, build_id: str, cloud: str, **changes: Unpack[TargetChanges]
    ) -> TargetRecord:
        """The target with what was learned about it; of tails of output the last 64 KiB are kept."""
        unknown = changes.keys() - TargetChanges.__annotations__.keys()
        if unknown:
            raise TypeError(f"update_target knows no {', '.join(sorted(unknown))}; see TargetChanges for what it takes")
        target = the_target(session, build_id, cloud, lock=True)
        values: dict[str, Any] = {**changes}
        for column in values.keys() & {"output_tail", "test_output_tail"}:
            values[column] = _tail(values[column])
        for column, value in values.items():
            setattr(target, column, value)
        session.flush()
        session.refresh(target)  # as it is stored: UTC, and free of what a database cannot hold
        return record(TargetRecord, target)

    @writes
    def advance_target(self, session: Session, build_id: str, cloud: str, state: TargetState) -> TargetRecord:
        """The target in that state, with its times set; an ended target is left as it is.

        The build runs as soon as one of its targets does.
        """
        if state is not TargetState.SUBMITTED and not state.ended:
            _note_that_it_runs(session, build_id)
        target = the_target(session, build_id, cloud, lock=True)
        if not target.state.ended:
            self._enter(target, state)
        return record(TargetRecord, target)

    @writes
    def keep_image(self, session: Session, build_id: str, cloud: str, image_id: str) -> TargetRecord:
        """The target successful with the image of an earlier build; one that has ended is left as it is."""
        _note_that_it_runs(session, build_id)
        target = the_target(session, build_id, cloud, lock=True)
        if not target.state.ended:
            target.kept_image_id = image_id
            self._enter(target, TargetState.SUCCESSFUL)
        return record(TargetRecord, target)

    @writes
    def fail_target(
        self,
        session: Session,
        build_id: str,
        cloud: str,
        error: str,
        *,
        state: TargetState = TargetState.FAILED,
    ) -> TargetRecord:
        """The target failed, or cancelled, for the reason that was given first; a successful one stays so."""
        if state not in (TargetState.FAILED, TargetState.CANCELLED):
            raise ValueError(f"{build_id} on {cloud}: {state} is no way to fail; use failed or cancelled")
        target = the_target(session, build_id, cloud, lock=True)
        if target.state is TargetState.SUCCESSFUL:
            return record(TargetRecord, target)
        if not target.state.ended:
            self._enter(target, state)
        target.error = target.error or error
        return record(TargetRecord, target)

    @writes
    def start_step(self, session: Session, build_id: str, cloud: str, step: str) -> StepRecord:
        """The open step of the target's present attempt.

        One that was cut short is continued from when it first started, so that being killed gives no new
        time; one that ended is opened anew.
        """
        target = the_target(session, build_id, cloud, lock=True)
        row = session.get(Step, (build_id, cloud, step, target.attempt))
        if row is None:
            row = Step(build_id=build_id, cloud=cloud, step=step, attempt=target.attempt, error="")
            row.started_at = self._now()
            session.add(row)
        elif row.ended_at is not None:
            row.started_at, row.ended_at, row.error = self._now(), None, ""
        return record(StepRecord, row)

    @writes
    def end_step(self, session: Session, build_id: str, cloud: str, step: str, error: str = "") -> StepRecord:
        """The step ended, well or with an error; one that has ended keeps its first end."""
        target = the_target(session, build_id, cloud, lock=True)
        row = session.get(Step, (build_id, cloud, step, target.attempt))
        if row is None:
            never = f"step {step} was never started in attempt {target.attempt}"
            raise BuildStateError(f"{build_id} on {cloud}: {never}; clear the whole run to build again")
        if row.ended_at is None:
            row.ended_at, row.error = self._now(), error
        return record(StepRecord, row)

    @reads
    def steps(self, session: Session, build_id: str, *, cloud: str | None = None) -> list[StepRecord]:
        """The build's steps in the order in which they started, of all attempts."""
        query = select(Step).where(Step.build_id == build_id).order_by(Step.started_at, Step.cloud, Step.step)
        if cloud is not None:
            query = query.where(Step.cloud == cloud)
        return [record(StepRecord, row) for row in session.scalars(query)]

    def _enter(self, target: Target, state: TargetState) -> None:
        now = self._now()
        if target.started_at is None and state is not TargetState.SUBMITTED:
            target.started_at = now
        target.state = state
        target.ended_at = now if state.ended else None


def _note_that_it_runs(session: Session, build_id: str) -> None:
    waiting = (Build.build_id == build_id) & (Build.state == BuildState.SUBMITTED)
    session.execute(update(Build).where(waiting).values(state=BuildState.RUNNING))


def _tail(text: str) -> str:
    return text.encode("utf-8", "replace")[-TAIL_BYTES:].decode("utf-8", "ignore")
