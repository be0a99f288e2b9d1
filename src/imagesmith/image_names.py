"""The template of a new image's name: `{generator}`, `{version}`, `{build_id}` and `{date}` in any text."""

from __future__ import annotations

import re

from imagesmith.findings import did_you_mean

FIELDS = ("generator", "version", "build_id", "date")
DEFAULT = "{generator}-{build_id}"

_FIELD = re.compile(r"\{([^{}]*)\}")


def template_problem(template: str) -> tuple[str, str] | None:
    """What is wrong with the template and its cure, or None."""
    for word in _FIELD.findall(template):
        if word not in FIELDS:
            return f"{{{word}}} stands for nothing", did_you_mean(word, FIELDS, things="names can use")
    if set("{}") & set(_FIELD.sub("", template)):
        return "has a brace without its partner", "write {generator}, {version}, {build_id} or {date}"
    return None


def render(template: str, *, generator: str, version: str, build_id: str, date: str) -> str:
    """The name itself; the template has been checked."""
    values = {"generator": generator, "version": version, "build_id": build_id, "date": date}
    return _FIELD.sub(lambda found: values[found[1]], template)


def sample(template: str, generator: str) -> str:
    """A name as long and with the same characters as a real one, to check the template by."""
    return render(
        template,
        generator=generator,
        version="0123456789ab",
        build_id="20260101-120000-abcdef",
        date="20260101",
    )
