"""Which images hold a package, of which version: the catalog asked, the versions compared as their manager does."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from imagesmith.catalog.lineage import Holding
from imagesmith.catalog.store import Catalog
from imagesmith.errors import QuestionRefused
from imagesmith.versions import Question


@dataclass(frozen=True)
class Fitting:
    """Numbers of the packages that a question means; `uncompared` are versions that no rule can read."""

    numbers: list[int]
    uncompared: list[str]


@dataclass(frozen=True)
class Answer:
    """The images that hold what was asked for; `uncompared` are versions that the manager's rules cannot read."""

    held: list[Holding]
    uncompared: list[str]


def search(catalog: Catalog, question: Question) -> Answer:
    """The answer, newest images first; raises QuestionRefused where no version at all could be compared."""
    found = fitting(catalog, question)
    return Answer(catalog.images_with(found.numbers) if found.numbers else [], found.uncompared)


def fitting(catalog: Catalog, question: Question, *, generators: Collection[str] | None = None) -> Fitting:
    """The packages meant, of those that images of the generators hold (None: of all); raises QuestionRefused."""
    known = catalog.versions_of(question.name, question.manager, generators=generators)
    judged = [(number, package, question.fits(package)) for number, package in known]
    uncompared = sorted({package.version for _, package, fits in judged if fits is None})
    if known and all(fits is None for _, _, fits in judged):
        managers = ", ".join(sorted({package.manager for _, package in known}))
        raise QuestionRefused(
            f"{question}: {question.version} cannot be compared by the rules of {managers}; write a version as the "
            f"manager shows it, e.g. {known[0][1].version}"
        )
    return Fitting([number for number, _, fits in judged if fits], uncompared)
