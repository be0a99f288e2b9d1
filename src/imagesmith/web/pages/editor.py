"""One generator as it is edited: what the form and the YAML view show, also after a save that was refused."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from imagesmith.cloud_settings import CloudsFile
from imagesmith.web.api.generators import GeneratorShown
from imagesmith.web.pages import form
from imagesmith.web.pages.mistakes import Mistakes, sorted_by_field
from imagesmith.web.parts import Parts
from imagesmith.web.problems import Problem
from imagesmith.web.saving import read_only_because
from imagesmith.yaml_edit import edited
from imagesmith.yaml_source import read_bytes

# Rows of parameters to fill in; with a script more come by a button.
SPARE_ROWS = 1
STALE = 412


@dataclass(frozen=True)
class CloudRow:
    """A cloud as the form shows it; `known` is false for one that is in the file only."""

    name: str
    type: str = ""
    known: bool = True
    needs_instance_type: bool = True


@dataclass(frozen=True)
class Conflict:
    """What somebody else saved meanwhile, and what was to be saved."""

    theirs: str
    yours: str
    etag: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Editor:
    """All that one of the two views shows. `base` is the text that the fields started from, with its etag."""

    name: str
    base: str
    etag: str
    fields: form.Fields
    clouds: Sequence[CloudRow]
    mistakes: Mistakes
    read_only: str = ""
    refusal: str = ""
    conflict: Conflict | None = None
    text: str = field(default="", repr=False)

    @property
    def rows(self) -> list[int]:
        """The numbers of the parameters' rows, and of one to fill in."""
        numbers = form.rows(self.fields)
        spare = 0 if self.read_only else SPARE_ROWS
        return [*numbers, *range(max(numbers, default=-1) + 1, max(numbers, default=-1) + 1 + spare)]

    def get(self, name: str) -> str:
        """The field's text."""
        return self.fields.get(name, "")


def document_in(text: str) -> dict[str, Any] | None:
    """The keys and values of a file, {} for an empty one, None for what is no YAML."""
    if not text:
        return {}
    document = read_bytes(text.encode("utf-8", "surrogatepass"), shown_as="the file")
    return document.value if document.readable else None


def editor_of(parts: Parts, shown: GeneratorShown) -> Editor:
    """The generator as it is now, with the validator's messages."""
    fields = form.fields_of(shown.document or {})
    clouds = cloud_rows(parts.shelf.clouds(), fields)
    return Editor(
        name=shown.name,
        base=shown.yaml,
        etag=shown.etag,
        fields=fields,
        clouds=clouds,
        mistakes=sorted_by_field([finding.model_dump() for finding in shown.findings], keys_of(fields, clouds)),
        read_only=shown.read_only_because or ("" if shown.may.edit else "Airflow does not let you change it."),
        text=shown.yaml,
    )


def new_editor(parts: Parts, name: str, base: str) -> Editor:
    """A generator that is not there yet, with what a copy brings."""
    document = document_in(base) or {}
    fields = {**form.fields_of(document), "name": name}
    clouds = cloud_rows(parts.shelf.clouds(), fields)
    reason = read_only_because(parts.shelf, "new")
    return Editor("", base, "", fields, clouds, Mistakes({}, []), read_only=reason)


def refused_editor(parts: Parts, name: str, fields: Mapping[str, str], problem: Problem) -> Editor:
    """The same fields again, with why they were not saved: nothing that was typed is lost."""
    kept = dict(fields)
    clouds = cloud_rows(parts.shelf.clouds(), kept)
    errors = [{"line": 0, **error} for error in problem.errors]
    mistakes = sorted_by_field(errors, keys_of(kept, clouds))
    refusal = problem.detail if not errors or problem.status == STALE else "It has mistakes, so nothing was saved."
    base, text = base_of(kept), kept.get("yaml", "")
    conflict = _conflict(problem)
    return Editor(name, base, kept.get("etag", ""), kept, clouds, mistakes, "", refusal, conflict, text)


def wanted_text(parts: Parts, fields: Mapping[str, str]) -> str:
    """The file as the form wants it: the text it started from with what was changed in it."""
    base = base_of(fields)
    document = document_in(base)
    if document is None:
        raise Problem(422, "the file is no YAML, so its fields can't be changed; use the YAML view")
    names = [row.name for row in cloud_rows(parts.shelf.clouds(), form.fields_of(document))]
    wanted = form.document_of(document, fields, clouds=names)
    if not base:
        wanted = {"name": fields.get("name", "").strip(), **wanted}
    return base if wanted == document and list(wanted) == list(document) else edited(base, wanted)


def base_of(fields: Mapping[str, str]) -> str:
    """The text that the fields started from; it travels as JSON, which no browser changes the line ends of."""
    try:
        base = json.loads(fields.get("base") or '""')
    except ValueError as error:
        raise Problem(422, "base: is no JSON; open the page again") from error
    if not isinstance(base, str):
        raise Problem(422, "base: is no text; open the page again")
    return base


def cloud_rows(clouds: CloudsFile, fields: Mapping[str, str]) -> list[CloudRow]:
    """The clouds a generator may name, and those it names beside them."""
    named = {name.split(".", 2)[1] for name in fields if name.startswith("clouds.") and name.endswith(".on")}
    known = {
        name: CloudRow(name, about.type, needs_instance_type=about.needs_instance_type)
        for name, about in clouds.clouds.items()
    }
    return [known.get(name, CloudRow(name, known=False)) for name in sorted({*known, *named})]


def keys_of(fields: Mapping[str, str], clouds: Sequence[CloudRow]) -> set[str]:
    """The keys of the file that the form has a place for."""
    names = [fields[f"parameters.{row}.name"] for row in form.rows(fields)]
    found = {*form.PLAIN, "name", "script", "parameters", "clouds"}
    found |= {f"parameters.{name}" for name in names}
    found |= {f"parameters.{name}.{key}" for name in names for key in form.PARAMETER_KEYS}
    keys = ("source_image", "public", "required", *form.CLOUD_TEXTS)
    on = [row.name for row in clouds]
    return found | {f"clouds.{name}" for name in on} | {f"clouds.{name}.{key}" for name in on for key in keys}


def _conflict(problem: Problem) -> Conflict | None:
    if problem.status != STALE:
        return None
    theirs, yours = str(problem.extra["theirs"]), str(problem.extra["yours"])
    lines = list(difflib.unified_diff(theirs.splitlines(), yours.splitlines(), "theirs", "yours", lineterm=""))
    return Conflict(theirs, yours, str(problem.extra["etag"]), lines)
