"""What the app's routes share, and who may see what through it; the pages use the same functions."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Request

from imagesmith.catalog.records import BuildRecord
from imagesmith.catalog.store import Catalog
from imagesmith.errors import BuildStateError
from imagesmith.printed import without_printed
from imagesmith.web.door import CALLER
from imagesmith.web.host import Caller, Host, Right
from imagesmith.web.output import Outputs
from imagesmith.web.problems import Problem, forbidden, not_found
from imagesmith.web.pulse import Pulse
from imagesmith.web.shelf import Shelf

# Under the app's own prefix.
REST = "/api/v1"
# What the caller is told he may not do, by right.
_DOING = {
    Right.SEE: "see {name}",
    Right.READ_LOGS: "read the logs of {name}",
    Right.START: "start builds of {name}",
    Right.STEER: "cancel or retry builds of {name}",
    Right.CREATE: "add the generator {name}",
    Right.EDIT: "change the generator {name}",
    Right.DELETE: "delete the generator {name}",
}


@dataclass
class Parts:
    """The host, the generators on disk, and the catalog, which is opened with the first request that needs it."""

    host: Host
    shelf: Shelf
    open_catalog: Callable[[], Catalog]

    @cached_property
    def pulse(self) -> Pulse:
        """What goes on in the catalog."""
        return Pulse(lambda since: self.catalog.watched_builds(since=since))

    @cached_property
    def outputs(self) -> Outputs:
        """What tasks printed."""
        return Outputs()

    @cached_property
    def catalog(self) -> Catalog:
        """The deployment's catalog."""
        return self.open_catalog()


def parts_of(request: Request) -> Parts:
    """The parts of the app that answers the request."""
    found: Parts = request.app.state.parts
    return found


def caller_of(request: Request) -> Caller:
    """Whom the door let in."""
    found: Caller = getattr(request.state, CALLER)
    return found


def address(request: Request, *segments: str) -> str:
    """The path of a resource of REST, as a client sees it."""
    path = "/".join(quote(segment, safe=":") for segment in segments)
    return f"{request.scope.get('root_path', '')}{REST}/{path}"


PartsDep = Annotated[Parts, Depends(parts_of)]
CallerDep = Annotated[Caller, Depends(caller_of)]


def visible_generators(parts: Parts, caller: Caller, only: str | None = None) -> set[str]:
    """Names of generators, those included whose file is gone, that the caller may see; `only` asks for one of them."""
    if only is not None:
        return parts.host.sees(caller, [only])
    return parts.host.sees(caller, {*parts.shelf.names(), *parts.catalog.built_generators()})


def require(parts: Parts, caller: Caller, right: Right, name: str) -> None:
    """Nothing if the caller may do that; what he may not even see is not there for him."""
    if right is not Right.CREATE and not parts.host.sees(caller, [name]):
        raise not_found(f"generator {name[:80]}")
    if right is not Right.SEE and not parts.host.may(caller, right, name):
        raise forbidden(_DOING[right].format(name=name))


def readable(parts: Parts, caller: Caller, error: str, *, of: str) -> str:
    """An error of a build of the generator `of`; what a machine printed is in it for those who may read its logs."""
    shorter = without_printed(error)
    if shorter == error or parts.host.may(caller, Right.READ_LOGS, of):
        return error
    return f"{shorter}; what it printed is for those who may {_DOING[Right.READ_LOGS].format(name=of)}"


def require_clouds(parts: Parts, caller: Caller) -> None:
    """Nothing if the caller may see generators at all: their clouds are no secret to him."""
    if not parts.host.may(caller, Right.SEE, None):
        raise forbidden("see clouds")


def the_build(parts: Parts, caller: Caller, build_id: str, right: Right = Right.SEE) -> BuildRecord:
    """The build, if the caller may do that with its generator."""
    try:
        build = parts.catalog.build(build_id)
    except BuildStateError as error:
        raise not_found(f"build {build_id[:80]}") from error
    try:
        require(parts, caller, right, build.generator)
    except Problem as problem:
        # The generator's name is not for everybody's eyes.
        raise not_found(f"build {build_id[:80]}") if problem.status == 404 else problem from None
    return build
