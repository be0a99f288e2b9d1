"""IMAGE: an image's id, CLOUD/ID, or a name where it is unique."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from imagesmith.commands import words
from imagesmith.errors import BuildStateError

if TYPE_CHECKING:
    from imagesmith.catalog.records import ImageRecord
    from imagesmith.catalog.store import Catalog


def add_image(parser: argparse.ArgumentParser, name: str = "image") -> None:
    """Adds the argument to a command."""
    parser.add_argument(
        name, type=words.image, metavar="IMAGE", help="an image's id, CLOUD/ID, or its name; deleted ones, too"
    )


def the_image(catalog: Catalog, word: str) -> ImageRecord:
    """The one image meant by the word; raises BuildStateError."""
    found = [
        image
        for image in catalog.images(include_deleted=True)
        if word in (image.image_id, f"{image.cloud}/{image.image_id}", image.name)
    ]
    if len(found) != 1:
        raise BuildStateError(f"{word}: is {len(found)} images; see `imagesmith images --all`")
    return found[0]
