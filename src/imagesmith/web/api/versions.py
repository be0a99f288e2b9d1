"""Versions of a generator that were built, and the difference between any two."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from imagesmith.web import versions
from imagesmith.web.api.answers import refusals
from imagesmith.web.host import Caller, Right
from imagesmith.web.paging import Listed, Paging, PagingDep, link_pages
from imagesmith.web.parts import CallerDep, Parts, PartsDep, require
from imagesmith.web.problems import Problem

router = APIRouter(prefix="/generators/{name}", tags=["versions"])
GeneratorName = Annotated[str, Path(max_length=100, examples=["dstat"])]
_LOST = "null where no more than its images' tags is left of the version"
Version = Annotated[str, Query(max_length=100, description="a version, or `current`: the file as it is now")]


class VersionListed(BaseModel):
    """One version of a generator that was built."""

    model_config = ConfigDict(from_attributes=True)

    version: str = Field(examples=["0123456789ab"])
    created_at: datetime = Field(description="when it was first built")
    builds: int


class VersionShown(BaseModel):
    """What a generator consisted of."""

    model_config = ConfigDict(from_attributes=True)

    version: str = Field(examples=["0123456789ab"])
    settings: dict[str, Any] | None = Field(description=_LOST)
    texts: dict[str, str] | None = Field(
        description=f"scripts and files; {_LOST}", examples=[{"script dstat.sh": "#!/bin/sh\n"}]
    )


class Difference(BaseModel):
    """What differs in the settings, in one script or in one file: the lines of a unified diff."""

    what: str = Field(examples=["script dstat.sh"])
    lines: list[str] = Field(examples=[["--- old", "+++ new", "@@ -1 +1 @@", "-apt-get update", "+apt-get -q update"]])


class Differences(BaseModel):
    """Empty for two versions that are the same, null where one of them is not known."""

    old: str
    new: str
    differences: list[Difference] | None


@router.get("/versions", responses=refusals(404, 422))
def list_versions(
    parts: PartsDep, caller: CallerDep, request: Request, response: Response, paging: PagingDep, name: GeneratorName
) -> Listed[VersionListed]:
    """Versions of the generator that were built, newest first."""
    found = versions_page(parts, caller, name, paging)
    link_pages(request, response, paging, total=found.total)
    return found


@router.get("/versions/{version}", responses=refusals(404, 409, 422))
def read_version(
    parts: PartsDep,
    caller: CallerDep,
    name: GeneratorName,
    version: Annotated[str, Path(max_length=100, description="a version, or `current`", examples=["current"])],
) -> VersionShown:
    """All that a version of the generator consisted of."""
    require(parts, caller, Right.SEE, name)
    found = versions.content_of(parts.catalog, name, version, current=_current(parts, name))
    return VersionShown.model_validate(found)


@router.get("/diff", responses=refusals(404, 409, 422))
def compare_versions(
    parts: PartsDep, caller: CallerDep, name: GeneratorName, old: Version, new: Version = versions.CURRENT
) -> Differences:
    """What differs between two versions."""
    require(parts, caller, Right.SEE, name)
    current = _current(parts, name)
    one, other = (versions.content_of(parts.catalog, name, version, current=current) for version in (old, new))
    found = versions.differences(one, other)
    shown = None if found is None else [Difference(what=what, lines=lines) for what, lines in found]
    return Differences(old=one.version, new=other.version, differences=shown)


def versions_page(parts: Parts, caller: Caller, name: str, paging: Paging) -> Listed[VersionListed]:
    """A part of the generator's versions; a Problem for a generator that neither is nor was."""
    require(parts, caller, Right.SEE, name)
    found, total = parts.catalog.versions_page(name, limit=paging.limit, offset=paging.offset)
    if not total:
        parts.shelf.entry(name)
    return Listed(items=[VersionListed.model_validate(each) for each in found], total=total)


def _current(parts: Parts, name: str) -> versions.Content | None:
    try:
        generator = parts.shelf.entry(name).generator
    except Problem:
        return None  # its file is gone; what was built of it is still known
    return versions.current_content(generator, parts.shelf.clouds().clouds) if generator else None
