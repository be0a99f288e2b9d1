"""From a YAML document to a pydantic model, with every refusal turned into a finding at its line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from imagesmith.findings import Finding, did_you_mean, nearest
from imagesmith.yaml_source import Document, KeyPath

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x80-\x9f]")


class Section(BaseModel):
    """A part of a file: unknown keys refused, no conversion of types, a key left empty is a key left out."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_empty(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: item for key, item in value.items() if item is not None or key not in cls.model_fields}


def mistake(message: str, cure: str, *, at: str = "") -> PydanticCustomError:
    """What a validator raises so that the finding has its own words; `at` names a key below."""
    # Braces are pydantic's own template syntax, so the texts travel as context.
    return PydanticCustomError("mistake", "{message}", {"message": message, "cure": cure, "at": at})


def one_line(text: str, *, limit: int = 255) -> str:
    """The text if it is one non-empty line without control characters; raises a mistake otherwise."""
    if not text.strip():
        raise mistake("is empty", "give it a value or remove the key")
    if _CONTROL.search(text):
        raise mistake("holds a line break or another control character", "write it on one line")
    if hidden := next((letter for letter in text if not letter.isprintable()), ""):
        raise mistake(f"holds U+{ord(hidden):04X}, which cannot be seen", "remove it")
    if text != text.strip():
        raise mistake("begins or ends with a blank", "remove the blank")
    if len(text) > limit:
        raise mistake(f"has {len(text)} characters", f"use at most {limit}")
    return text


SomeSection = TypeVar("SomeSection", bound=Section)


def read_section(model: type[SomeSection], value: Any, *, document: Document, at: KeyPath) -> SomeSection | None:
    """The model, or None after a finding in the document for each mistake; the value stands `at` that key."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        all_details = error.errors(include_url=False)
        misspelt = {_meant(details, model) for details in all_details}
        for details in all_details:
            if details["type"] != "missing" or details["loc"] not in misspelt:
                document.findings.append(_finding(details, model, document=document, at=at))
        return None


def _meant(details: ErrorDetails, model: type[BaseModel]) -> KeyPath | None:
    """Where an unknown key would stand if it were spelt as its author most likely meant it."""
    loc = details["loc"]
    if details["type"] != "extra_forbidden":
        return None
    likely = nearest(str(loc[-1]), known_keys(model, loc[:-1]))
    return (*loc[:-1], likely) if likely else None


def _finding(details: ErrorDetails, model: type[BaseModel], *, document: Document, at: KeyPath) -> Finding:
    loc: KeyPath = details["loc"]
    if loc and loc[-1] == "[key]":  # pydantic's mark for "the key itself, not its value"
        loc = loc[:-1]
    if details.get("ctx", {}).get("at"):
        loc = (*loc, details["ctx"]["at"])
    message, cure = _words(details, model, loc)
    return document.finding((*at, *loc), message, cure)


def _words(details: ErrorDetails, model: type[BaseModel], loc: KeyPath) -> tuple[str, str]:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "mistake":
        return str(context["message"]), str(context["cure"])
    if kind == "missing":
        return "is missing", f"add `{loc[-1]}:`"
    if kind == "extra_forbidden":
        known = known_keys(model, loc[:-1])
        return "is no key here", did_you_mean(str(loc[-1]), known, things="the keys here are")
    if kind == "literal_error":
        return f"{details['input']!r} is not known", f"use {context['expected']}"
    if kind in _WANTED:
        wanted, cure = _WANTED[kind]
        return f"must be {wanted}, not {_shown(details['input'])}", cure
    return details["msg"].lower(), "see the example include/generators/dstat.yaml"


_WANTED: Mapping[str, tuple[str, str]] = {
    "string_type": ("text", "put it in quotes"),
    "bool_type": ("true or false", "write true or false, without quotes"),
    "int_type": ("a whole number", "write digits only, without quotes"),
    "float_type": ("a number", "write digits only, without quotes"),
    "list_type": ("a list", "write [one, two], or one `- item` a line"),
    "dict_type": ("a mapping", "write indented `key: value` lines below it"),
    "model_type": ("a mapping", "write indented `key: value` lines below it"),
}


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    names = {
        dict: "a mapping",
        list: "a list",
        str: f"the text {value!r:.40}",
        int: f"the number {value!s:.40}",
    }
    return names.get(type(value), f"{value!s:.40}")


def known_keys(model: type[BaseModel], loc: KeyPath) -> list[str]:
    """The keys of the section at that place below the model."""
    current: Any = model
    for part in loc:
        field = current.model_fields.get(part) if _is_section(current) else None
        if field is not None:
            current = field.annotation
        current = next(_sections(current), current)
    return list(current.model_fields) if _is_section(current) else []


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _sections(annotation: Any) -> Iterator[Any]:
    """The sections an annotation such as `dict[str, Entry] | None` speaks of."""
    if _is_section(annotation):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections(argument)
