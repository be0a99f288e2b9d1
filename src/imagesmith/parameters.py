"""A generator's parameters: what they may be called, hold, and how they reach the script."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from imagesmith.core import PASSWORD_PREFIX, SEALED_PREFIX
from imagesmith.documents import Section
from imagesmith.errors import DefinitionError

TypeName = Literal["string", "integer", "number", "boolean"]
Value = str | int | float | bool

MAX_VALUE_BYTES = 32 * 1024  # an environment variable of Linux may hold 128 KiB; forms and logs want less
MIN_SECRET_LENGTH = 4  # what is shorter stands in too many words of a log to be hidden there

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
# Names that a shell or the dynamic linker acts on, and our own keys of a run's conf.
_RESERVED = re.compile(
    r"PATH|HOME|IFS|SHELL|USER|LOGNAME|ENV|BASH_ENV|PWD|OLDPWD|UID|EUID|PPID|SHELLOPTS|BASHOPTS|PS4|_"
    r"|LD_.*|IMAGESMITH_.*|clouds|rebuild"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  # all but tab and line feed


class Parameter(Section):
    """One parameter of a generator: a field of the trigger form and a variable of the script.

    The value of a `secret` one is given anew for each build and stored nowhere.
    """

    type: TypeName
    default: Any = None
    choices: list[Any] | None = None
    description: str = ""
    secret: bool = False


NOUNS: Mapping[str, str] = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}
_PLAINEST: Mapping[str, Value] = {"string": "", "integer": 0, "number": 0, "boolean": False}
_TYPE_CURES: Mapping[str, str] = {
    "string": "put it in quotes",
    "integer": "write digits only, without quotes",
    "number": "write a number, without quotes",
    "boolean": "write true or false, without quotes",
}


def own_problems(value: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What in a parameter, as it is written, contradicts itself: key, message, cure."""
    kind, choices, default = value.get("type"), value.get("choices"), value.get("default")
    if value.get("secret") is True:
        yield from _secret_problems(value)
        return
    if not isinstance(kind, str) or kind not in _TYPE_CURES:
        return
    if isinstance(choices, list):
        yield from _choices_problems(kind, choices)
    if default is None:
        return
    problem = value_problem(kind, default)
    if problem:
        yield "default", f"{default!r:.60} {problem}", _cure(kind, problem)
    elif isinstance(choices, list) and choices and default not in choices:
        yield "default", f"{default!r:.60} is not one of the choices", "add it to the choices"


def _secret_problems(value: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What does not go with `secret: true`; no value is shown, as it may be a secret already."""
    if value.get("type") in _TYPE_CURES and value["type"] != "string":
        yield "type", f"a secret is text, not {NOUNS[value['type']]}", "write type: string, or remove `secret:`"
    for key in ("default", "choices"):
        if key in value:
            yield key, "would be stored in the clear, and this parameter is secret", "remove it; the value is asked"


def _cure(kind: str, problem: str) -> str:
    return _TYPE_CURES[kind] if problem.startswith("is not") else "choose a smaller or plainer value"


def _choices_problems(kind: str, choices: list[Any]) -> Iterator[tuple[str, str, str]]:
    if not choices:
        yield "choices", "the list is empty", "list the values or remove the key"
    for choice in choices:
        problem = value_problem(kind, choice)
        if problem:
            yield "choices", f"{choice!r:.60} {problem}", _cure(kind, problem)
    if len({repr(choice) for choice in choices}) < len(choices):
        yield "choices", "a value stands there twice", "list each value once"


def name_problem(name: str, *, secret: bool = False) -> tuple[str, str] | None:
    """What is wrong with a parameter's name and its cure, or None."""
    if secret and name.startswith(PASSWORD_PREFIX):
        return (
            "is what the password of a cloud is called",
            f"choose another, e.g. {name[len(PASSWORD_PREFIX) :]}_password",
        )
    if not _NAME.fullmatch(name):
        return (
            "is no name for a variable of the script",
            "use letters, digits and _, not starting with a digit",
        )
    if _RESERVED.fullmatch(name):
        return "is a name with a meaning of its own", "choose another, e.g. with a prefix"
    return None


def value_problem(kind: str, value: object) -> str | None:
    """What keeps the value from being one of that type, as the end of a sentence, or None."""
    if kind == "boolean":
        return None if isinstance(value, bool) else "is not true or false"
    if kind in ("integer", "number"):
        return _number_problem(kind, value)
    if not isinstance(value, str):
        return "is not text"
    return _text_problem(value)


def _number_problem(kind: str, value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return None if abs(value) < 2**63 else "is beyond 64 bits"
    if kind == "integer":
        return "is not a whole number"
    return None if isinstance(value, float) and math.isfinite(value) else "is not a number"


def _text_problem(value: str) -> str | None:
    if _CONTROL.search(value):
        return "holds a control character other than tab and line feed"
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        return "is not text that UTF-8 can write"
    if size > MAX_VALUE_BYTES:
        return f"is {size} bytes long, more than {MAX_VALUE_BYTES}"
    return None


def secret_problem(value: object) -> str | None:
    """What keeps the value from being that of a secret parameter, as the end of a sentence that may be shown."""
    problem = value_problem("string", value)
    if problem is None and isinstance(value, str) and len(value.strip()) < MIN_SECRET_LENGTH:
        return f"has fewer than {MIN_SECRET_LENGTH} characters, which could not be hidden in logs"
    return problem


def accept(name: str, parameter: Parameter, value: object) -> Value:
    """The value as the plan keeps it; raises DefinitionError naming the parameter."""
    if value is None and parameter.type == "string" and parameter.default is not None:
        value = ""  # what Airflow's form sends for a text field that was emptied
    if parameter.type == "integer" and isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON has one kind of number
    problem = value_problem(parameter.type, value)
    if problem:
        raise DefinitionError(f"parameter {name}: {value!r:.60} {problem}; give {NOUNS[parameter.type]}")
    if parameter.choices and value not in parameter.choices:
        raise DefinitionError(f"parameter {name}: {value!r:.60} is not one of the choices; use {_or(parameter)}")
    assert isinstance(value, str | int | float | bool)
    return value


def fitting(name: str, parameter: Parameter, value: object) -> Value:
    """The value where the parameter takes it, else one that it does: for a run that only has to bring some."""
    try:
        return accept(name, parameter, value)
    except DefinitionError:
        choice: Value = parameter.choices[0] if parameter.choices else _PLAINEST[parameter.type]
        return choice


def from_text(name: str, parameter: Parameter, text: str) -> Value:
    """The value that somebody typed on a command line; raises DefinitionError naming the parameter."""
    try:
        if parameter.type == "boolean":
            return {"true": True, "false": False}[text.lower()]
        if parameter.type == "integer":
            return accept(name, parameter, int(text))
        if parameter.type == "number":
            return accept(name, parameter, float(text))
    except (KeyError, ValueError) as error:
        raise DefinitionError(
            f"parameter {name}: {text!r:.60} is not {NOUNS[parameter.type]}; give {NOUNS[parameter.type]}"
        ) from error
    return accept(name, parameter, text)


def as_variable(value: Value) -> str:
    """The value as the script's environment shows it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def json_schema(name: str, parameter: Parameter) -> dict[str, Any]:
    """Default, description and JSON schema of the parameter, flat, as Airflow's `Param` takes them."""
    spec: dict[str, Any] = {"title": name, "type": parameter.type}
    if parameter.description:
        spec["description"] = parameter.description
    if parameter.secret:
        return {"description": "Asked at every build and stored nowhere.", **spec, **SEALED_ONLY}
    if parameter.default is not None:
        spec["default"] = parameter.default
    if parameter.choices:
        spec["enum"] = list(parameter.choices)
    elif parameter.type == "string":
        if parameter.default is not None:
            spec["type"] = ["string", "null"]  # an emptied field arrives as null; `accept` reads it as ""
        if "\n" in (parameter.default or ""):
            spec["format"] = "multiline"
    return spec


# A value itself never fits: were it not sealed before Airflow reads it, no run would be made. It is null where a run
# has none, and after the build's end, when even the sealed value is removed.
SEALED_ONLY: Mapping[str, Any] = {
    "type": ["null", "string"],
    "format": "password",
    "pattern": f"^{re.escape(SEALED_PREFIX)}",
    "default": None,
}


def _or(parameter: Parameter) -> str:
    return " or ".join(as_variable(choice) for choice in parameter.choices or [])
