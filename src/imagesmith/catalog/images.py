"""Images in the catalog: what was saved, of which content, on which source image."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from imagesmith.catalog.access import Access, reads, record, the_build, the_target, writes
from imagesmith.catalog.records import ImageRecord
from imagesmith.catalog.schema import Build, Resource, SavedImage, Target
from imagesmith.core import ImageState, ResourceKind, TargetState
from imagesmith.errors import BuildStateError


class ImageStore(Access):
    """The catalog's part about saved images."""

    @writes
    def record_image(
        self, session: Session, build_id: str, cloud: str, *, image_id: str, name: str, public: bool = False
    ) -> ImageRecord:
        """The image, pending at first, of the build's generator and version and the target's source image.

        Where an id is a name (Nimbus) an image that is no more may have had it: its row begins anew. Raises
        BuildStateError where that one is another build's and may still be there.
        """
        target = the_target(session, build_id, cloud, lock=True)
        row = session.get(SavedImage, (cloud, image_id), with_for_update=True)
        if row is not None and not _was_gone(session, row, build_id):
            if row.build_id != build_id:
                raise BuildStateError(
                    f"{build_id}: image {image_id} on {cloud} was saved by build {row.build_id}; put {{build_id}} into "
                    "image_name in the generator"
                )
            return record(ImageRecord, row)
        if row is not None:
            _close_resources(session, row, self._now(), but_of=build_id)
        new = self._new(the_build(session, build_id), target, image_id=image_id, name=name, public=public)
        return record(ImageRecord, session.merge(new))

    def _new(self, build: Build, target: Target, *, image_id: str, name: str, public: bool) -> SavedImage:
        """A whole row: each column is told, so that nothing stays of one that it takes the place of."""
        return SavedImage(
            cloud=target.cloud,
            image_id=image_id,
            build_id=build.build_id,
            name=name,
            generator=build.generator,
            version=build.version,
            source_image_id=target.source_image_id,
            public=public,
            state=ImageState.PENDING,
            created_at=self._now(),
            available_at=None,
            deleted_at=None,
            inventory_digest=target.inventory_digest,
            verified_at=None,
        )

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


def _was_gone(session: Session, row: SavedImage, build_id: str) -> bool:
    """Whether the row's image was no more when this build came to save one of its own under that id.

    A driver writes its intent, and then saves only under an id that is free on the cloud: an image which was there
    before that has been removed since, whoever did it.
    """
    if row.deleted_at is not None:
        return True
    intended_at = session.scalar(
        select(Resource.intended_at).where(
            Resource.build_id == build_id,
            Resource.cloud == row.cloud,
            Resource.kind == ResourceKind.IMAGE,
            Resource.resource_id == row.image_id,
        )
    )
    there_at = row.created_at if row.build_id == build_id else row.available_at
    return intended_at is not None and there_at is not None and there_at < intended_at


def _close_resources(session: Session, row: SavedImage, now: datetime, *, but_of: str) -> None:
    """What other builds had under the image's id is gone: none of them is to delete what has that id now."""
    theirs = (Resource.cloud == row.cloud) & (Resource.resource_id == row.image_id) & (Resource.build_id != but_of)
    still_open = update(Resource).where(theirs, Resource.kind == ResourceKind.IMAGE, Resource.gone_at.is_(None))
    session.execute(still_open.values(gone_at=now))
