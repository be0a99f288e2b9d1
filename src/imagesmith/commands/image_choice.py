"""IMAGE: an image's id, CLOUD/ID, or a name where it is unique, as the commands of history take it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from imagesmith.commands import words
from imagesmith.errors import QuestionRefused

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
    found = catalog.find_images(word)
    living = [image for image in found if image.deleted_at is None]
    fitting = living or found
    if not fitting:
        raise QuestionRefused(f"{word}: no image of that id or name was saved; see `imagesmith images --all`")
    if len(fitting) > 1:
        several = ", ".join(f"{image.cloud}/{image.image_id}" for image in fitting[:10])
        raise QuestionRefused(f"{word}: is {len(fitting)} images; name one of {several}")
    return fitting[0]
