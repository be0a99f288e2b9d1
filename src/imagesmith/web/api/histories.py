"""One image's history: what is in it, its story, its lineage, its bill of materials; two images compared."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from imagesmith import image_diff
from imagesmith import lineage as lineages
from imagesmith import story as stories
from imagesmith.inventory import Inventory
from imagesmith.sbom.bills import inventory_of
from imagesmith.web import downloads, history, runs
from imagesmith.web.api.answers import refusals
from imagesmith.web.api.images import CloudName, ImageId, ImageShown
from imagesmith.web.parts import CallerDep, PartsDep

router = APIRouter(tags=["history of images"])
AT = "/images/{cloud}/{image_id:path}"
DOT = "text/vnd.graphviz"
_LOST = "null where one of the images was read back from its cloud's tags, which do not tell"
ImageWord = Annotated[
    str, Query(max_length=600, description="CLOUD/ID, an id, or a name where it is unique", examples=["ec2/ami-01234"])
]


class BuildTold(BaseModel):
    """The build that an image is of."""

    build_id: str = Field(examples=["20261127-000303-1a2b3c"])
    state: str
    requested_by: str
    requested_how: str
    created_at: datetime
    verdict: str = Field(description='whether its images are the same; "" where there is one alone')
    rebuild_of: str
    inputs_sha256: str = Field(description="equal for a build and its rebuild")
    url: str = Field(description="the run in Airflow")
    log: str = Field(description="the scripts' log in Airflow")


class ScriptTold(BaseModel):
    """A script as it ran."""

    name: str
    text: str
    sha256: str


class FileTold(BaseModel):
    """A file that was placed on the instance."""

    path: str
    sha256: str


class StoryShown(BaseModel):
    """What an image was made from, by which script, in which build, by whom."""

    image: ImageShown
    source_image_name: str
    parent: ImageShown | None = Field(description="the source image, if it is one of ours that you may see")
    build: BuildTold
    scripts: list[ScriptTold]
    files: list[FileTold]
    parameters: dict[str, Any]


class SourceShown(BaseModel):
    """A source image that is none of ours, or none that you may see."""

    cloud: str
    image_id: str
    name: str


class LineageShown(BaseModel):
    """All that the images of one build were made from and all that was made from them, by cloud, oldest first."""

    asked: dict[str, str] = Field(examples=[{"cloud": "ec2", "image_id": "ami-0123456789abcdef0"}])
    clouds: dict[str, list[ImageShown]]
    source_images: list[SourceShown]


class SideShown(BaseModel):
    """One of two images that are compared."""

    cloud: str
    image_id: str
    name: str
    generator: str
    version: str
    build_id: str
    source_image_id: str
    inventory_digest: str


class ChangeShown(BaseModel):
    """A thing inside that is not the same."""

    kind: str = Field(examples=["package"])
    name: str = Field(examples=["openssl"])
    how: str = Field(examples=["changed"])
    before: str = Field(examples=["3.0.14-1"])
    after: str = Field(examples=["3.0.15-1"])


class ImageDiffShown(BaseModel):
    """In what two images differ: inside, and in what made them."""

    before: SideShown
    after: SideShown
    inside: list[ChangeShown] | None = Field(
        description="null where it is not known of one of them; the digests still tell whether it is the same"
    )
    scripts: dict[str, str] | None = Field(description=f"unified diffs by name; {_LOST}")
    files: dict[str, list[str | None]] | None = Field(description=f"SHA-256 before and after, by path; {_LOST}")
    parameters: dict[str, list[Any]] | None = Field(description=f"values before and after, by name; {_LOST}")


@router.get(AT + "/inventory", responses=refusals(404, 409, 422))
def read_inventory(parts: PartsDep, caller: CallerDep, cloud: CloudName, image_id: ImageId) -> Inventory:
    """What is inside the image."""
    return inventory_of(parts.catalog, history.the_image(parts, caller, cloud, image_id))


@router.get(AT + "/story", responses=refusals(404, 422))
def read_story(parts: PartsDep, caller: CallerDep, cloud: CloudName, image_id: ImageId) -> StoryShown:
    """From what the image was made, by which scripts, in which build, by whom and when."""
    found = history.story(parts, caller, history.the_image(parts, caller, cloud, image_id))
    url = runs.page_of(parts.host, found.build.dag_id, found.build.run_id)
    return StoryShown.model_validate(stories.as_json(found, url=url))


@router.get(
    AT + "/sbom",
    response_class=Response,
    responses={
        200: {
            "description": "the bill, as a file",
            "content": {
                media_type: {"schema": {"type": "object"}}
                for media_type in dict.fromkeys(downloads.SBOM_TYPES.values())
            },
        },
        **refusals(404, 409, 422),
    },
)
def read_sbom(
    parts: PartsDep,
    caller: CallerDep,
    cloud: CloudName,
    image_id: ImageId,
    form: Annotated[Literal["spdx", "cyclonedx", "inventory"], Query(alias="format")] = "spdx",
) -> Response:
    """The image's bill of materials: SPDX 2.3, CycloneDX 1.6, or the canonical inventory that statements are of."""
    image = history.the_image(parts, caller, cloud, image_id)
    return downloads.sbom(parts.catalog, image, form).response()


@router.get(
    AT + "/lineage",
    response_model=LineageShown,
    responses={
        200: {"content": {DOT: {"schema": {"type": "string"}, "example": "digraph lineage {\n}"}}},
        **refusals(404, 422),
    },
)
def read_lineage(
    parts: PartsDep,
    caller: CallerDep,
    cloud: CloudName,
    image_id: ImageId,
    form: Annotated[Literal["json", "dot"], Query(alias="format", description="`dot` is for Graphviz")] = "json",
) -> Any:
    """What the image was made from and what was made from it, and the same of its build's images on other clouds."""
    found = history.family(parts, caller, history.the_image(parts, caller, cloud, image_id))
    if form == "dot":
        return Response(lineages.as_dot(found) + "\n", media_type=DOT)
    return LineageShown.model_validate(lineages.as_json(found))


@router.get("/diff", responses=refusals(404, 422))
def compare_images(
    parts: PartsDep, caller: CallerDep, request: Request, before: ImageWord, after: ImageWord
) -> ImageDiffShown:
    """In what two images differ, of whatever clouds, builds and generators."""
    one, other = (
        history.named_image(parts, caller, field, word) for field, word in (("before", before), ("after", after))
    )
    return ImageDiffShown.model_validate(image_diff.as_json(history.compared(parts, caller, one, other)))
