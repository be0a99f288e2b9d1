"""The source image of a target: what its driver is to look for."""

from __future__ import annotations

from imagesmith.catalog.store import Catalog
from imagesmith.core import ImageQuery
from imagesmith.errors import SourceImageNotFound
from imagesmith.plan import PlannedTarget


def source_query(target: PlannedTarget, catalog: Catalog) -> ImageQuery:
    """What to look for; of another generator's images the newest successful one, by its id.

    Raises SourceImageNotFound where that generator has none on this cloud.
    """
    parent = target.source_image.generator
    if not parent:
        return target.source_image.query()
    for image in catalog.successful_images(parent, cloud=target.cloud):
        return ImageQuery(id=image.image_id)
    raise SourceImageNotFound(
        f"{target.cloud}: generator {parent} has no successful image there yet to start from; "
        f"build it first: `imagesmith build {parent} --cloud {target.cloud}`"
    )
