"""Generators as people see them: the list."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from imagesmith.web.api.generators import generators_page
from imagesmith.web.host import Right
from imagesmith.web.pages.frame import at, page
from imagesmith.web.paging import PagingDep
from imagesmith.web.parts import CallerDep, PartsDep

router = APIRouter(prefix="/generators")


@router.get("")
def list_generators(
    parts: PartsDep,
    caller: CallerDep,
    request: Request,
    paging: PagingDep,
    search: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """All generators that one may see, each with its last build."""
    found = generators_page(parts, caller, search, paging)
    return page(
        request,
        "generators.html",
        found=found,
        paging=paging,
        search=search,
        may_add=parts.host.may(caller, Right.CREATE, None),
        to=lambda offset: at(request, "generators", search=search, limit=paging.limit, offset=offset),
    )
