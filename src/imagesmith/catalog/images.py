"""Images in the catalog: what was saved, of which content, on which source image."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from imagesmith.catalog.access import Access, reads, record, the_build, the_target, writes
from imagesmith.catalog.records import ImageRecord
from imagesmith.catalog.schema import SavedImage, Target
from imagesmith.core import ImageState, TargetState
from imagesmith.errors import BuildStateError


class ImageStore(Access):
    """The catalog's part about saved images."""

    @writes
    def record_image(
        self, session: Session, build_id: str, cloud: str, *, image_id: str, name: str, public: bool = False
    ) -> ImageRecord:
        """The image, pending at first, of the build's generator and version and the target's source image."""
        target = the_target(session, build_id, cloud, lock=True)
        build = the_build(session, build_id)
        row = session.get(SavedImage, (cloud, image_id))
        if row is None:
            row = SavedImage(build_id=build_id, cloud=cloud, image_id=image_id, name=name, public=public)
            row.generator, row.version, row.source_image_id = (
                build.generator,
                build.version,
                target.source_image_id,
            )
            row.state, row.created_at = ImageState.PENDING, self._now()
            row.inventory_digest = target.inventory_digest
            session.add(row)
        elif row.build_id != build_id:
            raise BuildStateError(f"{build_id}: image {image_id} on {cloud} was saved by build {row.build_id}")
        return record(ImageRecord, row)

    @writes
    def image_available(self, session: Session, cloud: str, image_id: str) -> ImageRecord:
        """The image as one that can be launched; a deleted one stays deleted."""
        row = session.get(SavedImage, (cloud, image_id), with_for_update=True)
        if row is None:
            raise BuildStateError(f"{cloud}: no build recorded the image {image_id}; call record_image first")
        if row.deleted_at is None and row.state is not ImageState.AVAILABLE:
            row.state, row.available_at = ImageState.AVAILABLE, self._now()
        return record(ImageRecord, row)

    @writes
    def image_verified(self, session: Session, cloud: str, image_id: str) -> ImageRecord:
        """The image as one that was booted and holds what its target's inventory says; the first time counts."""
        row = session.get(SavedImage, (cloud, image_id), with_for_update=True)
        if row is None:
            raise BuildStateError(f"{cloud}: no build recorded the image {image_id}; call record_image first")
        row.verified_at = row.verified_at or self._now()
        row.inventory_digest = the_target(session, row.build_id, cloud).inventory_digest
        return record(ImageRecord, row)

    @writes
    def image_deleted(self, session: Session, cloud: str, image_id: str) -> None:
        """Notes that the image is no more; one the catalog never heard of is fine."""
        row = session.get(SavedImage, (cloud, image_id), with_for_update=True)
        if row is not None and row.deleted_at is None:
            row.state, row.deleted_at = ImageState.GONE, self._now()

    @reads
    def image(self, session: Session, cloud: str, image_id: str) -> ImageRecord | None:
        """The image of that id on that cloud, deleted or not; None where no build saved it."""
        row = session.get(SavedImage, (cloud, image_id))
        return None if row is None else record(ImageRecord, row)

    @reads
    def successful_images(
        self,
        session: Session,
        generator: str,
        *,
        cloud: str,
        version: str | None = None,
        source_image_id: str | None = None,
        limit: int = 1,
    ) -> list[ImageRecord]:
        """The generator's images on that cloud that can be launched and whose target was successful, newest first."""
        query = (
            select(SavedImage)
            .join(Target, (Target.build_id == SavedImage.build_id) & (Target.cloud == SavedImage.cloud))
            .where(
                SavedImage.generator == generator,
                SavedImage.cloud == cloud,
                SavedImage.state == ImageState.AVAILABLE,
                SavedImage.deleted_at.is_(None),
                Target.state == TargetState.SUCCESSFUL,
            )
            .order_by(SavedImage.available_at.desc(), SavedImage.created_at.desc(), SavedImage.image_id.desc())
            .limit(limit)
        )
        if version is not None:
            query = query.where(SavedImage.version == version)
        if source_image_id is not None:
            query = query.where(SavedImage.source_image_id == source_image_id)
        return [record(ImageRecord, row) for row in session.scalars(query)]

    @reads
    def images(
        self,
        session: Session,
        *,
        generator: str | None = None,
        build_id: str | None = None,
        cloud: str | None = None,
        include_deleted: bool = False,
    ) -> list[ImageRecord]:
        """Saved images, newest first; without the deleted ones unless asked for."""
        query = select(SavedImage).order_by(SavedImage.created_at.desc(), SavedImage.cloud, SavedImage.image_id)
        if generator is not None:
            query = query.where(SavedImage.generator == generator)
        if build_id is not None:
            query = query.where(SavedImage.build_id == build_id)
        if cloud is not None:
            query = query.where(SavedImage.cloud == cloud)
        if not include_deleted:
            query = query.where(SavedImage.deleted_at.is_(None))
        return [record(ImageRecord, row) for row in session.scalars(query)]
