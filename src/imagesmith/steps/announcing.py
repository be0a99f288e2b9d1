"""What others are told of a build's new images, for whoever starts from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imagesmith.catalog.records import BuildRecord, ImageRecord
from imagesmith.catalog.store import Catalog


@dataclass(frozen=True)
class News:
    """One new image: of which generator on which cloud, and all that is told of it, as plain values."""

    generator: str
    cloud: str
    about: dict[str, Any]


def news_of(build: BuildRecord, images: Sequence[ImageRecord], catalog: Catalog) -> list[News]:
    """News of the build's images; those that were told of when the build ended before are none."""
    told = build.announced_at
    new = [image for image in images if told is None or image.available_at is None or image.available_at > told]
    return [News(image.generator, image.cloud, _about(image, catalog)) for image in new]


def _about(image: ImageRecord, catalog: Catalog) -> dict[str, Any]:
    parent = catalog.image(image.cloud, image.source_image_id)
    return {
        "cloud": image.cloud,
        "image_id": image.image_id,
        "image_name": image.name,
        "inventory_digest": image.inventory_digest,
        "generator": image.generator,
        "version": image.version,
        "build_id": image.build_id,
        "source_image_id": image.source_image_id,
        "parent": None if parent is None else _parent(parent),
    }


def _parent(image: ImageRecord) -> dict[str, str]:
    """What is told of an image of ours that another was made from."""
    return {
        "generator": image.generator,
        "version": image.version,
        "build_id": image.build_id,
        "image_name": image.name,
        "inventory_digest": image.inventory_digest,
    }
