"""Generators' versions and builds in the catalog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from imagesmith.catalog.access import Access, insert_unless_there, reads, record, the_build, writes
from imagesmith.catalog.records import BuildRecord, BuildState, GeneratorVersionRecord, NewTarget
from imagesmith.catalog.schema import Build, GeneratorVersion, Target
from imagesmith.core import TargetState
from imagesmith.errors import BuildStateError

ENDED = [state for state in BuildState if state.ended]

# What a target knows of the instance at hand, and what it forgets of it when it starts again.
_FRESH_TARGET: Mapping[str, Any] = {
    "state": TargetState.SUBMITTED,
    "instance_id": "",
    "address": "",
    "script_index": 0,
    "output_offset": 0,
    "output_lines": 0,
    "output_tail": "",
    "cleanup_started_at": None,
    "customized_instance_id": "",
    "host_key": "",
    "sealed_credential": "",
    "inventory_digest": "",
    "verify_instance_id": "",
    "verify_address": "",
    "verify_host_key": "",
    "kept_image_id": "",
    "verify_inspected_id": "",
    "identity": "",
    "test_index": 0,
    "test_output_offset": 0,
    "test_output_lines": 0,
    "test_output_tail": "",
    "error": "",
    "started_at": None,
    "ended_at": None,
}


class BuildStore(Access):
    """The catalog's part about builds as a whole."""

    @writes
    def begin_build(
        self,
        session: Session,
        *,
        build_id: str,
        generator: str,
        version: str,
        content: Mapping[str, Any],
        dag_id: str,
        run_id: str,
        requested_by: str,
        requested_how: str,
        plan: Mapping[str, Any],
        deadline: datetime,
        targets: Sequence[NewTarget],
        sealed_secrets: Mapping[str, str] | None = None,
    ) -> BuildRecord:
        """The build of this run: new, or unchanged the one that is there already."""
        now = self._now()
        known = {"name": generator, "version": version, "content": dict(content), "created_at": now}
        session.execute(insert_unless_there(session, GeneratorVersion, known))
        _learn(session, known)
        build = {
            "build_id": build_id,
            "generator": generator,
            "version": version,
            "dag_id": dag_id,
            "run_id": run_id,
            "requested_by": requested_by,
            "requested_how": requested_how,
            "plan": dict(plan),
            "state": BuildState.SUBMITTED,
            "created_at": now,
            "deadline": deadline,
            "sealed_secrets": dict(sealed_secrets) if sealed_secrets else None,
        }
        if session.scalar(insert_unless_there(session, Build, build).returning(Build.build_id)) is not None:
            session.add_all(Target(build_id=build_id, **vars(target)) for target in targets)
        return _build_of_run(session, build_id=build_id, dag_id=dag_id, run_id=run_id)

    @writes
    def restart_build(self, session: Session, build_id: str, *, deadline: datetime) -> BuildRecord:
        """The build begun anew with a new deadline; targets that are not successful forget their instance.

        They keep the source image they found first, so that a retry cannot build on a newer one. The
        deadline also tells a call that came twice from a second restart.
        """
        build = the_build(session, build_id, lock=True)
        if build.state is BuildState.RUNNING and build.attempt > 1 and build.deadline == deadline:
            return record(BuildRecord, build)
        if build.state is BuildState.SUCCESSFUL:
            build.announced_at = build.ended_at
        build.attempt += 1
        build.state, build.deadline, build.ended_at, build.error = BuildState.RUNNING, deadline, None, ""
        rows = select(Target).where(Target.build_id == build_id).order_by(Target.cloud).with_for_update()
        for target in session.scalars(rows):
            if target.state in (TargetState.FAILED, TargetState.CANCELLED):
                _start_anew(target)
        return record(BuildRecord, build)

    @writes
    def set_build_state(self, session: Session, build_id: str, state: BuildState) -> BuildRecord:
        """The build in that state; an ended build is left as it is."""
        return self._move(session, build_id, state, error="")

    @writes
    def end_build(self, session: Session, build_id: str, state: BuildState, error: str = "") -> BuildRecord:
        """The build ended in `state`, its secrets gone; one that has ended before keeps its first end."""
        if not BuildState(state).ended:
            raise ValueError(f"{build_id}: {state} is no end of a build; use set_build_state")
        return self._move(session, build_id, state, error=error)

    @writes
    def record_provenance(self, session: Session, build_id: str, envelope: str) -> None:
        """Keeps the signed statement about the build's images; that of a later end replaces it."""
        the_build(session, build_id, lock=True).provenance = envelope

    @writes
    def record_comparison(
        self, session: Session, build_id: str, *, verdict: str, comparison: Mapping[str, Any] | None
    ) -> None:
        """What holding the build's images side by side came to; a later look replaces an earlier one."""
        build = the_build(session, build_id, lock=True)
        build.verdict, build.comparison = verdict, None if comparison is None else dict(comparison)

    @reads
    def build(self, session: Session, build_id: str) -> BuildRecord:
        """The build; raises BuildStateError where there is none of that id."""
        return record(BuildRecord, the_build(session, build_id))

    @reads
    def find_build(self, session: Session, dag_id: str, run_id: str) -> BuildRecord | None:
        """The build of that DAG run, or None."""
        row = session.scalar(select(Build).where(Build.dag_id == dag_id, Build.run_id == run_id))
        return None if row is None else record(BuildRecord, row)

    @reads
    def builds(
        self, session: Session, *, generator: str | None = None, only_open: bool = False, limit: int = 100
    ) -> list[BuildRecord]:
        """Builds, newest first; `only_open` leaves out those that ended."""
        query = select(Build).order_by(Build.created_at.desc(), Build.build_id.desc()).limit(limit)
        if generator is not None:
            query = query.where(Build.generator == generator)
        if only_open:
            query = query.where(Build.state.not_in(ENDED))
        return [record(BuildRecord, row) for row in session.scalars(query)]

    @reads
    def generator_version(self, session: Session, name: str, version: str) -> GeneratorVersionRecord | None:
        """What that version of the generator consisted of, or None if nothing was ever built of it."""
        row = session.get(GeneratorVersion, (name, version))
        return None if row is None else record(GeneratorVersionRecord, row)

    def _move(self, session: Session, build_id: str, state: BuildState, *, error: str) -> BuildRecord:
        build = the_build(session, build_id, lock=True)
        if not build.state.ended:
            build.state, build.error = BuildState(state), error
            build.ended_at = self._now() if build.state.ended else None
        if build.state.ended:
            build.sealed_secrets = None
        return record(BuildRecord, build)


def _build_of_run(session: Session, *, build_id: str, dag_id: str, run_id: str) -> BuildRecord:
    session.flush()
    row = session.scalar(select(Build).where(Build.dag_id == dag_id, Build.run_id == run_id))
    if row is None:
        other = the_build(session, build_id)
        belongs = f"belongs to run {other.run_id} of {other.dag_id}, not to {run_id} of {dag_id}"
        raise BuildStateError(f"{build_id}: {belongs}; start the run again under another run id")
    return record(BuildRecord, row)


def _learn(session: Session, known: Mapping[str, Any]) -> None:
    """Keep what the version consists of, where no more of it was known than the tags of its images tell."""
    row = session.get_one(GeneratorVersion, (known["name"], known["version"]))
    if not row.content:
        row.content = known["content"]


def _start_anew(target: Target) -> None:
    target.attempt += 1
    for column, value in _FRESH_TARGET.items():
        setattr(target, column, value)
