"""Which image a word means: an id, CLOUD/ID, or a name where it is unique."""

from __future__ import annotations

from collections.abc import Sequence

from imagesmith.catalog.records import ImageRecord
from imagesmith.errors import QuestionRefused


def meant(word: str, found: Sequence[ImageRecord], *, see: str) -> ImageRecord:
    """The one image of those found by the word, a living one before deleted ones.

    Raises QuestionRefused for none or several; `see` is where to look for more.
    """
    living = [image for image in found if image.deleted_at is None]
    fitting = living or found
    if not fitting:
        raise QuestionRefused(f"{word}: no image of that id or name was saved; see {see}")
    if len(fitting) > 1:
        several = ", ".join(f"{image.cloud}/{image.image_id}" for image in fitting[:10])
        raise QuestionRefused(f"{word}: is {len(fitting)} images; name one of {several}")
    return fitting[0]
