"""What the caller may see of images: themselves, what they came from and what came of them, and who holds a package."""

from collections.abc import Sequence
from dataclasses import replace

from imagesmith import lineage
from imagesmith.catalog.lineage import Holding
from imagesmith.catalog.records import ImageRecord
from imagesmith.errors import QuestionRefused
from imagesmith.image_diff import ImageDiff, diff
from imagesmith.image_words import meant
from imagesmith.search import Fitting, fitting
from imagesmith.story import Story, story_of
from imagesmith.versions import question
from imagesmith.web.host import Caller
from imagesmith.web.parts import Parts, visible_generators
from imagesmith.web.problems import Problem, mistake, not_found


def the_image(parts: Parts, caller: Caller, cloud: str, image_id: str) -> ImageRecord:
    """The image of that id on the cloud; a Problem where there is none for the caller."""
    image = parts.catalog.find_image(cloud, image_id)
    if image is None or not parts.host.sees(caller, [image.generator]):
        raise not_found(f"image {image_id[:80]} on {cloud[:80]}")
    return image


def named_image(parts: Parts, caller: Caller, field: str, word: str) -> ImageRecord:
    """The image meant by an id, CLOUD/ID or a name that the request gave in `field`, of those the caller may see."""
    found = parts.catalog.find_images(word)
    seen = parts.host.sees(caller, {image.generator for image in found})
    found = [image for image in found if image.generator in seen]
    if not found:
        raise not_found(f"image {word[:80]}")
    try:
        return meant(word[:80], found, see="the list of images")
    except QuestionRefused as error:
        raise Problem(422, str(error), errors=[mistake(field, str(error))]) from error


def story(parts: Parts, caller: Caller, image: ImageRecord) -> Story:
    """The image's story; a parent that the caller may not see has no more than its id in it."""
    found = story_of(parts.catalog, image)
    if found.parent is None or parts.host.sees(caller, [found.parent.generator]):
        return found
    return replace(found, parent=None, target=replace(found.target, source_image_name=""))


def compared(parts: Parts, caller: Caller, before: ImageRecord, after: ImageRecord) -> ImageDiff:
    """In what the two differ."""
    return diff(story(parts, caller, before), story(parts, caller, after))


def family(parts: Parts, caller: Caller, image: ImageRecord) -> lineage.Lineage:
    """The image's lineage, as far as the caller may see it."""
    found = lineage.lineage_of(parts.catalog, image)
    generators = {each.generator for images in found.images.values() for each in images}
    return lineage.seen_by(found, parts.host.sees(caller, generators))


def asked_packages(parts: Parts, seen: set[str], word: str) -> Fitting:
    """The packages that `NAME[<VERSION]` means, of those inside images of the generators; a Problem for no question."""
    try:
        return fitting(parts.catalog, question(word), generators=seen)
    except QuestionRefused as error:
        raise Problem(422, str(error), errors=[mistake("package", str(error))]) from error


def holdings(
    parts: Parts, caller: Caller, word: str, *, include_deleted: bool, limit: int, offset: int
) -> tuple[Sequence[Holding], int, list[str]]:
    """Images that hold the package, newest first; how many there are; versions that could not be compared."""
    seen = visible_generators(parts, caller)
    asked = asked_packages(parts, seen, word)
    if not asked.numbers:
        return [], 0, asked.uncompared
    total = parts.catalog.count_images_with(asked.numbers, generators=seen, include_deleted=include_deleted)
    held = parts.catalog.images_with(
        asked.numbers, generators=seen, include_deleted=include_deleted, limit=limit, offset=offset
    )
    return held, total, asked.uncompared
