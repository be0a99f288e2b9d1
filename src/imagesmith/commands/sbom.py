"""`imagesmith sbom`: what is inside an image, in the formats that others read."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from imagesmith.commands.image_choice import add_image, the_image
from imagesmith.commands.writing import add_output, write
from imagesmith.errors import BuildStateError

if TYPE_CHECKING:
    from imagesmith.catalog.records import ImageRecord
    from imagesmith.inventory import Inventory

FORMATS = ("spdx", "cyclonedx", "inventory")


def add_parser(subparsers: Any) -> None:
    """Adds the command to the parser of `imagesmith`."""
    parser = subparsers.add_parser(
        "sbom",
        help="write an image's bill of materials: SPDX 2.3 or CycloneDX 1.6",
        description="JSON that the format's own library has made and found valid. `inventory` is our own form: its "
        "bytes' SHA-256 is the digest that statements bear.",
    )
    add_image(parser)
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0], help=f"{FORMATS[0]} by default")
    add_output(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """0, after the bill was written; raises BuildStateError for an image without an inventory."""
    from imagesmith.catalog.store import Catalog

    catalog = Catalog()
    image = the_image(catalog, args.image)
    inventory = catalog.inventory(image.inventory_digest) if image.inventory_digest else None
    if inventory is None:
        raise BuildStateError(
            f"{image.cloud}/{image.image_id}: it has no inventory, so nobody knows what is inside; build it anew"
        )
    write(_bill(args.format, image, inventory), args.output)
    return 0


def _bill(form: str, image: ImageRecord, inventory: Inventory) -> str:
    from imagesmith.sbom.subject import Subject

    if form == "inventory":
        return inventory.canonical().decode()
    if form == "spdx":
        from imagesmith.sbom.spdx import spdx

        return spdx(Subject(image, inventory))
    from imagesmith.sbom.cyclonedx import cyclonedx

    return cyclonedx(Subject(image, inventory))
