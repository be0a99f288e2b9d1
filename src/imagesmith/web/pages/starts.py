"""A build started from a page: its clouds, its parameters, and the passwords that are asked at every build."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from imagesmith.errors import DefinitionError
from imagesmith.generator import Generator
from imagesmith.plan import parameters_from_text
from imagesmith.web import runs
from imagesmith.web.api.builds import started
from imagesmith.web.api.generators import GeneratorName, the_entry
from imagesmith.web.host import Right
from imagesmith.web.pages.frame import at, go_to, page
from imagesmith.web.pages.posted import PostedDep
from imagesmith.web.parts import CallerDep, Parts, PartsDep, require
from imagesmith.web.problems import Problem, not_found, of_error

router = APIRouter()
# Before the name of what a field is about.
CLOUD, PARAMETER, SECRET, PASSWORD = "cloud:", "parameter:", "secret:", "password:"


@dataclass(frozen=True)
class Start:
    """What somebody filled in. Secrets and passwords are never shown again."""

    clouds: tuple[str, ...]
    parameters: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)
    passwords: Mapping[str, str] = field(repr=False)

    @classmethod
    def posted(cls, fields: Mapping[str, str]) -> Start:
        """The same out of a form's fields; what was left empty is not given."""

        def of(prefix: str) -> dict[str, str]:
            return {name[len(prefix) :]: text for name, text in fields.items() if name.startswith(prefix)}

        secrets = {name: given for name, text in of(SECRET).items() if (given := _without_enter(text))}
        passwords = {name: text for name, text in of(PASSWORD).items() if text}
        return cls(tuple(of(CLOUD)), of(PARAMETER), secrets, passwords)

    @classmethod
    def usual(cls, generator: Generator) -> Start:
        """All clouds, and the parameters' defaults."""
        defaults = {
            name: _text(parameter.default) for name, parameter in generator.parameters.items() if not parameter.secret
        }
        return cls(tuple(generator.clouds), defaults, {}, {})

    def wanted(self, generator: Generator) -> runs.Wanted:
        """The same as what a build is asked for; raises DefinitionError for a parameter of the wrong shape."""
        given = {
            name: text
            for name, text in self.parameters.items()
            if text or name not in generator.parameters or generator.parameters[name].type == "string"
        }
        # Of a cloud that is not chosen no password is sent, whatever was typed there.
        passwords = {cloud: password for cloud, password in self.passwords.items() if cloud in self.clouds}
        return runs.Wanted(self.clouds, {**parameters_from_text(generator, given), **self.secrets}, passwords)


@router.get("/generators/{name}/build")
def ask_build(parts: PartsDep, caller: CallerDep, request: Request, name: GeneratorName) -> Response:
    """Where to build, with which parameters; made so that it may stand in a dialog of the generator's page."""
    require(parts, caller, Right.START, name)
    generator = _generator(parts, caller, name)
    return _form(parts, request, generator, Start.usual(generator))


@router.post("/generators/{name}/build")
def start_build(
    parts: PartsDep, caller: CallerDep, request: Request, name: GeneratorName, fields: PostedDep
) -> Response:
    """The build's run, or the form again with what was refused; passwords have to be typed again then."""
    require(parts, caller, Right.START, name)
    generator, start = _generator(parts, caller, name), Start.posted(fields)
    try:
        if not start.clouds:
            raise Problem(422, "no cloud is chosen; choose at least one")
        run = started(parts, caller, name, start.wanted(generator))
    except DefinitionError as error:
        return _form(parts, request, generator, start, of_error(error))
    except Problem as problem:
        return _form(parts, request, generator, start, problem)
    return go_to_run(request, run)


@router.get("/runs/{generator}/{run_id:path}")
def show_run(
    parts: PartsDep,
    caller: CallerDep,
    request: Request,
    generator: GeneratorName,
    run_id: Annotated[str, Path(max_length=250)],
) -> Response:
    """The run until its build has begun, and from then on the build."""
    parts.shelf.path(generator)
    require(parts, caller, Right.SEE, generator)
    build = parts.catalog.find_build(generator, run_id)
    if build is not None:
        return go_to(request, "builds", build.build_id)
    run = runs.find(parts.host, caller, generator, run_id)
    if run is None:
        raise not_found(f"run {run_id[:80]} of {generator}")
    return page(request, "run.html", run=run, url=runs.page_of(parts.host, generator, run_id))


def go_to_run(request: Request, run: runs.Run) -> Response:
    """Sends the browser to where the build is going to be."""
    return go_to(request, "runs", run.dag_id, run.run_id)


def refused(problem: Problem | None) -> dict[str, Any]:
    """For templates: what was refused, and the mistakes by field."""
    return {"refusal": problem.document() if problem else None}


def _generator(parts: Parts, caller: Any, name: str) -> Generator:
    generator = the_entry(parts, caller, name).generator
    if generator is None:
        raise Problem(409, f"{name} has mistakes, so nothing can be built of it; mend them first")
    return generator


def asking(parts: Parts, clouds: Iterable[str]) -> list[str]:
    """Those of the clouds that ask for their password at every build."""
    known = parts.shelf.clouds().clouds
    return [cloud for cloud in clouds if cloud in known and known[cloud].asks_password]


def _form(
    parts: Parts, request: Request, generator: Generator, start: Start, problem: Problem | None = None
) -> Response:
    return page(
        request,
        "start.html",
        status=problem.status if problem else 200,
        generator=generator,
        start=start,
        asking=asking(parts, generator.clouds),
        action=at(request, "generators", generator.name, "build"),
        as_text=_text,
        **refused(problem),
    )


def _without_enter(text: str) -> str:
    """One line without the line end that Enter made, which nobody sees in a masked field; several lines as they are."""
    return text if "\n" in text.strip("\n") else text.strip("\n")


def _text(value: object) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
