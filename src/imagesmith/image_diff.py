"""In what two images differ: what is inside, the scripts that made them, their files, parameters and source images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

from imagesmith.catalog.records import ImageRecord
from imagesmith.consistency import shown
from imagesmith.plan import Plan
from imagesmith.story import Story
from imagesmith.things import Change, Kind, changes

SIGNS = {"added": "+", "removed": "-", "changed": "~"}


@dataclass(frozen=True)
class ImageDiff:
    """From one image to another; `inside` is None where one of them was never looked into.

    `scripts` are unified diffs by name, `files` and `parameters` hold the values before and after, None for none. All
    three are None where one of the images was read back from its cloud, which tells nothing of them.
    """

    before: Story
    after: Story
    inside: list[Change] | None
    scripts: dict[str, list[str]] | None
    files: dict[str, tuple[Any, Any]] | None
    parameters: dict[str, tuple[Any, Any]] | None


def diff(before: Story, after: Story) -> ImageDiff:
    """All that differs between two images, of whatever clouds, builds and generators."""
    both = (before.inventory, after.inventory)
    known = not (before.read_back or after.read_back)
    return ImageDiff(
        before=before,
        after=after,
        inside=changes(both[0], both[1]) if both[0] is not None and both[1] is not None else None,
        scripts=_scripts(before.plan, after.plan) if known else None,
        files=_unequal(_files(before.plan), _files(after.plan)) if known else None,
        parameters=_unequal(before.plan.parameters, after.plan.parameters) if known else None,
    )


def as_json(found: ImageDiff) -> dict[str, Any]:
    """The diff for programs."""
    images = {"before": found.before.image, "after": found.after.image}
    return {
        **{
            side: {
                "cloud": image.cloud,
                "image_id": image.image_id,
                "name": image.name,
                "generator": image.generator,
                "version": image.version,
                "build_id": image.build_id,
                "source_image_id": image.source_image_id,
                "inventory_digest": image.inventory_digest,
            }
            for side, image in images.items()
        },
        "inside": None if found.inside is None else [_change_json(change) for change in found.inside],
        "scripts": None if found.scripts is None else {name: "\n".join(lines) for name, lines in found.scripts.items()},
        "files": _pairs_json(found.files),
        "parameters": _pairs_json(found.parameters),
    }


def told(found: ImageDiff) -> list[str]:
    """The diff for people."""
    lines = [f"--- {_title(found.before)}", f"+++ {_title(found.after)}"]
    sources = (found.before.image.source_image_id, found.after.image.source_image_id)
    if sources[0] != sources[1]:
        lines += ["source image", f"  ~ {sources[0] or '-'} → {sources[1] or '-'}"]
    lines += _inside_lines(found)
    for title, pairs in (("uploaded files", found.files), ("parameters", found.parameters)):
        lines += [title, *(_pair(name, *values) for name, values in pairs.items())] if pairs else []
    for name, text in (found.scripts or {}).items():
        lines += [f"script {name}", *(f"  {line}" for line in text)]
    unknown = making_unknown(found)
    lines += [unknown] if unknown else []
    return lines if len(lines) > 2 else [*lines, "nothing differs"]


def making_unknown(found: ImageDiff) -> str:
    """Of which of the two it is not known what made them, "" where it is known of both."""
    lost = [f"{side.image.cloud}/{side.image.image_id}" for side in (found.before, found.after) if side.read_back]
    if not lost:
        return ""
    why = "read back from the clouds' tags, which do not tell"
    return f"scripts, files and parameters are not known of {' and '.join(dict.fromkeys(lost))}: {why}"


def by_digest(before: ImageRecord, after: ImageRecord) -> str:
    """All that can be said of what is inside where a list of it is not known."""
    blind = [f"{image.cloud}/{image.image_id}" for image in (before, after) if not image.inventory_digest]
    if blind:
        return f"what is inside cannot be compared: nobody looked into {' and '.join(blind)}"
    if before.inventory_digest == after.inventory_digest:
        return f"what is inside is the same: both have the digest {before.inventory_digest}"
    digests = f"{before.inventory_digest} → {after.inventory_digest}"
    return f"what is inside differs: digest {digests}; the list of it went with a catalog that was lost"


def _inside_lines(found: ImageDiff) -> list[str]:
    if found.inside is None:
        return [by_digest(found.before.image, found.after.image)]
    lines: list[str] = []
    for kind in Kind:
        of_kind = [change for change in found.inside if change.thing.kind is kind]
        if of_kind:
            counts = {how: sum(change.how == how for change in of_kind) for how in SIGNS}
            lines.append(f"{kind}: " + ", ".join(f"{count} {how}" for how, count in counts.items() if count))
            lines += [_change_line(change) for change in of_kind]
    return lines


def _change_line(change: Change) -> str:
    kind = change.thing.kind
    values = [shown(value, kind) for value in (change.before, change.after) if value]
    return f"  {SIGNS[change.how]} {change.thing.name} {' → '.join(values)}"


def _change_json(change: Change) -> dict[str, str]:
    thing = change.thing
    return {
        "kind": str(thing.kind),
        "name": thing.name,
        "how": change.how,
        "before": change.before,
        "after": change.after,
    }


def _pairs_json(pairs: Mapping[str, tuple[Any, Any]] | None) -> dict[str, list[Any]] | None:
    return None if pairs is None else {name: list(values) for name, values in pairs.items()}


def _pair(name: str, before: Any, after: Any) -> str:
    sign = "+" if before is None else "-" if after is None else "~"
    return f"  {sign} {name} {' → '.join(repr(value) for value in (before, after) if value is not None)}"


def _title(story: Story) -> str:
    image = story.image
    return f"{image.cloud}/{image.image_id}  {image.name}  {image.generator} {image.version}"


def _files(plan: Plan) -> dict[str, str]:
    return {file.path: file.sha256 for file in plan.files}


def _scripts(before: Plan, after: Plan) -> dict[str, list[str]]:
    texts = [{script.name: script.text for script in plan.scripts} for plan in (before, after)]
    found = {}
    for name in dict.fromkeys([*texts[0], *texts[1]]):
        old, new = (each.get(name, "") for each in texts)
        lines = list(unified_diff(old.splitlines(), new.splitlines(), before.version, after.version, lineterm=""))
        if lines:
            found[name] = lines
    return found


def _unequal(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = dict.fromkeys([*before, *after])
    pairs = {name: (before.get(name), after.get(name)) for name in names}
    return {name: values for name, values in pairs.items() if values[0] != values[1]}
