"""Images: list and read, by cloud, generator, age and what is inside."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from imagesmith.core import ImageState
from imagesmith.web.api.answers import refusals
from imagesmith.web.history import asked_packages, the_image
from imagesmith.web.host import Caller
from imagesmith.web.paging import Listed, Paging, PagingDep, link_pages
from imagesmith.web.parts import CallerDep, Parts, PartsDep, visible_generators

router = APIRouter(prefix="/images", tags=["images"])
CloudName = Annotated[str, Path(max_length=100, examples=["ec2"])]
ImageId = Annotated[str, Path(max_length=500, examples=["ami-0123456789abcdef0"])]
Package = Annotated[
    str,
    Query(
        max_length=250,
        description="a name, or one with <, <=, =, >= or > and a version; `pip:NAME` asks one manager",
        examples=["openssl<3.0.15"],
    ),
]
Days = Annotated[float | None, Query(ge=0, le=36_500, allow_inf_nan=False)]


class ImageShown(BaseModel):
    """An image that a build saved."""

    model_config = ConfigDict(from_attributes=True)

    cloud: str = Field(examples=["ec2"])
    image_id: str = Field(examples=["ami-0123456789abcdef0"])
    name: str = Field(examples=["dstat-20261127-000303-1a2b3c"])
    generator: str = Field(examples=["dstat"])
    version: str = Field(examples=["0123456789ab"])
    build_id: str = Field(examples=["20261127-000303-1a2b3c"])
    source_image_id: str = Field(examples=["ami-0fedcba9876543210"])
    public: bool
    state: ImageState
    created_at: datetime
    available_at: datetime | None
    deleted_at: datetime | None
    verified_at: datetime | None
    inventory_digest: str = Field(description='names what is inside; "" where none was taken', examples=[""])


@dataclass(frozen=True)
class ImagesWanted:
    """Which images a list has; None of one means whichever."""

    generator: str | None = None
    cloud: str | None = None
    package: str | None = None
    older_than_days: float | None = None
    newer_than_days: float | None = None
    deleted: bool = False


@router.get("", responses=refusals(422))
def list_images(
    parts: PartsDep,
    caller: CallerDep,
    request: Request,
    response: Response,
    paging: PagingDep,
    generator: Annotated[str | None, Query(max_length=100, examples=["dstat"])] = None,
    cloud: Annotated[str | None, Query(max_length=100, examples=["ec2"])] = None,
    package: Package | None = None,
    older_than_days: Days = None,
    newer_than_days: Days = None,
    deleted: Annotated[bool, Query(description="with those that are no more")] = False,
) -> Listed[ImageShown]:
    """Saved images, newest first."""
    wanted = ImagesWanted(generator, cloud, package, older_than_days, newer_than_days, deleted)
    found = images_listed(parts, caller, paging, wanted)
    link_pages(request, response, paging, total=found.total)
    return found


@router.get("/{cloud}/{image_id:path}", responses=refusals(404, 422))
def read_image(
    parts: PartsDep,
    caller: CallerDep,
    cloud: CloudName,
    image_id: ImageId,
) -> ImageShown:
    """One image, by its cloud and its id there."""
    return ImageShown.model_validate(the_image(parts, caller, cloud, image_id))


def images_listed(parts: Parts, caller: Caller, paging: Paging, wanted: ImagesWanted) -> Listed[ImageShown]:
    """A part of those images that the caller may see."""
    seen = visible_generators(parts, caller, wanted.generator)
    images, total = parts.catalog.images_page(
        generators=seen,
        cloud=wanted.cloud,
        package_ids=None if wanted.package is None else asked_packages(parts, seen, wanted.package).numbers,
        saved_before=_ago(wanted.older_than_days),
        saved_after=_ago(wanted.newer_than_days),
        include_deleted=wanted.deleted,
        limit=paging.limit,
        offset=paging.offset,
    )
    return Listed(items=[ImageShown.model_validate(image) for image in images], total=total)


def _ago(days: float | None) -> datetime | None:
    return None if days is None else datetime.now(UTC) - timedelta(days=days)
