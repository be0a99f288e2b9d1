"""Rows that are read back from the clouds' own tags: added where the catalog has none, never over what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from imagesmith.catalog.access import Access, insert_unless_there, the_build, writes
from imagesmith.catalog.records import READ_BACK, BuildState
from imagesmith.catalog.schema import Build, GeneratorVersion, SavedImage, Target
from imagesmith.core import ImageState, TargetState


@dataclass(frozen=True)
class FoundImage:
    """An image as its cloud's tags tell of it; `plan` is all that is known of its build's plan."""

    cloud: str
    image_id: str
    name: str
    build_id: str
    generator: str
    version: str
    source_image_id: str
    inventory_digest: str
    created_at: datetime
    plan: Mapping[str, Any]


class RecoveryStore(Access):
    """The catalog's part that is filled from the clouds."""

    @writes
    def recover_image(self, session: Session, found: FoundImage) -> bool:
        """True if the image was unknown and is now known, with its build, target and generator's version."""
        begun = found.created_at
        version = {"name": found.generator, "version": found.version, "content": {}, "created_at": begun}
        session.execute(insert_unless_there(session, GeneratorVersion, version))
        build = {
            **{"build_id": found.build_id, "generator": found.generator, "version": found.version},
            **{"dag_id": found.generator, "run_id": f"read-back__{found.build_id}", "plan": dict(found.plan)},
            **{"requested_by": "", "requested_how": READ_BACK, "state": BuildState.SUCCESSFUL},
            **{"created_at": begun, "deadline": begun, "ended_at": begun},
        }
        session.execute(insert_unless_there(session, Build, build))
        _extend(session, found)
        target = {
            **{"build_id": found.build_id, "cloud": found.cloud, "required": True, "state": TargetState.SUCCESSFUL},
            **{"source_image_id": found.source_image_id, "image_name": found.name},
            **{"inventory_digest": found.inventory_digest, "started_at": begun, "ended_at": begun},
        }
        session.execute(insert_unless_there(session, Target, target))
        image = {
            **{"cloud": found.cloud, "image_id": found.image_id, "build_id": found.build_id, "name": found.name},
            **{"generator": found.generator, "version": found.version, "source_image_id": found.source_image_id},
            **{"public": False, "state": ImageState.AVAILABLE, "created_at": begun, "available_at": begun},
            "inventory_digest": found.inventory_digest,
        }
        added = insert_unless_there(session, SavedImage, image).returning(SavedImage.image_id)
        return session.scalar(added) is not None


def _extend(session: Session, found: FoundImage) -> None:
    """The plan of a build that is itself read back names every cloud that tells of it."""
    build = the_build(session, found.build_id, lock=True)
    if build.requested_how == READ_BACK:
        build.plan = {**build.plan, "targets": {**found.plan["targets"], **build.plan["targets"]}}
