"""One generator as people see it: its form, its YAML, its versions; added, copied, saved and deleted."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from imagesmith.errors import DefinitionError
from imagesmith.findings import on_one_line
from imagesmith.names import NAME_CURE, NAME_SHAPE
from imagesmith.web import saving
from imagesmith.web.api.generators import GeneratorName, generator_shown, the_entry
from imagesmith.web.api.versions import compare_versions, versions_page
from imagesmith.web.host import Caller, Right
from imagesmith.web.pages.editor import Editor, editor_of, new_editor, refused_editor, wanted_text
from imagesmith.web.pages.frame import at, go_to, page
from imagesmith.web.pages.posted import PostedDep
from imagesmith.web.paging import PagingDep
from imagesmith.web.parts import CallerDep, Parts, PartsDep, require
from imagesmith.web.problems import Problem, forbidden, of_error, refused_field
from imagesmith.yaml_edit import renamed

router = APIRouter(prefix="/generators")
# No generator can be called so.
NEW = "_new"


@router.get(f"/{NEW}")
def new_generator(
    parts: PartsDep, caller: CallerDep, request: Request, copy: Annotated[str, Query(max_length=100)] = ""
) -> Response:
    """An empty form, or one with what another generator has."""
    if not parts.host.may(caller, Right.CREATE, None):
        raise forbidden("add generators")
    base = the_entry(parts, caller, copy).text if copy else ""
    return _form_of_new(parts, caller, request, new_editor(parts, f"{copy}-copy"[:63] if copy else "", base))


@router.post("")
def add_generator(parts: PartsDep, caller: CallerDep, request: Request, fields: PostedDep) -> Response:
    """The new generator, or the form again with what is wrong."""
    name = fields.get("name", "").strip()
    if not parts.host.may(caller, Right.CREATE, None):
        raise forbidden("add generators")
    try:
        if not NAME_SHAPE.fullmatch(name):
            raise refused_field(422, "name", "is no name for a generator", NAME_CURE)
        require(parts, caller, Right.CREATE, name)
        saving.create(parts.shelf, name, saving.Content(yaml=_wanted(parts, fields, name)), author=caller.name)
    except Problem as problem:
        return _form_of_new(parts, caller, request, refused_editor(parts, "", fields, problem), status=problem.status)
    return go_to(request, "generators", name, done="added")


@router.get("/{name}")
def show_generator(parts: PartsDep, caller: CallerDep, request: Request, name: GeneratorName) -> Response:
    """Its form; for a file that is no YAML its text."""
    shown = generator_shown(parts, caller, the_entry(parts, caller, name))
    if shown.document is None:
        return go_to(request, "generators", name, "yaml")
    return _page(parts, caller, request, "generator.html", editor_of(parts, shown))


@router.post("/{name}")
def save_generator(
    parts: PartsDep, caller: CallerDep, request: Request, name: GeneratorName, fields: PostedDep
) -> Response:
    """The saved generator, or the form again with what is wrong."""
    require(parts, caller, Right.EDIT, name)
    try:
        _replace(parts, caller, name, _wanted(parts, fields, ""), fields)
    except Problem as problem:
        editor = refused_editor(parts, name, fields, problem)
        return _page(parts, caller, request, "generator.html", editor, status=problem.status)
    return go_to(request, "generators", name, done="saved")


@router.get("/{name}/yaml")
def show_yaml(parts: PartsDep, caller: CallerDep, request: Request, name: GeneratorName) -> Response:
    """Its file."""
    shown = generator_shown(parts, caller, the_entry(parts, caller, name))
    return _page(parts, caller, request, "generator-yaml.html", editor_of(parts, shown))


@router.post("/{name}/yaml")
def save_yaml(parts: PartsDep, caller: CallerDep, request: Request, name: GeneratorName, fields: PostedDep) -> Response:
    """The saved file, or its text again with what is wrong."""
    require(parts, caller, Right.EDIT, name)
    try:
        _replace(parts, caller, name, fields.get("yaml", ""), fields)
    except Problem as problem:
        editor = refused_editor(parts, name, fields, problem)
        return _page(parts, caller, request, "generator-yaml.html", editor, status=problem.status)
    return go_to(request, "generators", name, "yaml", done="saved")


@router.get("/{name}/versions")
def show_versions(
    parts: PartsDep,
    caller: CallerDep,
    request: Request,
    name: GeneratorName,
    paging: PagingDep,
    old: Annotated[str, Query(max_length=100)] = "",
    new: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """The versions that were built, and the difference between two of them."""
    found = versions_page(parts, caller, name, paging)
    return page(
        request,
        "versions.html",
        name=name,
        found=found,
        paging=paging,
        old=old,
        new=new,
        compared=compare_versions(parts, caller, name, old, new) if old and new else None,
        last_build=parts.catalog.latest_builds([name]).get(name),
        to=lambda offset: at(request, "generators", name, "versions", limit=paging.limit, offset=offset),
    )


@router.get("/{name}/delete")
def ask_to_delete(parts: PartsDep, caller: CallerDep, request: Request, name: GeneratorName) -> Response:
    """What would go, and what would stay."""
    require(parts, caller, Right.DELETE, name)
    entry = the_entry(parts, caller, name)
    reason = saving.read_only_because(parts.shelf, name)
    return page(request, "generator-delete.html", name=name, etag=entry.etag, read_only=reason)


@router.post("/{name}/delete")
def delete_generator(
    parts: PartsDep, caller: CallerDep, request: Request, name: GeneratorName, fields: PostedDep
) -> Response:
    """Back to the list, without the generator."""
    require(parts, caller, Right.DELETE, name)
    saving.delete(parts.shelf, name, expected=fields.get("etag", ""), author=caller.name)
    return go_to(request, "generators", done="deleted")


def _wanted(parts: Parts, fields: dict[str, str], new_name: str) -> str:
    """The file's text; `new_name` is that of a generator that is added."""
    try:
        text = wanted_text(parts, fields)
        return renamed(text, new_name) if new_name else text
    except DefinitionError as error:
        raise of_error(error) from error


def _replace(parts: Parts, caller: Caller, name: str, text: str, fields: dict[str, str]) -> None:
    """Saved over the text that was shown; over somebody else's only where that was shown, and said to."""
    expected = fields.get("over") or fields.get("etag", "")
    if expected in ("", "*"):
        raise Problem(428, f"{name}: the form does not say what it started from; open the page again")
    saving.replace(parts.shelf, name, saving.Content(yaml=text), expected=expected, author=caller.name)


def _form_of_new(parts: Parts, caller: Caller, request: Request, editor: Editor, *, status: int = 200) -> Response:
    may_ask = parts.host.may(caller, Right.START, None)
    return page(request, "generator-new.html", status=status, editor=editor, scripts=[], may_ask=may_ask)


def _page(
    parts: Parts, caller: Caller, request: Request, template: str, editor: Editor, *, status: int = 200
) -> Response:
    name = editor.name
    return page(
        request,
        template,
        status=status,
        editor=editor,
        name=on_one_line(name),
        may_copy=parts.host.may(caller, Right.CREATE, None),
        may_delete=parts.host.may(caller, Right.DELETE, name),
        may_build=parts.host.may(caller, Right.START, name) and editor.mistakes.count == 0,
        last_build=parts.catalog.latest_builds([name]).get(name),
        scripts=_scripts(parts, name),
        may_ask=parts.host.may(caller, Right.START, None),
    )


def _scripts(parts: Parts, name: str) -> list[tuple[str, str]]:
    """Names and texts of scripts in files of their own."""
    try:
        generator = parts.shelf.entry(name).generator
    except Problem:
        return []  # deleted by somebody else while this one was at it
    inline = [script for script in generator.scripts if script.name.startswith("inline-")] if generator else []
    return [] if generator is None or inline else [(script.name, script.text) for script in generator.scripts]
