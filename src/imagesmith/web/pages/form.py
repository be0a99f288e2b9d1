"""A generator's document as fields of a form, and the document that changed fields make of it.

Fields are texts by name, as a browser sends them: with plain line ends, and with none where the field has one line; a
box that is not ticked is not there. What a field does not cover, and what its field still says, stays as it is in the
document.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import Any

from imagesmith.web.problems import Problem, refused_field

Fields = dict[str, str]
Document = Mapping[str, Any]

# How the scripts are given: as text in the file, as names of files, or in a way that the form leaves alone.
TEXT, FILES, KEPT = "text", "files", "kept"
# How a source image is named.
BY_ID, BY_NAME, BY_GENERATOR = "id", "name", "generator"
ON = "on"
PARAMETER_KEYS = ("type", "default", "choices", "description", "secret")
CLOUD_TEXTS = ("ssh_username", "instance_type", "image_name")
PLAIN_LINES = ("schedule", "time_limit")
PLAIN = ("description", *PLAIN_LINES)
MOST_ROWS = 200


def fields_of(document: Document) -> Fields:
    """What the form shows of the document, whatever the validator says to it."""
    fields = {"description": _text(document["description"])} if "description" in document else {}
    fields |= {key: _line(document[key]) for key in PLAIN_LINES if key in document}
    fields |= _script_fields(document)
    for number, (name, about) in enumerate(_mapping(document.get("parameters")).items()):
        fields |= _parameter_fields(f"parameters.{number}", str(name), _mapping(about))
    for cloud, entry in _mapping(document.get("clouds")).items():
        fields |= _cloud_fields(f"clouds.{cloud}", _mapping(entry))
    return fields


def document_of(base: Document, fields: Mapping[str, str], *, clouds: Collection[str]) -> dict[str, Any]:
    """The document with what the fields say. `clouds` are those the form shows."""
    document, before = deepcopy(dict(base)), fields_of(base)
    for key in PLAIN:
        _put(document, key, fields.get(key), before=before.get(key, ""))
    _put_scripts(document, fields, before)
    parameters = _parameters(_mapping(base.get("parameters")), fields, before)
    if parameters != _mapping(base.get("parameters")) or list(parameters) != list(_mapping(base.get("parameters"))):
        _set_or_remove(document, "parameters", parameters)
    document["clouds"] = _clouds(_mapping(base.get("clouds")), fields, before, shown=clouds)
    return document


def rows(fields: Mapping[str, str]) -> list[int]:
    """The numbers of the parameters' rows, in their order."""
    found = {int(match[1]) for name in fields if (match := re.fullmatch(r"parameters\.(\d{1,4})\.name", name))}
    if len(found) > MOST_ROWS:
        raise Problem(422, f"{len(found)} parameters; use at most {MOST_ROWS}")
    return sorted(found)


def _script_fields(document: Document) -> Fields:
    one, several = document.get("script"), document.get("scripts")
    if several is None and isinstance(one, str) and not _is_text(one):
        return {"how": FILES, "script_files": one}
    if several is None:
        return {"how": TEXT, "script": _text(one) if isinstance(one, str) else ""}
    names = several if isinstance(several, list) else []
    if one is None and all(isinstance(name, str) and not _is_text(name) for name in names):
        return {"how": FILES, "script_files": "\n".join(names)}
    return {"how": KEPT}


def _is_text(value: str) -> bool:
    """As the validator tells a text from a file's name."""
    return "\n" in value or value.startswith("#!")


def _put_scripts(document: dict[str, Any], fields: Mapping[str, str], before: Fields) -> None:
    how = fields.get("how", before["how"])
    if how == KEPT or all(fields.get(key, "") == before.get(key, "") for key in ("how", _field_of_script(how))):
        return
    for key in ("script", "scripts"):
        document.pop(key, None)
    if how == TEXT:
        text = fields.get("script", "")
        # A line end, or a script of one line would be a file's name.
        document |= {"script": text if text.endswith("\n") else f"{text}\n"} if text else {}
        return
    names = [name.strip() for name in fields.get("script_files", "").split("\n") if name.strip()]
    document |= {"script": names[0]} if len(names) == 1 else {"scripts": names} if names else {}


def _field_of_script(how: str) -> str:
    return "script" if how == TEXT else "script_files"


def _parameter_fields(at: str, name: str, about: Document) -> Fields:
    fields = {f"{at}.name": _line(name), f"{at}.was": name, f"{at}.type": _line(about.get("type", "string"))}
    fields |= {f"{at}.{key}": _text(about[key]) for key in ("default", "description") if key in about}
    choices = about.get("choices")
    fields |= {f"{at}.choices": "\n".join(map(_text, choices))} if isinstance(choices, list) else {}
    return fields | ({f"{at}.secret": ON} if about.get("secret") is True else {})


def _parameters(base: Document, fields: Mapping[str, str], before: Fields) -> dict[str, Any]:
    """The parameters of the form's rows, each with what it had before under its old name."""
    numbers = {name: number for number, name in enumerate(base)}
    found: dict[str, Any] = {}
    for row in rows(fields):
        at = f"parameters.{row}"
        said = {key: fields.get(f"{at}.{key}", "") for key in ("name", *PARAMETER_KEYS)}
        name = said.pop("name").strip()
        if not name and not any(text for key, text in said.items() if key != "type"):
            continue  # an empty row
        was = fields.get(f"{at}.was", "")
        about = deepcopy(base.get(was)) if was in numbers else {}
        known = {key: before.get(f"parameters.{numbers[was]}.{key}", "") for key in said} if was in numbers else {}
        if said != known:
            about = _parameter(dict(_mapping(about)), said, known, at=f"parameters.{name}")
        if name in found:
            raise Problem(422, f"parameters: {name[:80]} stands there twice; name each once")
        found[name] = about
    return found


def _parameter(about: dict[str, Any], said: Fields, known: Fields, *, at: str) -> dict[str, Any]:
    kind = said["type"]
    anew = kind != known.get("type")
    if anew:
        about["type"] = kind
    for key in ("default", "description"):
        if said[key] != known.get(key, "") or (anew and key == "default"):
            value = _tidy(said[key]) if key == "description" else _typed(kind, said[key])
            _set_or_remove(about, key, value, keep=value is False or value == 0)
    if said["choices"] != known.get("choices", "") or anew:
        _refuse_unlike_lines(about.get("choices"), at=f"{at}.choices")
        _set_or_remove(about, "choices", [_typed(kind, line) for line in said["choices"].split("\n") if line])
    if said["secret"] != known.get("secret", ""):
        _set_or_remove(about, "secret", said["secret"] == ON)
    return about


def _refuse_unlike_lines(choices: object, *, at: str) -> None:
    """Raises Problem where choices would be others once they were written one a line."""
    texts = map(_text, choices) if isinstance(choices, list) else ()
    if any(not text or "\n" in text for text in texts):
        raise refused_field(
            422, at, "one is empty or has several lines, which lines can't tell", "change them in the YAML view"
        )


def _typed(kind: str, text: str) -> Any:
    """The text as a value of that type; what is none stays text, for the validator to tell."""
    plain = text.strip()
    if kind == "boolean":
        return {"true": True, "false": False}.get(plain.lower(), text)
    if kind in ("integer", "number") and re.fullmatch(r"[+-]?\d{1,18}", plain):
        return int(plain)
    if kind == "number" and re.fullmatch(r"[+-]?(\d{1,300}\.\d*|\.\d+)([eE][+-]?\d{1,3})?", plain):
        return float(plain)
    return text


def _cloud_fields(at: str, entry: Document) -> Fields:
    fields = {f"{at}.on": ON, **{f"{at}.{key}": _line(entry[key]) for key in CLOUD_TEXTS if key in entry}}
    fields |= {f"{at}.public": ON} if entry.get("public") is True else {}
    fields |= {f"{at}.required": ON} if entry.get("required", True) is True else {}
    source = entry.get("source_image", "")
    if not isinstance(source, Mapping):
        return fields | {f"{at}.source": BY_ID, f"{at}.source_id": _line(source)}
    kind = BY_GENERATOR if "generator" in source else BY_NAME
    texts = {key: _line(source[key]) for key in ("name", "owner", "generator") if key in source}
    return fields | {f"{at}.source": kind, **{f"{at}.source_{key}": text for key, text in texts.items()}}


def _clouds(base: Document, fields: Mapping[str, str], before: Fields, *, shown: Collection[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for cloud in [*base, *(name for name in shown if name not in base)]:
        at = f"clouds.{cloud}"
        if cloud not in shown:
            found[cloud] = deepcopy(base[cloud])
        elif fields.get(f"{at}.on") == ON:
            mine = {key: text for key, text in fields.items() if key.startswith(f"{at}.") and text}
            same = {key: text for key, text in before.items() if key.startswith(f"{at}.") and text}
            entry = deepcopy(base.get(cloud))
            found[cloud] = entry if mine == same else _cloud(dict(_mapping(entry)), at, fields, before)
    return found


def _cloud(entry: dict[str, Any], at: str, fields: Mapping[str, str], before: Fields) -> dict[str, Any]:
    source = ["source", *(f"source_{key}" for key in ("id", "name", "owner", "generator"))]
    if any(fields.get(f"{at}.{key}", "") != before.get(f"{at}.{key}", "") for key in source):
        _set_or_remove(entry, "source_image", _source(entry.get("source_image"), at, fields))
    for key in CLOUD_TEXTS:
        _put(entry, key, fields.get(f"{at}.{key}"), before=before.get(f"{at}.{key}", ""))
    public, required = fields.get(f"{at}.public", ""), fields.get(f"{at}.required", "")
    if public != before.get(f"{at}.public", ""):
        _set_or_remove(entry, "public", public == ON)
    if required != before.get(f"{at}.required", ON):
        _set_or_remove(entry, "required", False, keep=required != ON)
    return entry


def _source(was: Any, at: str, fields: Mapping[str, str]) -> Any:
    """The source image as the file names it."""
    kind = fields.get(f"{at}.source", BY_ID)
    said = {key: fields.get(f"{at}.source_{key}", "").strip() for key in ("id", "name", "owner", "generator")}
    if kind == BY_GENERATOR:
        return {"generator": said["generator"]}
    if kind == BY_ID:
        return said["id"]
    kept = {key: value for key, value in _mapping(was).items() if key == "properties"}
    return {**{key: said[key] for key in ("name", "owner") if said[key]}, **kept}


def _put(section: dict[str, Any], key: str, text: str | None, *, before: str) -> None:
    """Sets the key to a text that has changed; an emptied field removes it."""
    if text is not None and text != before:
        _set_or_remove(section, key, _tidy(text))


def _tidy(text: str) -> str:
    """One line without what stands around it, such as the line end of Enter; several lines as they were typed."""
    return text if "\n" in text.strip() else text.strip()


def _set_or_remove(section: dict[str, Any], key: str, value: Any, *, keep: bool = False) -> None:
    if value or keep:
        section[key] = value
    else:
        section.pop(key, None)


def _mapping(value: object) -> Document:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    """The value as a field of several lines holds it."""
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _line(value: object) -> str:
    """The value as a field of one line holds it: a browser takes line ends out."""
    return _text(value).replace("\n", "")
