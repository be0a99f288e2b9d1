"""Parts of the catalog's lists, small enough for a page: no plan is read, which holds whole scripts and files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select
from sqlalchemy.orm import Session

from imagesmith.catalog.access import Access, reads, record
from imagesmith.catalog.records import BuildState, ImageRecord
from imagesmith.catalog.schema import Build, GeneratorVersion, InventoryPackage, SavedImage, Target
from imagesmith.core import TargetState


@dataclass(frozen=True)
class BuildSummary:
    """One build of a list, with the state of each of its targets by cloud."""

    build_id: str
    generator: str
    version: str
    dag_id: str
    run_id: str
    attempt: int
    requested_by: str
    requested_how: str
    state: BuildState
    created_at: datetime
    ended_at: datetime | None
    error: str
    verdict: str
    targets: Mapping[str, TargetState]


@dataclass(frozen=True)
class VersionSummary:
    """One version of a generator that was built, and how often."""

    name: str
    version: str
    created_at: datetime
    builds: int


BUILD_COLUMNS = [getattr(Build, name) for name in BuildSummary.__annotations__ if name != "targets"]


class PageStore(Access):
    """The catalog's part about lists. `generators` are those that may be seen."""

    @reads
    def builds_page(
        self,
        session: Session,
        *,
        generators: Collection[str],
        state: BuildState | None = None,
        limit: int,
        offset: int = 0,
    ) -> tuple[list[BuildSummary], int]:
        """Builds, newest first, and how many there are in all."""
        wanted: list[ColumnElement[bool]] = [Build.generator.in_(generators)]
        wanted += [Build.state == state] if state is not None else []
        query = select(*BUILD_COLUMNS).where(*wanted).order_by(Build.created_at.desc(), Build.build_id.desc())
        rows = session.execute(query.limit(limit).offset(offset)).all()
        total = session.scalar(select(func.count()).select_from(Build).where(*wanted)) or 0
        return _with_targets(session, rows), total

    @reads
    def latest_builds(self, session: Session, generators: Collection[str]) -> dict[str, BuildSummary]:
        """The newest build of each of the generators that was built."""
        newest = (
            select(Build.generator, func.max(Build.created_at).label("created_at"))
            .where(Build.generator.in_(generators))
            .group_by(Build.generator)
            .subquery()
        )
        same = (Build.generator == newest.c.generator) & (Build.created_at == newest.c.created_at)
        rows = session.execute(select(*BUILD_COLUMNS).join(newest, same).order_by(Build.build_id)).all()
        return {build.generator: build for build in _with_targets(session, rows)}

    @reads
    def built_generators(self, session: Session) -> set[str]:
        """Names of all generators that were ever built."""
        return set(session.scalars(select(GeneratorVersion.name).distinct()))

    @reads
    def versions_page(
        self, session: Session, name: str, *, limit: int, offset: int = 0
    ) -> tuple[list[VersionSummary], int]:
        """The generator's versions, newest first, and how many there are in all."""
        known = GeneratorVersion
        counted = (
            select(func.count())
            .where(Build.generator == known.name, Build.version == known.version)
            .correlate(known)
            .scalar_subquery()
        )
        query = select(known.name, known.version, known.created_at, counted).where(known.name == name)
        rows = session.execute(query.order_by(known.created_at.desc(), known.version).limit(limit).offset(offset))
        total = session.scalar(select(func.count()).select_from(known).where(known.name == name)) or 0
        return [VersionSummary(*row) for row in rows], total

    @reads
    def images_page(
        self,
        session: Session,
        *,
        generators: Collection[str],
        cloud: str | None = None,
        package_ids: Collection[int] | None = None,
        saved_after: datetime | None = None,
        saved_before: datetime | None = None,
        include_deleted: bool = False,
        limit: int,
        offset: int = 0,
    ) -> tuple[list[ImageRecord], int]:
        """Saved images, newest first, and how many there are in all."""
        wanted: list[ColumnElement[bool]] = [SavedImage.generator.in_(generators)]
        wanted += [SavedImage.cloud == cloud] if cloud is not None else []
        if package_ids is not None:
            holding = select(InventoryPackage.digest).where(InventoryPackage.package_id.in_(package_ids))
            wanted += [SavedImage.inventory_digest.in_(holding)]
        wanted += [SavedImage.created_at >= saved_after] if saved_after is not None else []
        wanted += [SavedImage.created_at <= saved_before] if saved_before is not None else []
        wanted += [] if include_deleted else [SavedImage.deleted_at.is_(None)]
        order = (SavedImage.created_at.desc(), SavedImage.cloud, SavedImage.image_id)
        rows = session.scalars(select(SavedImage).where(*wanted).order_by(*order).limit(limit).offset(offset))
        total = session.scalar(select(func.count()).select_from(SavedImage).where(*wanted)) or 0
        return [record(ImageRecord, row) for row in rows], total

    @reads
    def find_image(self, session: Session, cloud: str, image_id: str) -> ImageRecord | None:
        """The image of that id on the cloud, deleted ones included, or None."""
        row = session.get(SavedImage, (cloud, image_id))
        return None if row is None else record(ImageRecord, row)


def _with_targets(session: Session, rows: Sequence[Row[Any]]) -> list[BuildSummary]:
    targets: dict[str, dict[str, TargetState]] = defaultdict(dict)
    of_page = select(Target.build_id, Target.cloud, Target.state).where(
        Target.build_id.in_([row.build_id for row in rows])
    )
    for build_id, cloud, state in session.execute(of_page.order_by(Target.cloud)):
        targets[build_id][cloud] = state
    return [BuildSummary(**row._mapping, targets=targets[row.build_id]) for row in rows]
