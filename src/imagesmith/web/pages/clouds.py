"""Clouds as people see them: what they are, and whether they let us in."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from imagesmith.provider import get_provider_info
from imagesmith.web.api.clouds import (
    CloudName,
    clouds_page,
    listing_so_far,
    start_listing,
    start_test,
    test_so_far,
)
from imagesmith.web.host import Right
from imagesmith.web.pages.frame import at, page
from imagesmith.web.pages.posted import PostedDep
from imagesmith.web.paging import PagingDep
from imagesmith.web.parts import CallerDep, PartsDep

router = APIRouter(prefix="/clouds")
MOST_SEARCHED = 100
# What Airflow's form calls the connections of a cloud type.
CONNECTION_TYPES = {
    about["connection-type"].removeprefix("imagesmith_"): about["hook-name"]
    for about in get_provider_info()["connection-types"]
}


@router.get("")
def list_clouds(parts: PartsDep, caller: CallerDep, request: Request, paging: PagingDep) -> Response:
    """All clouds of include/clouds.yaml, and what is wrong with those that can't be used."""
    return page(
        request,
        "clouds.html",
        found=clouds_page(parts, caller, paging),
        findings=parts.shelf.clouds().findings,
        paging=paging,
        types=CONNECTION_TYPES,
        may_test=parts.host.may(caller, Right.START, None),
        to=lambda offset: at(request, "clouds", limit=paging.limit, offset=offset),
    )


@router.post("/{cloud}/tests")
def test_cloud(parts: PartsDep, caller: CallerDep, request: Request, cloud: CloudName) -> Response:
    """The test, which asks for its own end."""
    return page(request, "cloud-test.html", cloud=cloud, test=start_test(parts, caller, cloud))


@router.get("/{cloud}/tests/{run_id:path}")
def read_test(
    parts: PartsDep, caller: CallerDep, request: Request, cloud: CloudName, run_id: Annotated[str, Path(max_length=250)]
) -> Response:
    """The test as it is now."""
    return page(request, "cloud-test.html", cloud=cloud, test=test_so_far(parts, caller, cloud, run_id))


@router.post("/{cloud}/listings")
def list_cloud(parts: PartsDep, caller: CallerDep, request: Request, cloud: CloudName, fields: PostedDep) -> Response:
    """The cloud's images and instance types to choose from, which asks for its own end."""
    search = fields.get("search", "").strip()[:MOST_SEARCHED]
    return page(request, "cloud-listing.html", cloud=cloud, listing=start_listing(parts, caller, cloud, search))


@router.get("/{cloud}/listings/{run_id:path}")
def read_listing(
    parts: PartsDep, caller: CallerDep, request: Request, cloud: CloudName, run_id: Annotated[str, Path(max_length=250)]
) -> Response:
    """The same as it is now."""
    return page(request, "cloud-listing.html", cloud=cloud, listing=listing_so_far(parts, caller, cloud, run_id))
