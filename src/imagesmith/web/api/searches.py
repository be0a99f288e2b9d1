"""Search: which images hold a package."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from imagesmith.inventory import Package
from imagesmith.things import package_name
from imagesmith.web import history
from imagesmith.web.api import images
from imagesmith.web.api.answers import refusals
from imagesmith.web.paging import Listed, PagingDep, link_pages
from imagesmith.web.parts import CallerDep, PartsDep

router = APIRouter(prefix="/search", tags=["search"])


class HoldingShown(images.ImageShown):
    """An image, and the package that it holds."""

    package: Package
    package_name: str = Field(examples=["openssl"])


class Found(Listed[HoldingShown]):
    """A part of the images, and versions that could not be compared with the one asked for."""

    uncompared: list[str]


@router.get("", responses=refusals(422))
def search_packages(
    parts: PartsDep,
    caller: CallerDep,
    request: Request,
    response: Response,
    paging: PagingDep,
    package: images.Package,
    deleted: Annotated[bool, Query(description="with images that are no more")] = False,
) -> Found:
    """Images that hold a package, of any version or of those in that order to one, newest first."""
    held, total, uncompared = history.holdings(
        parts, caller, package, include_deleted=deleted, limit=paging.limit, offset=paging.offset
    )
    link_pages(request, response, paging, total=total)
    items = [
        HoldingShown(
            **images.ImageShown.model_validate(each.image).model_dump(),
            package=each.package,
            package_name=package_name(each.package),
        )
        for each in held
    ]
    return Found(items=items, total=total, uncompared=uncompared)
