"""`imagesmith sbom`: what is inside an image, in the formats that others read."""

from __future__ import annotations

import argparse
from typing import Any

from imagesmith.commands.image_choice import add_image, the_image
from imagesmith.commands.writing import add_output, write

FORMATS = ("spdx", "cyclonedx", "inventory")  # as in sbom/bills.py, which not every command shall wait for


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
    from imagesmith.sbom.bills import bill, inventory_of

    catalog = Catalog()
    image = the_image(catalog, args.image)
    write(bill(args.format, image, inventory_of(catalog, image)), args.output)
    return 0
