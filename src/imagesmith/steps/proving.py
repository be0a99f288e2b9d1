"""The signed statement about a build's images, made once the build has ended."""

from __future__ import annotations

from collections.abc import Sequence

from imagesmith import keys
from imagesmith.catalog.records import BuildRecord, ImageRecord
from imagesmith.catalog.store import Catalog
from imagesmith.provenance import statement


def prove(build: BuildRecord, images: Sequence[ImageRecord], *, catalog: Catalog, secret: bytes) -> str:
    """The envelope, in the catalog from now on; "" where no image has an inventory to speak for its content.

    All is read from the catalog, so a second call for the same end gives the same text.
    """
    told = [image for image in images if image.inventory_digest]
    if not told:
        return ""

    from imagesmith.envelope import sign  # its library is loaded by who signs, not by whoever reads a DAG's file

    parents = {image.cloud: parent for image in told if (parent := _content_of_parent(image, catalog))}
    payload = statement(build, told, parents=parents, deployment=keys.deployment_id(secret))
    envelope = sign(payload, keys.signing_key(secret))
    catalog.record_provenance(build.build_id, envelope)
    return envelope


def _content_of_parent(image: ImageRecord, catalog: Catalog) -> str:
    parent = catalog.image(image.cloud, image.source_image_id)
    return parent.inventory_digest if parent else ""
