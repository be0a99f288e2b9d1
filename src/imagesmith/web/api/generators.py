"""Generators: list, create, read, replace, delete; and the file itself, as text."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Path, Query, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field, model_validator

from imagesmith.names import NAME_SHAPE
from imagesmith.web import saving
from imagesmith.web.api.answers import Mistake, refusals
from imagesmith.web.api.builds import BuildListed, build_listed
from imagesmith.web.host import Caller, Right
from imagesmith.web.paging import Listed, Paging, PagingDep, link_pages
from imagesmith.web.parts import CallerDep, Parts, PartsDep, address, require
from imagesmith.web.problems import Problem, not_found, of_finding, refused_field
from imagesmith.web.shelf import Entry
from imagesmith.yaml_source import MAX_BYTES

router = APIRouter(prefix="/generators", tags=["generators"])
YAML = "application/yaml"
DOCUMENT: dict[str, Any] = {
    "description": "Debian with dstat",
    "script": "dstat.sh",
    "clouds": {"ec2": {"source_image": "ami-0fedcba9876543210", "ssh_username": "admin", "instance_type": "t3.small"}},
}
GeneratorName = Annotated[str, Path(max_length=100, examples=["dstat"])]
IfMatch = Annotated[str | None, Header(description="the ETag the generator was read with", max_length=1_000)]


class GeneratorSaved(BaseModel):
    """What a generator shall be: `document`, or the whole text of its file as `yaml`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"document": DOCUMENT}]})

    document: dict[str, Any] | None = Field(
        None, description="keys and values of the file; comments and order of the file stay"
    )
    yaml: str | None = Field(None, max_length=MAX_BYTES)

    @model_validator(mode="after")
    def _one_of_two(self) -> "GeneratorSaved":
        if (self.document is None) == (self.yaml is None):
            raise ValueError("give either `document` or `yaml`")
        return self

    def content(self) -> saving.Content:
        """The same for whoever saves it."""
        return saving.Content(yaml=self.yaml, document=self.document)


class GeneratorAdded(GeneratorSaved):
    """A generator that shall be added."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "dstat", "document": DOCUMENT}]})

    name: str = Field(max_length=100)


class GeneratorListed(BaseModel):
    """One generator of a list."""

    name: str = Field(examples=["dstat"])
    description: str
    version: str = Field(description='"" while the file has mistakes', examples=["0123456789ab"])
    schedule: str | None = Field(examples=["@weekly"])
    clouds: list[str] = Field(examples=[["ec2"]])
    mistakes: int = Field(description="how many the validator finds in the file")
    last_build: BuildListed | None


class ScriptShown(BaseModel):
    """A script as it would run."""

    name: str
    text: str
    sha256: str


class MayShown(BaseModel):
    """What the caller may do."""

    build: bool
    edit: bool
    delete: bool


class GeneratorShown(GeneratorListed):
    """One generator: its file, and what it means."""

    etag: str = Field(description="what `If-Match` must say to change it", examples=['"0123456789abcdef"'])
    document: dict[str, Any] | None = Field(description="the file's keys and values; null where it is no YAML")
    yaml: str = Field(description="the file")
    scripts: list[ScriptShown]
    findings: list[Mistake]
    read_only_because: str = Field(description='why it can\'t be saved here; "" where it can')
    may: MayShown


@router.get("", responses=refusals(422))
def list_generators(
    parts: PartsDep,
    caller: CallerDep,
    request: Request,
    response: Response,
    paging: PagingDep,
    search: Annotated[str, Query(max_length=100, description="a part of the name")] = "",
) -> Listed[GeneratorListed]:
    """Generators by name, each with its last build."""
    found = generators_page(parts, caller, search, paging)
    link_pages(request, response, paging, total=found.total)
    return found


@router.post("", status_code=status.HTTP_201_CREATED, responses=refusals(400, 409, 422))
def create_generator(
    parts: PartsDep, caller: CallerDep, request: Request, response: Response, wanted: GeneratorAdded
) -> GeneratorShown:
    """Add a generator; Airflow has its DAG within 30 seconds."""
    if not NAME_SHAPE.fullmatch(wanted.name):
        cure = "use a-z, 0-9 and hyphens, at most 63, starting with a letter or digit"
        raise refused_field(422, "name", "is no name for a generator", cure)
    require(parts, caller, Right.CREATE, wanted.name)
    entry = saving.create(parts.shelf, wanted.name, wanted.content(), author=caller.name)
    response.headers["Location"] = address(request, "generators", wanted.name)
    return _answered(parts, caller, entry, response)


@router.get("/{name}", responses=refusals(404, 422))
def read_generator(parts: PartsDep, caller: CallerDep, response: Response, name: GeneratorName) -> GeneratorShown:
    """One generator, with the ETag by which it can be changed."""
    return _answered(parts, caller, the_entry(parts, caller, name), response)


@router.put("/{name}", responses=refusals(400, 404, 409, 412, 422, 428))
def replace_generator(
    parts: PartsDep,
    caller: CallerDep,
    response: Response,
    name: GeneratorName,
    wanted: GeneratorSaved,
    if_match: IfMatch = None,
) -> GeneratorShown:
    """Change a generator; refused where somebody else changed it since it was read."""
    return _answered(parts, caller, _replaced(parts, caller, name, wanted.content(), if_match), response)


@router.delete("/{name}", status_code=status.HTTP_204_NO_CONTENT, responses=refusals(404, 409, 412, 422, 428))
def delete_generator(parts: PartsDep, caller: CallerDep, name: GeneratorName, if_match: IfMatch = None) -> None:
    """Remove a generator's file; its builds and images stay."""
    require(parts, caller, Right.DELETE, name)
    entry = parts.shelf.entry(name)
    saving.delete(parts.shelf, name, expected=_expected(if_match, entry), author=caller.name)


@router.get(
    "/{name}/file",
    response_class=Response,
    responses={200: {"content": {YAML: {"schema": {}}}}, **refusals(404, 422)},
)
def read_file(parts: PartsDep, caller: CallerDep, name: GeneratorName) -> Response:
    """The generator's file, byte for byte."""
    entry = the_entry(parts, caller, name)
    return Response(entry.raw, media_type=YAML, headers={"ETag": entry.etag})


@router.put("/{name}/file", responses=refusals(400, 404, 409, 412, 422, 428))
def replace_file(
    parts: PartsDep,
    caller: CallerDep,
    response: Response,
    name: GeneratorName,
    body: Annotated[bytes, Body(media_type=YAML, description="the whole file")],
    if_match: IfMatch = None,
) -> GeneratorShown:
    """Change a generator by its whole file."""
    try:
        content = saving.Content(yaml=body.decode())
    except UnicodeDecodeError as error:
        raise refused_field(422, "body", "is not text in UTF-8", "save it as UTF-8") from error
    return _answered(parts, caller, _replaced(parts, caller, name, content, if_match), response)


def _replaced(parts: Parts, caller: Caller, name: str, content: saving.Content, if_match: str | None) -> Entry:
    require(parts, caller, Right.EDIT, name)
    entry = parts.shelf.entry(name)
    return saving.replace(parts.shelf, name, content, expected=_expected(if_match, entry), author=caller.name)


def _expected(if_match: str | None, now: Entry) -> str:
    """The present etag if it is among those that the caller names, else the one he names."""
    if if_match is None:
        raise Problem(
            428, f"{now.name}: `If-Match` is missing; send the ETag you read it with", headers={"ETag": now.etag}
        )
    named = [etag.strip() for etag in if_match.split(",")]
    return now.etag if now.etag in named or "*" in named else named[0]


def the_entry(parts: Parts, caller: Caller, name: str) -> Entry:
    """The generator's file, for who may see it."""
    if not parts.host.sees(caller, [name]):
        raise not_found(f"generator {name[:80]}")
    return parts.shelf.entry(name)


def generators_page(parts: Parts, caller: Caller, search: str, paging: Paging) -> Listed[GeneratorListed]:
    """A part of those generators that the caller may see and whose name holds what is searched."""
    seen = parts.host.sees(caller, parts.shelf.names())
    names = sorted(name for name in seen if search.strip().lower() in name)
    page = names[paging.offset : paging.offset + paging.limit]
    return Listed(items=listed(parts, caller, page), total=len(names))


def listed(parts: Parts, caller: Caller, names: list[str]) -> list[GeneratorListed]:
    """The generators of those names, without those whose file went away meanwhile."""
    latest = parts.catalog.latest_builds(names)
    found = []
    for name in names:
        try:
            entry = parts.shelf.entry(name)
        except Problem:
            continue
        build = build_listed(parts, caller, latest[name]) if name in latest else None
        found.append(GeneratorListed(**_summary(entry), last_build=build))
    return found


def _summary(entry: Entry) -> dict[str, Any]:
    generator = entry.generator
    return {
        "name": entry.name,
        "description": generator.description if generator else "",
        "version": generator.version if generator else "",
        "schedule": generator.schedule if generator else None,
        "clouds": list(generator.clouds) if generator else [],
        "mistakes": len(entry.findings),
    }


def _answered(parts: Parts, caller: Caller, entry: Entry, response: Response) -> GeneratorShown:
    response.headers["ETag"] = entry.etag
    return generator_shown(parts, caller, entry)


def generator_shown(parts: Parts, caller: Caller, entry: Entry) -> GeneratorShown:
    """The generator's file, what it means, and what the caller may do with it."""
    scripts = entry.generator.scripts if entry.generator else ()
    latest = parts.catalog.latest_builds([entry.name]).get(entry.name)
    return GeneratorShown(
        **_summary(entry),
        last_build=build_listed(parts, caller, latest) if latest else None,
        etag=entry.etag,
        document=entry.document,
        yaml=entry.text,
        scripts=[ScriptShown(name=script.name, text=script.text, sha256=script.sha256) for script in scripts],
        findings=[Mistake(**of_finding(finding)) for finding in entry.findings],
        read_only_because=saving.read_only_because(parts.shelf, entry.name),
        may=MayShown(
            build=parts.host.may(caller, Right.START, entry.name),
            edit=parts.host.may(caller, Right.EDIT, entry.name),
            delete=parts.host.may(caller, Right.DELETE, entry.name),
        ),
    )
