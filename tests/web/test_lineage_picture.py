"""Where a lineage's images stand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import combinations

from imagesmith.catalog.records import ImageRecord
from imagesmith.core import ImageState
from imagesmith.lineage import Lineage
from imagesmith.web.lineage_picture import BOX_HEIGHT, BOX_WIDTH, Box, Picture, picture_of

NOON = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


def lineage(parents: Mapping[str, str], asked: str, cloud: str = "ec2") -> Lineage:
    images = [
        ImageRecord(
            **{"build_id": f"build-{image_id}", "cloud": cloud, "image_id": image_id, "name": f"name {image_id}"},
            **{"generator": "tools", "version": "v", "source_image_id": parent, "public": False},
            **{"state": ImageState.AVAILABLE, "available_at": NOON, "deleted_at": None, "inventory_digest": ""},
            created_at=NOON + timedelta(minutes=number),
            verified_at=None,
        )
        for number, (image_id, parent) in enumerate(parents.items())
    ]
    return Lineage(next(each for each in images if each.image_id == asked), {cloud: images}, {})


def by_id(picture: Picture) -> dict[str, Box]:
    return {box.image.image_id if box.image else "source": box for box in picture.boxes}


def test_generations_stand_beside_each_other_and_parents_in_the_middle() -> None:
    picture = picture_of(lineage({"a": "vendor", "b": "a", "c": "a", "d": "c"}, "a"))
    boxes = by_id(picture)
    assert boxes["source"].x < boxes["a"].x < boxes["b"].x == boxes["c"].x < boxes["d"].x
    assert boxes["a"].y == (boxes["b"].y + boxes["c"].y) // 2
    assert [each.title for each in picture.boxes if each.asked] == ["name a a tools v"]
    assert len(picture.lines) == 4
    ends = {(line.x2, line.y2) for line in picture.lines}
    assert ends == {(box.x, box.y + BOX_HEIGHT // 2) for key, box in boxes.items() if key != "source"}


def test_no_two_boxes_touch_and_all_are_on_the_picture() -> None:
    parents = {f"{number}": "vendor" if number % 7 == 0 else f"{number // 3}" for number in range(60)}
    picture = picture_of(lineage(parents, "0"))
    assert len(picture.boxes) == 61
    for one, other in combinations(picture.boxes, 2):
        assert abs(one.x - other.x) >= BOX_WIDTH or abs(one.y - other.y) >= BOX_HEIGHT
    assert all(box.x + BOX_WIDTH <= picture.width and box.y + BOX_HEIGHT <= picture.height for box in picture.boxes)


def test_a_long_chain_and_a_circle_have_an_end() -> None:
    chain = {str(number): str(number - 1) for number in range(1, 5_000)}
    assert len(picture_of(lineage(chain, "2500"), most=6_000).boxes) == 5_000
    assert len(picture_of(lineage({"a": "b", "b": "a"}, "a")).boxes) == 2
    assert len(picture_of(lineage({"a": "a"}, "a")).boxes) == 1


def test_of_too_many_the_nearest_have_a_place() -> None:
    parents = {"root": "vendor", "asked": "root", "child": "asked"} | {f"cousin-{n}": "root" for n in range(500)}
    picture = picture_of(lineage(parents, "asked"), most=10)
    boxes = by_id(picture)
    assert {"root", "asked", "child"} <= set(boxes)
    assert (len([box for box in picture.boxes if box.image]), picture.left_out) == (10, 493)
