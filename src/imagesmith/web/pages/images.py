"""Images as people see them: the table, one image with all that is known of it, two images side by side."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from imagesmith import image_diff
from imagesmith import story as stories
from imagesmith.inventory import Inventory
from imagesmith.things import Kind
from imagesmith.web import history, runs
from imagesmith.web.api.images import CloudName, ImageId, ImagesWanted, images_listed
from imagesmith.web.lineage_picture import BOX_HEIGHT, BOX_WIDTH, picture_of
from imagesmith.web.pages.frame import at, page
from imagesmith.web.paging import PagingDep
from imagesmith.web.parts import CallerDep, PartsDep
from imagesmith.web.problems import Problem, mistake

router = APIRouter()
Word = Annotated[str, Query(max_length=250)]
# Of what an image holds, or of what differs, so much stands on a page; all of it is in the downloads.
MOST_THINGS = 300
AT = "/images/{cloud}/{image_id:path}"


@router.get("/images")
def list_images(
    parts: PartsDep,
    caller: CallerDep,
    request: Request,
    paging: PagingDep,
    generator: Word = "",
    cloud: Word = "",
    package: Word = "",
    newer: Word = "",
    older: Word = "",
    deleted: bool = False,
) -> Response:
    """Saved images, newest first."""
    filters = {"generator": generator, "cloud": cloud, "package": package, "newer": newer, "older": older}
    filters = {name: text.strip() for name, text in filters.items()}
    problem, found = None, None
    try:
        wanted = ImagesWanted(
            generator=filters["generator"] or None,
            cloud=filters["cloud"] or None,
            package=filters["package"] or None,
            older_than_days=_days("older", filters["older"]),
            newer_than_days=_days("newer", filters["newer"]),
            deleted=deleted,
        )
        found = images_listed(parts, caller, paging, wanted)
    except Problem as refusal:
        problem = refusal
    kept = {**filters, "deleted": "true" if deleted else ""}
    return page(
        request,
        "images.html",
        status=problem.status if problem else 200,
        found=found,
        problem=problem,
        paging=paging,
        filters=kept,
        clouds=sorted(parts.shelf.clouds().clouds),
        to=lambda offset: at(request, "images", **kept, limit=paging.limit, offset=offset),
    )


@router.get("/compare")
def compare_images(
    parts: PartsDep, caller: CallerDep, request: Request, before: Annotated[str, Query(max_length=600)], after: str
) -> Response:
    """In what two images differ."""
    one = history.named_image(parts, caller, "before", before.strip())
    other = history.named_image(parts, caller, "after", after.strip()[:600])
    found = history.compared(parts, caller, one, other)
    inside = found.inside or []
    by_digest = image_diff.by_digest(found.before.image, found.after.image) if found.inside is None else ""
    making_unknown = image_diff.making_unknown(found)
    return page(
        request,
        "compare.html",
        by_digest=by_digest[:1].upper() + by_digest[1:],
        making_unknown=making_unknown[:1].upper() + making_unknown[1:],
        found=found,
        inside=inside[:MOST_THINGS],
        left_out=max(0, len(inside) - MOST_THINGS),
        signs=image_diff.SIGNS,
    )


@router.get(AT + "/inside")
def show_inside(
    parts: PartsDep,
    caller: CallerDep,
    request: Request,
    cloud: CloudName,
    image_id: ImageId,
    search: Word = "",
    kind: Word = "",
) -> Response:
    """What is inside, by kind and name."""
    image = history.the_image(parts, caller, cloud, image_id)
    inventory = parts.catalog.inventory(image.inventory_digest) if image.inventory_digest else None
    things = _things(inventory, search.strip().lower(), kind) if inventory else []
    return page(
        request,
        "inside.html",
        image=image,
        known=inventory is not None,
        things=things[:MOST_THINGS],
        total=len(things),
        search=search.strip(),
        kind=kind,
        kinds=list(Kind),
    )


@router.get(AT)
def show_image(parts: PartsDep, caller: CallerDep, request: Request, cloud: CloudName, image_id: ImageId) -> Response:
    """One image: what is in it, from what, by whom, what became of it."""
    image = history.the_image(parts, caller, cloud, image_id)
    story = history.story(parts, caller, image)
    url = runs.page_of(parts.host, story.build.dag_id, story.build.run_id)
    family = history.family(parts, caller, image)
    return page(
        request,
        "image.html",
        image=image,
        story=story,
        contents=stories.contents(story.inventory) if story.inventory else None,
        url=url,
        log_url=stories.log_address(url, image.cloud),
        picture=picture_of(family),
        box=(BOX_WIDTH, BOX_HEIGHT),
        siblings=[each for each in family.images.get(cloud, ()) if each.image_id != image_id][:20],
    )


def _things(inventory: Inventory, search: str, kind: str) -> list[tuple[str, str, str]]:
    return [
        (str(thing.kind), thing.name, value)
        for thing, value in stories.inside(inventory)
        if search in thing.name.lower() and kind in ("", str(thing.kind))
    ]


def _days(field: str, text: str) -> float | None:
    if not text:
        return None
    try:
        days = float(text)
    except ValueError:
        days = -1
    if not 0 <= days <= 36_500:
        said = f"{field}: {text[:80]!r} is no number of days; write e.g. 7"
        raise Problem(422, said, errors=[mistake(field, said)])
    return days
