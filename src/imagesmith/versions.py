"""Versions of packages in the order of the manager that installs them, and questions such as `openssl<3.0.15`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from imagesmith.errors import QuestionRefused
from imagesmith.inventory import Package

# The names of univers' classes: it follows each manager's own rules for epochs, tildes and revisions.
_CLASSES: Mapping[str, str] = {
    "dpkg": "DebianVersion",
    "rpm": "RpmVersion",
    "apk": "AlpineLinuxVersion",
    "pacman": "ArchLinuxVersion",
    "pip": "PypiVersion",
    "npm": "SemverVersion",
    "gem": "RubygemsVersion",
}
_SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}
_QUESTION = re.compile(
    r"(?:(?P<manager>[a-z]+):)?(?P<name>[A-Za-z0-9@][A-Za-z0-9@/._+-]*)\s*(?:(?P<sign><=|>=|<|=|>)\s*(?P<version>[^\s<>=]+))?"
)
LONGEST = 250


@dataclass(frozen=True)
class Question:
    """Which images hold the package, of any version or one that stands in that order to `version`."""

    name: str
    manager: str | None = None
    sign: str = ""
    version: str = ""

    def fits(self, package: Package) -> bool | None:
        """Whether the package's version does; None where its manager's rules cannot compare the two."""
        if not self.sign:
            return True
        own, other = _parsed(package.manager, package.version), _parsed(package.manager, self.version)
        if own is None or other is None:
            return None
        return bool(_SIGNS[self.sign](own, other))

    def __str__(self) -> str:
        manager = f"{self.manager}:" if self.manager else ""
        return f"{manager}{self.name}{self.sign}{self.version}"


def question(word: str) -> Question:
    """The question that somebody typed; raises QuestionRefused."""
    found = _QUESTION.fullmatch(word.strip()) if len(word) <= LONGEST else None
    if found is None:
        raise QuestionRefused(
            f"{word!r:.80} is no question for a package; write NAME, or NAME and <, <=, =, >= or > and a version, "
            "in quotes, e.g. 'openssl<3.0.15'"
        )
    manager = found["manager"]
    if manager is not None and manager not in _CLASSES:
        raise QuestionRefused(f"{word!r:.80}: {manager} is no package manager; use one of {', '.join(_CLASSES)}")
    return Question(found["name"], manager, found["sign"] or "", found["version"] or "")


@cache
def _parsed(manager: str, text: str) -> Any | None:
    from univers import versions  # takes half a second, which a search by name alone need not wait for

    kind = getattr(versions, _CLASSES[manager])
    try:
        return kind(text)
    except (versions.InvalidVersion, ValueError, TypeError):
        return None
