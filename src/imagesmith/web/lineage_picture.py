"""The lineage of images as a picture: where on it each image stands, and which line leads to it. Pure.

An image has one source image, so a cloud's images are trees: generations stand beside each other from the left to the
right, and each image in the middle of what was made from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imagesmith.catalog.records import ImageRecord
from imagesmith.lineage import Lineage

BOX_WIDTH, BOX_HEIGHT = 230, 58
GAP_X, GAP_Y, TITLE_HEIGHT, MARGIN = 60, 14, 34, 8
# A base of hundreds of images is a list, and no picture any more.
MOST_BOXES = 150
# Letters that have room in a box.
LONGEST = 32


@dataclass(frozen=True)
class Box:
    """An image, or (`image` None) a source image that is none of ours; x and y are of its upper left corner."""

    x: int
    y: int
    image: ImageRecord | None
    lines: tuple[str, ...]
    title: str
    asked: bool = False


@dataclass(frozen=True)
class Line:
    """From the source image's right edge to the left edge of what was made from it."""

    x1: int
    y1: int
    x2: int
    y2: int

    @property
    def path(self) -> str:
        """The same for SVG."""
        middle = (self.x1 + self.x2) // 2
        return f"M{self.x1} {self.y1}C{middle} {self.y1} {middle} {self.y2} {self.x2} {self.y2}"


@dataclass(frozen=True)
class Picture:
    """Everything on it in pixels; `titles` are clouds with their y, `left_out` counts images without a place."""

    width: int
    height: int
    titles: tuple[tuple[str, int], ...]
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    left_out: int


def picture_of(lineage: Lineage, *, most: int = MOST_BOXES) -> Picture:
    """The picture; of too many images those have a place that stand nearest to the one that is asked about."""
    titles, boxes, lines, y, left_out = [], list[Box](), list[Line](), 0, 0
    for cloud in lineage.images:
        chosen = _nearest(lineage, cloud, most - len(boxes))
        left_out += len(lineage.images[cloud]) - len(chosen)
        if not chosen:
            continue
        titles.append((cloud, y + TITLE_HEIGHT - 12))
        tree = _Tree(lineage, cloud, chosen, top=y + TITLE_HEIGHT)
        boxes += tree.boxes
        lines += tree.lines
        y = tree.bottom + GAP_Y
    width = max((box.x + BOX_WIDTH for box in boxes), default=0) + MARGIN
    return Picture(width, y, tuple(titles), tuple(boxes), tuple(lines), left_out)


def _nearest(lineage: Lineage, cloud: str, most: int) -> list[ImageRecord]:
    """At most so many of the cloud's images: the line up from the build's own, then what comes down, in its order."""
    images = lineage.images[cloud]
    if len(images) <= most:
        return list(images)
    by_id = {image.image_id: image for image in images}
    own = [image.image_id for image in images if image.build_id == lineage.asked.build_id]
    ranked, children = dict.fromkeys(own), lineage.children(cloud)
    for image_id in own:
        while (image_id := by_id[image_id].source_image_id) in by_id and image_id not in ranked:
            ranked[image_id] = None
    waiting = list(own)
    while waiting:
        below = [image.image_id for image in children.get(waiting.pop(0), ()) if image.image_id not in ranked]
        ranked |= dict.fromkeys(below)
        waiting += below
    ranked |= dict.fromkeys(by_id)
    kept = set(list(ranked)[: max(0, most)])
    return [image for image in images if image.image_id in kept]


class _Tree:
    """One cloud's images in their places."""

    def __init__(self, lineage: Lineage, cloud: str, images: Sequence[ImageRecord], *, top: int) -> None:
        self._lineage, self._cloud = lineage, cloud
        self._children: dict[str, list[ImageRecord]] = {}
        for image in images:
            self._children.setdefault(image.source_image_id, []).append(image)
        ours = {image.image_id for image in images}
        self.boxes: list[Box] = []
        self.lines: list[Line] = []
        self.bottom = top
        self._placed: set[str] = set()
        for root in [source for source in self._children if source not in ours]:
            self._place_root(root)
        for image in images:  # a circle, which only a catalog that was written by hand can hold
            if image.image_id not in self._placed:
                self._place(image, 0)

    def _place_root(self, source: str) -> None:
        middles = [self._place(image, 1) for image in self._children[source]]
        name = self._lineage.names.get((self._cloud, source), "")
        lines = (_short(source or "an image nobody wrote down"), _short(name))
        self._put(0, middles, Box(0, 0, None, lines, f"{source} {name}".strip()))

    def _place(self, image: ImageRecord, depth: int) -> int:
        """The y of the image's middle, once all that was made from it has its place.

        Generations are walked with a list and not by recursion: a chain may have thousands.
        """
        results: dict[str, int] = {}
        waiting: list[tuple[ImageRecord, int, bool]] = [(image, depth, False)]
        while waiting:
            one, level, ready = waiting.pop()
            below = [child for child in self._children.get(one.image_id, ()) if child.image_id != one.image_id]
            if not ready:
                if one.image_id in self._placed:
                    continue
                self._placed.add(one.image_id)
                waiting.append((one, level, True))
                waiting += [(child, level + 1, False) for child in reversed(below)]
                continue
            middles = [results[child.image_id] for child in below if child.image_id in results]
            results[one.image_id] = self._put(level, middles, self._box(one))
        return results[image.image_id]

    def _box(self, image: ImageRecord) -> Box:
        asked = (image.cloud, image.image_id) == (self._lineage.asked.cloud, self._lineage.asked.image_id)
        state = ", deleted" if image.deleted_at else ""
        lines = (_short(image.name), _short(image.image_id), _short(f"{image.generator} {image.version}{state}"))
        return Box(0, 0, image, lines, f"{image.name} {image.image_id} {image.generator} {image.version}", asked)

    def _put(self, depth: int, middles: Sequence[int], box: Box) -> int:
        x = MARGIN + depth * (BOX_WIDTH + GAP_X)
        if middles:
            middle = (middles[0] + middles[-1]) // 2
        else:
            middle = self.bottom + BOX_HEIGHT // 2
            self.bottom += BOX_HEIGHT + GAP_Y
        self.boxes.append(Box(x, middle - BOX_HEIGHT // 2, box.image, box.lines, box.title, box.asked))
        self.lines += [Line(x + BOX_WIDTH, middle, x + BOX_WIDTH + GAP_X, below) for below in middles]
        return middle


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
