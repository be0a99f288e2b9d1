"""An image's bill of materials in the form that is asked for."""

from __future__ import annotations

from imagesmith.catalog.records import ImageRecord
from imagesmith.catalog.store import Catalog
from imagesmith.errors import BuildStateError
from imagesmith.inventory import Inventory

FORMATS = ("spdx", "cyclonedx", "inventory")


def inventory_of(catalog: Catalog, image: ImageRecord) -> Inventory:
    """What is inside the image; raises BuildStateError where that is not known."""
    inventory = catalog.inventory(image.inventory_digest) if image.inventory_digest else None
    if inventory is None:
        why = "it has no inventory, so nobody knows what is inside"
        if image.inventory_digest:
            why = "the list of what is inside went with a catalog that was lost, and only its digest is known"
        raise BuildStateError(f"{image.cloud}/{image.image_id}: {why}; build it anew")
    return inventory


def bill(form: str, image: ImageRecord, inventory: Inventory) -> str:
    """JSON that the format's own library has made and found valid; `inventory` is our own canonical form."""
    from imagesmith.sbom.subject import Subject

    if form == "inventory":
        return inventory.canonical().decode()
    if form == "spdx":
        from imagesmith.sbom.spdx import spdx

        return spdx(Subject(image, inventory))
    from imagesmith.sbom.cyclonedx import cyclonedx

    return cyclonedx(Subject(image, inventory))
