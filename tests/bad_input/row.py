"""One bad input and what must be said of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class Row:
    """`where` is the file's line and key, the parameter, connection, option, variable or field the input goes into.

    The message names it; `says` are further words it holds: what is wrong, and, last, the cure.
    """

    id: str
    where: str
    given: Any
    says: tuple[str, ...]


def table(rows: list[Row]) -> list[Any]:
    """The rows for `parametrize`."""
    return [pytest.param(row, id=row.id) for row in rows]


def check(row: Row, message: str) -> None:
    """The message names the thing and the cure."""
    for words in (row.where, *row.says):
        assert words in message, f"{words!r} is not in:\n{message}"
