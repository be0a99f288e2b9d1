"""The validator's messages, each beside the field it is about."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# Keys of the file whose field in the form has another name.
_ELSEWHERE = {"scripts": "script"}


@dataclass(frozen=True)
class Mistakes:
    """Messages by the key of the field, and those that no field is for."""

    beside: Mapping[str, list[str]]
    rest: list[str]

    def of(self, key: str) -> list[str]:
        """What is wrong with the field."""
        return self.beside.get(key, [])

    @property
    def count(self) -> int:
        """How many in all."""
        return len(self.rest) + sum(map(len, self.beside.values()))


def sorted_by_field(errors: Iterable[Mapping[str, Any]], keys: Collection[str]) -> Mistakes:
    """The messages by field; `keys` are those that the form has a place for."""
    beside: dict[str, list[str]] = {}
    rest = []
    for error in errors:
        said = f"{error['message']}" + (f" → {error['cure']}" if error["cure"] else "")
        key = _place(str(error["field"]), keys)
        if key is None:
            where = f"line {error['line']}: " if error.get("line") else ""
            rest.append(f"{where}{error['field']}: {said}" if error["field"] else f"{where}{said}")
        else:
            beside.setdefault(key, []).append(said)
    return Mistakes(beside, rest)


def _place(field: str, keys: Collection[str]) -> str | None:
    """The narrowest field that the key lies in."""
    parts = field.split(".")
    parts[0] = _ELSEWHERE.get(parts[0], parts[0])
    for length in range(len(parts), 0, -1):
        key = ".".join(parts[:length])
        if key in keys:
            return key
    return None
