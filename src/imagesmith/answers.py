"""Answers of clouds as plain JSON, and questions as text: how they lie on the catalog's board."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from imagesmith.core import Image, ImageQuery, ImageState, Instance, InstanceState, Resource, ResourceKind, SourceImage

T = TypeVar("T")


@dataclass(frozen=True)
class Form(Generic[T]):
    """How answers of one kind become JSON and are read again."""

    write: Callable[[T], Any]
    read: Callable[[Any], T]


def text_of(question: ImageQuery | Resource) -> str:
    """A question as text, the same for the same question."""
    return json.dumps(asdict(question), sort_keys=True)


def query_of(text: str) -> ImageQuery:
    """The query behind such a text."""
    return ImageQuery(**json.loads(text))


def resource_of(text: str) -> Resource:
    """The thing behind such a text."""
    return _read_resource(json.loads(text))


def _read_resource(document: Mapping[str, Any]) -> Resource:
    return Resource(**{**document, "kind": ResourceKind(document["kind"])})


def _read_instance(document: Mapping[str, Any]) -> Instance:
    return Instance(**{**document, "state": InstanceState(document["state"])})


def _read_image(document: Mapping[str, Any]) -> Image:
    state, snapshots = ImageState(document["state"]), tuple(document["snapshot_ids"])
    return Image(**{**document, "state": state, "snapshot_ids": snapshots})


INSTANCE = Form[Instance](asdict, _read_instance)
IMAGE = Form[Image](asdict, _read_image)
SOURCE = Form[SourceImage](asdict, lambda document: SourceImage(**document))
MAYBE_RESOURCE = Form[Resource | None](
    lambda thing: None if thing is None else asdict(thing),
    lambda document: None if document is None else _read_resource(document),
)
RESOURCES = Form[list[Resource]](
    lambda things: [asdict(thing) for thing in things], lambda documents: [_read_resource(each) for each in documents]
)
FLAG = Form[bool](bool, bool)
