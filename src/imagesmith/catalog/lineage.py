"""Where images came from and what became of them, and which hold a package: the catalog's questions about history.

Images that were deleted are history, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields

from sqlalchemy import CTE, ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from imagesmith.catalog.access import Access, reads, record
from imagesmith.catalog.records import ImageRecord
from imagesmith.catalog.schema import InventoryPackage, SavedImage, StoredPackage
from imagesmith.inventory import Package

# In the record's order, so that a row of ten thousand is a record without a look at each name.
_IMAGE_COLUMNS = [getattr(SavedImage, field.name) for field in fields(ImageRecord)]


@dataclass(frozen=True)
class Holding:
    """An image and a package that is inside."""

    image: ImageRecord
    package: Package


class LineageStore(Access):
    """The catalog's part about the history of images."""

    @reads
    def find_images(self, session: Session, word: str) -> list[ImageRecord]:
        """Images of that id, of that CLOUD/ID, or else of that name, newest first."""
        cloud, _, image_id = word.partition("/")
        for wanted in (
            SavedImage.image_id == word,
            (SavedImage.cloud == cloud) & (SavedImage.image_id == image_id),
            SavedImage.name == word,
        ):
            found = session.scalars(select(SavedImage).where(wanted).order_by(SavedImage.created_at.desc())).all()
            if found:
                return [record(ImageRecord, row) for row in found]
        return []

    @reads
    def family(self, session: Session, cloud: str, image_id: str) -> list[ImageRecord]:
        """The image, all it was made from and all that was made from it, oldest first.

        Parent and child are on the same cloud: a source image that is an image of ours there.
        """
        found = {
            row.image_id: record(ImageRecord, row)
            for line in (_ancestors(cloud, image_id), _descendants(cloud, image_id))
            for row in session.scalars(line)
        }
        return sorted(found.values(), key=lambda image: (image.created_at, image.image_id))

    @reads
    def versions_of(
        self,
        session: Session,
        name: str,
        manager: str | None = None,
        *,
        generators: Collection[str] | None = None,
    ) -> list[tuple[int, Package]]:
        """Every version of the package that some image (of the generators) holds, with its number in the catalog."""
        query = select(StoredPackage).where(StoredPackage.name == name)
        if manager is not None:
            query = query.where(StoredPackage.manager == manager)
        if generators is not None:
            theirs = (
                select(InventoryPackage.digest)
                .join(SavedImage, SavedImage.inventory_digest == InventoryPackage.digest)
                .where(InventoryPackage.package_id == StoredPackage.id, SavedImage.generator.in_(generators))
            )
            query = query.where(theirs.exists())
        return [(row.id, _package(row)) for row in session.scalars(query)]

    @reads
    def images_with(
        self,
        session: Session,
        package_ids: Sequence[int],
        *,
        generators: Collection[str] | None = None,
        include_deleted: bool = True,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Holding]:
        """The images that hold one of the packages, newest first; `package_ids` as `versions_of` gives them."""
        wanted = _holding(package_ids, generators, include_deleted=include_deleted)
        query = (
            select(*_IMAGE_COLUMNS, InventoryPackage.package_id)
            .join(InventoryPackage, InventoryPackage.digest == SavedImage.inventory_digest)
            .where(*wanted)
            .order_by(SavedImage.created_at.desc(), SavedImage.cloud, SavedImage.image_id)
            .limit(limit)
            .offset(offset)
        )
        rows = session.execute(query).all()
        packages = _packages(session, {row.package_id for row in rows})
        return [Holding(ImageRecord(*image), packages[package_id]) for *image, package_id in rows]

    @reads
    def count_images_with(
        self,
        session: Session,
        package_ids: Sequence[int],
        *,
        generators: Collection[str] | None = None,
        include_deleted: bool = True,
    ) -> int:
        """How many `images_with` there are in all."""
        query = (
            select(func.count())
            .select_from(SavedImage)
            .join(InventoryPackage, InventoryPackage.digest == SavedImage.inventory_digest)
            .where(*_holding(package_ids, generators, include_deleted=include_deleted))
        )
        return session.scalar(query) or 0


def _holding(
    package_ids: Sequence[int], generators: Collection[str] | None, *, include_deleted: bool
) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = [InventoryPackage.package_id.in_(package_ids)]
    wanted += [SavedImage.generator.in_(generators)] if generators is not None else []
    return wanted + ([] if include_deleted else [SavedImage.deleted_at.is_(None)])


def _ancestors(cloud: str, image_id: str) -> Select[SavedImage]:
    line = (
        select(SavedImage.image_id, SavedImage.source_image_id)
        .where(SavedImage.cloud == cloud, SavedImage.image_id == image_id)
        .cte("ancestors", recursive=True)
    )
    parents = select(SavedImage.image_id, SavedImage.source_image_id).where(
        SavedImage.cloud == cloud, SavedImage.image_id == line.c.source_image_id
    )
    return _on(cloud, line.union(parents))


def _descendants(cloud: str, image_id: str) -> Select[SavedImage]:
    line = (
        select(SavedImage.image_id)
        .where(SavedImage.cloud == cloud, SavedImage.image_id == image_id)
        .cte("descendants", recursive=True)
    )
    children = select(SavedImage.image_id).where(
        SavedImage.cloud == cloud, SavedImage.source_image_id == line.c.image_id
    )
    return _on(cloud, line.union(children))


def _on(cloud: str, line: CTE) -> Select[SavedImage]:
    """The images of the line; `union`, which keeps no row twice, ends even where the catalog held a circle."""
    return select(SavedImage).join(line, line.c.image_id == SavedImage.image_id).where(SavedImage.cloud == cloud)


def _packages(session: Session, ids: Iterable[int]) -> dict[int, Package]:
    rows = session.scalars(select(StoredPackage).where(StoredPackage.id.in_(list(ids))))
    return {row.id: _package(row) for row in rows}


def _package(row: StoredPackage) -> Package:
    return Package.model_validate(
        {
            "manager": row.manager,
            "name": row.name,
            "version": row.version,
            "architecture": row.architecture,
            "origin": row.origin,
        }
    )
