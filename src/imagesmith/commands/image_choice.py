"""IMAGE: an image's id, CLOUD/ID, or a name where it is unique, as the commands of history take it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from imagesmith.commands import words

if TYPE_CHECKING:
    from imagesmith.catalog.records import ImageRecord
    from imagesmith.catalog.store import Catalog


def add_image(parser: argparse.ArgumentParser, name: str = "image") -> None:
    """Adds the argument to a command."""
    parser.add_argument(
        name, type=words.image, metavar="IMAGE", help="an image's id, CLOUD/ID, or its name; deleted ones, too"
    )


def the_image(catalog: Catalog, word: str) -> ImageRecord:
    """The one image meant by the word, a living one before deleted ones; raises QuestionRefused."""
    from imagesmith.image_words import meant

    return meant(word, catalog.find_images(word), see="`imagesmith images --all`")
