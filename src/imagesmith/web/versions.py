"""What a generator consisted of in one version and in another: settings, scripts and files, line by line."""

from __future__ import annotations

import base64
import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from imagesmith.catalog.store import Catalog
from imagesmith.cloud_settings import CloudSettings
from imagesmith.generator import Generator
from imagesmith.plan import freeze, new_build_id
from imagesmith.web.problems import Problem, not_found

CURRENT = "current"
# What a build makes of its template for an image's name: its id, its date.
_OF_ONE_BUILD = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}|(?<!\d)\d{8}(?!\d)")
# What is shown elsewhere, and what is a build's own.
_LEFT_OUT = ("version", "script_sha256", "scripts", "files", "targets", "skip_if_unchanged", "rebuild_of")
MOST_LINES = 20_000


@dataclass(frozen=True)
class Content:
    """All of one version, None where it is not known: of a version that was read back from its images' tags."""

    version: str
    settings: Mapping[str, Any] | None
    texts: Mapping[str, str] | None


def content_of(catalog: Catalog, name: str, version: str, *, current: Content | None) -> Content:
    """The version's content out of the catalog; `current` is that of the file as it is now."""
    if current is not None and version in (CURRENT, current.version):
        return current
    if version == CURRENT:
        raise Problem(409, f"{name}: its file has mistakes now, so it has no current version; see its findings")
    stored = catalog.generator_version(name, version)
    if stored is None:
        raise not_found(f"version {version[:80]} of {name}")
    return _content(version, stored.content) if stored.content else Content(version, None, None)


def current_content(generator: Generator, clouds: Mapping[str, CloudSettings]) -> Content:
    """What a build of the file as it is now would store."""
    created = datetime.now(UTC).replace(microsecond=0)
    missing = {name for name, parameter in generator.parameters.items() if parameter.default is None}
    complete = generator.model_copy(
        update={"parameters": {key: value for key, value in generator.parameters.items() if key not in missing}}
    )
    plan = freeze(complete, clouds, build_id=new_build_id(created, generator.name), created=created)
    document = plan.model_dump(mode="json", exclude={"build_id", "created", "parameters", "skipped"})
    return _content(generator.version, document)


def differences(old: Content, new: Content) -> list[tuple[str, list[str]]] | None:
    """By setting, script or file what differs, as lines of a unified diff; nothing for the same content.

    None where one of them is not known.
    """
    if old.settings is None or old.texts is None or new.settings is None or new.texts is None:
        return None
    found = []
    before, after = dict(_flat((), old.settings)), dict(_flat((), new.settings))
    changed = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    if changed:
        lines = [[f"{key}: {side[key]}" for key in changed if key in side] for side in (before, after)]
        found.append(("settings", _unified(lines[0], lines[1])))
    for name in sorted({*old.texts, *new.texts}):
        one, other = old.texts.get(name, ""), new.texts.get(name, "")
        if one != other:
            found.append((name, _unified(one.splitlines(), other.splitlines())))
    return found


def _unified(old: list[str], new: list[str]) -> list[str]:
    lines = list(difflib.unified_diff(old, new, "old", "new", lineterm=""))
    return lines if len(lines) <= MOST_LINES else [*lines[:MOST_LINES], f"… and {len(lines) - MOST_LINES} more lines"]


def _content(version: str, document: Mapping[str, Any]) -> Content:
    texts = {f"script {script['name']}": str(script["text"]) for script in document.get("scripts", ())}
    texts |= {f"file {file['path']}": _text_of_file(file) for file in document.get("files", ())}
    settings = {key: value for key, value in document.items() if key not in _LEFT_OUT}
    targets = {name: _without_build(target, version) for name, target in document.get("targets", {}).items()}
    return Content(version, {**settings, "targets": targets}, texts)


def _text_of_file(file: Mapping[str, Any]) -> str:
    try:
        return base64.b64decode(file["content_base64"]).decode()
    except UnicodeDecodeError:
        return f"not text, sha256 {file['sha256']}"


def _without_build(target: Mapping[str, Any], version: str) -> Mapping[str, Any]:
    """A target without what its image's name has of one build; where its template is kept, that alone counts."""
    rest = {key: value for key, value in target.items() if key != "image_name"}
    if rest.get("image_name_template") or "image_name" not in target:
        return rest
    return {**rest, "image_name": _OF_ONE_BUILD.sub("…", target["image_name"].replace(version, "{version}"))}


def _flat(at: tuple[str, ...], value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat((*at, str(key)), item)
    else:
        yield ".".join(at), repr(value)
