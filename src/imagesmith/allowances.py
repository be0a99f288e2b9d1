"""The differences between clouds that a generator allows: `allow_differences:`, each with its reason."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import AfterValidator, model_validator

from imagesmith.cloud_settings import Line
from imagesmith.documents import Section, mistake
from imagesmith.things import Kind, Thing

# What a difference of a build's images does: it is told, or it fails the build.
Consistency = Literal["report", "require"]

KEYS: dict[str, tuple[Kind, ...]] = {
    "package": (Kind.PACKAGE, Kind.ORIGIN),
    "path": (Kind.FILE, Kind.SETUID),
    "service": (Kind.SERVICE,),
    "user": (Kind.USER,),
    "group": (Kind.GROUP,),
    "socket": (Kind.SOCKET,),
}
_SHAPE_CURE = 'write e.g. {package: "linux-image-*", reason: why they may differ}'


def _pattern(value: str) -> str:
    if not value.strip("*?"):
        raise mistake(f"{value!r} would allow everything", "name what may differ, or leave out `consistency: require`")
    return value


Pattern = Annotated[Line, AfterValidator(_pattern)]


class Allowance(Section):
    """Things of one kind, by a pattern with `*` and `?`, that may differ from cloud to cloud, and why."""

    package: Pattern | None = None
    path: Pattern | None = None
    service: Pattern | None = None
    user: Pattern | None = None
    group: Pattern | None = None
    socket: Pattern | None = None
    reason: Line

    @model_validator(mode="after")
    def _one_kind(self) -> Allowance:
        given = [key for key in KEYS if getattr(self, key)]
        if len(given) != 1:
            found = " and ".join(given) or "nothing"
            raise mistake(f"names {found}", f"name one of {', '.join(KEYS)} in each entry; {_SHAPE_CURE}")
        if self.path and not self.path.startswith("/"):
            raise mistake(f"{self.path!r} is no path", "write an absolute path, e.g. /etc/cloud/*", at="path")
        return self

    def covers(self, thing: Thing) -> bool:
        """Whether the thing may differ by this entry."""
        return any(
            pattern and thing.kind in KEYS[key] and fnmatchcase(thing.name, pattern)
            for key in KEYS
            if (pattern := getattr(self, key))
        )
