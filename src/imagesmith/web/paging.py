"""Lists in pages: `limit` and `offset`, how many there are, and where the other pages are (RFC 8288)."""

from typing import Annotated, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel, Field

MOST, USUAL = 200, 50
FARTHEST = 1_000_000

T = TypeVar("T")


class Paging(BaseModel):
    """Which part of a list is asked for."""

    limit: int
    offset: int


class Listed(BaseModel, Generic[T]):
    """A part of a list, and how long the whole is."""

    items: list[T]
    total: int = Field(description="how many there are in all that you may see", examples=[1])


def paging(
    limit: Annotated[int, Query(ge=1, le=MOST, description="so many at most")] = USUAL,
    offset: Annotated[int, Query(ge=0, le=FARTHEST, description="leave out so many at first")] = 0,
) -> Paging:
    """The page that the request wants."""
    return Paging(limit=limit, offset=offset)


PagingDep = Annotated[Paging, Depends(paging)]


def link_pages(request: Request, response: Response, paging: Paging, *, total: int) -> None:
    """Sets `Link` to the first, previous, next and last page, with the request's own filters."""
    last = max(0, (total - 1) // paging.limit * paging.limit)
    places = {"first": 0, "last": min(last, FARTHEST)}
    if paging.offset > 0:
        places["prev"] = max(0, paging.offset - paging.limit)
    if paging.offset + paging.limit < total:
        places["next"] = paging.offset + paging.limit
    response.headers["Link"] = ", ".join(
        f'<{_address(request, paging, at)}>; rel="{rel}"' for rel, at in places.items()
    )


def _address(request: Request, paging: Paging, offset: int) -> str:
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in ("limit", "offset")]
    # Of the path only what is plain ASCII: the whole goes into a header.
    return f"{request.url.path}?{urlencode([*kept, ('limit', paging.limit), ('offset', offset)])}"
