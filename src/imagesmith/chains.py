"""Chains of generators: which of them start from another's images, read from the files as far as somebody asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from imagesmith.findings import did_you_mean
from imagesmith.names import NAME_SHAPE
from imagesmith.yaml_source import read_document


class Chains:
    """The generators of a folder, and on each cloud the one whose images each starts from.

    Reads a file only when a chain leads to it. What else may be wrong in there is that file's own matter.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Mapping[str, str] | None] = {}

    def problem(self, generator: str, *, cloud: str, parent: str) -> tuple[str, str] | None:
        """What is wrong with `generator` starting from images of `parent` on that cloud, and the cure; or None."""
        clouds = self._clouds(parent)
        if clouds is None:
            names = sorted(path.stem for path in self._folder.glob("*.yaml") if path.stem != generator)
            cure = did_you_mean(parent, names, things="there are") if names else "write that one first"
            return f"there is no generator {parent}", cure
        if circle := self._way(parent, generator, seen=()):
            links = " from ".join((generator, *circle))
            return f"goes in a circle: {links}", "let one of them start from an image of the cloud's own"
        if clouds and cloud not in clouds:
            return f"{parent} builds no image on {cloud}", f"add {cloud} to {self._folder.name}/{parent}.yaml"
        return None

    def files(self, generators: Iterable[str]) -> list[Path]:
        """The files of these generators and of all that they start from, those that are not there too."""
        found: set[str] = set()
        asked = set(generators)
        while asked:
            found |= asked
            above = {parent for name in asked for parent in (self._clouds(name) or {}).values()}
            asked = {parent for parent in above - found if NAME_SHAPE.fullmatch(parent)}
        return [self._folder / f"{name}.yaml" for name in sorted(found)]

    def _way(self, start: str, goal: str, *, seen: tuple[str, ...]) -> tuple[str, ...]:
        """The generators from `start` up to `goal`, each made from the next; empty where none leads there."""
        if start == goal:
            return (*seen, start)
        if start in seen:
            return ()
        above = sorted({parent for parent in (self._clouds(start) or {}).values() if parent})
        return next((way for parent in above if (way := self._way(parent, goal, seen=(*seen, start)))), ())

    def _clouds(self, name: str) -> Mapping[str, str] | None:
        """The generator each cloud's image starts from, "" for images of the cloud's own; None without such a file."""
        if name not in self._known:
            path = self._folder / f"{name}.yaml"
            exists = bool(NAME_SHAPE.fullmatch(name)) and path.is_file()
            self._known[name] = _parents(read_document(path, shown_as=path.name).value) if exists else None
        return self._known[name]


def _parents(document: Any) -> dict[str, str]:
    entries = _mapping(_mapping(document).get("clouds"))
    return {str(cloud): parent_in(entry) for cloud, entry in entries.items()}


def parent_in(entry: Any) -> str:
    """The generator that an entry as it is written starts from; "" where it starts from an image of the cloud's own."""
    parent = _mapping(_mapping(entry).get("source_image")).get("generator")
    return parent if isinstance(parent, str) else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
