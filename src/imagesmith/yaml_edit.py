"""A YAML file with other values in it: comments, order and the way it is written stay where nothing changed.

What comes out is read again by the reader of all our files before anybody may use it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from imagesmith.errors import DefinitionError
from imagesmith.yaml_source import MAX_DEPTH, MAX_VALUES, Document, KeyPath, read_bytes

# Longer than any line of a script: nothing is folded that was not.
WIDTH = 1_000_000
# How a person would write a generator from top to bottom.
ORDER = (
    "name",
    "description",
    "script",
    "scripts",
    "files",
    "parameters",
    "schedule",
    "time_limit",
    "time_limits",
    "clouds",
)
CHANGE_TEXT = "change its text, in the YAML view or as `yaml` in place of `document`"


def edited(text: str, wanted: Mapping[str, Any]) -> str:
    """The text changed so that it says `wanted`; "" gives a new file.

    Raises DefinitionError where YAML can't, and for a file that holds what its keys and values do not tell.
    """
    _bound(wanted)
    if not text:
        yaml = YAML()
        yaml.indent(mapping=2, sequence=4, offset=2)
        return _checked(_dumped(_new(_in_order(wanted)), yaml), wanted)
    before = read_bytes(text.encode("utf-8", "surrogatepass"), shown_as="the file")
    if before.findings:
        raise DefinitionError(f"{'; '.join(map(str, before.findings[:3]))}; {CHANGE_TEXT}")
    text = _without_removed(text, before, wanted)
    before = read_bytes(text.encode(), shown_as="the file")
    try:
        yaml = YAML()
        yaml.preserve_quotes = True
        root = yaml.load(text.removeprefix("\ufeff"))
        yaml.indent(**_indent_of(root))
        _change(root, before.value, wanted)
        return _checked(_dumped(root, yaml), wanted)
    except (YAMLError, AttributeError, TypeError, ValueError) as error:
        raise DefinitionError(f"the file's YAML is of a kind that can't be changed by key; {CHANGE_TEXT}") from error


def renamed(text: str, name: str) -> str:
    """The text of a generator that says to be called so, where it says anything of that."""
    document = read_bytes(text.encode("utf-8", "surrogatepass"), shown_as="the file")
    if not document.readable or document.value.get("name", name) == name:
        return text
    return edited(text, {**document.value, "name": name})


def _indent_of(root: CommentedMap) -> dict[str, int]:
    """How far the file itself indents, as its first nested mapping and its first list show it."""
    found = {"mapping": 2, "sequence": 4, "offset": 2}
    below = [value for value in root.values() if isinstance(value, (CommentedMap, CommentedSeq)) and value]
    written_out = [value for value in below if not value.fa.flow_style()]
    for value in reversed(written_out):
        if isinstance(value, CommentedMap) and value.lc.col:
            found["mapping"] = value.lc.col
        elif isinstance(value, CommentedSeq):
            found["sequence"], found["offset"] = value.lc.item(0)[1], value.lc.col
    return found


def _in_order(wanted: Mapping[str, Any]) -> dict[str, Any]:
    known = [key for key in ORDER if key in wanted]
    return {key: wanted[key] for key in [*known, *(key for key in wanted if key not in ORDER)]}


def _bound(wanted: object) -> None:
    """Refuses what our reader would: it is asked before anything is written for it."""
    count = 0
    level = [wanted]
    for _ in range(MAX_DEPTH + 1):
        count += len(level)
        if count > MAX_VALUES:
            raise DefinitionError(f"document: holds more than {MAX_VALUES} values; write a simpler one")
        below: list[object] = []
        for value in level:
            below += _below(value)
        level = below
        if not level:
            return
    raise DefinitionError(f"document: values are nested more than {MAX_DEPTH} deep; write a simpler one")


def _below(value: object) -> list[object]:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise DefinitionError("document: holds half a character, which UTF-8 cannot write; remove it") from None
    if isinstance(value, Mapping):
        return [*value, *value.values()]
    return list(value) if isinstance(value, list) else []


def _change(node: CommentedMap, before: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Makes the mapping say `wanted`; keys whose value is as before are not touched."""
    for key in [key for key in node if key not in wanted]:
        del node[key]
    for key, value in wanted.items():
        if key in before and before[key] == value and type(before[key]) is type(value):
            continue
        here = node.get(key)
        if isinstance(here, CommentedMap) and isinstance(value, Mapping) and isinstance(before.get(key), Mapping):
            _change(here, before[key], value)
        elif isinstance(here, CommentedSeq) and isinstance(value, list) and isinstance(before.get(key), list):
            _change_list(here, before[key], value)
        else:
            node[key] = _new(value)
            if isinstance(node[key], LiteralScalarString):
                _comment_above(node, key)


def _change_list(node: CommentedSeq, before: Sequence[Any], wanted: Sequence[Any]) -> None:
    del node[len(wanted) :]
    for index, value in enumerate(wanted):
        if index >= len(node):
            node.append(_new(value))
        elif before[index] != value or type(before[index]) is not type(value):
            node[index] = _new(value)


def _comment_above(node: CommentedMap, key: str) -> None:
    """Moves a comment that stood behind the value above the key: behind a text of several lines is no place for it."""
    tokens = node.ca.items.get(key)
    if not tokens or len(tokens) < 3 or tokens[2] is None:
        return
    behind, _, after = tokens[2].value.partition("\n")
    tokens[2].value = f"\n{after}" if after else "\n"
    if behind.strip():
        column = node.lc.col or 0
        node.yaml_set_comment_before_after_key(key, before=behind.lstrip("# ").rstrip(), indent=column)


def _without_removed(text: str, before: Document, wanted: Mapping[str, Any]) -> str:
    """The text without the lines of keys that go; a comment that stands before the next key stays with that."""
    lines = text.split("\n")
    gone: set[int] = set()
    for path in _removed((), before.value, wanted):
        start = before.line(path) - 1
        key = re.match(r"( *)[\w'\"-]", lines[start])
        if path in before.lines and key and not _in_flow(lines[start], str(path[-1])):
            gone.update(range(start, _end_of_entry(lines, start, indent=len(key[1]))))
    return "\n".join(line for number, line in enumerate(lines) if number not in gone)


def _removed(at: KeyPath, before: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[KeyPath]:
    for key, value in before.items():
        after = wanted.get(key)
        if key not in wanted:
            yield (*at, key)
        elif isinstance(value, Mapping) and isinstance(after, Mapping) and after:
            yield from _removed((*at, key), value, after)


def _in_flow(line: str, key: str) -> bool:
    """Whether the line does not simply begin with the key."""
    return not re.match(rf" *['\"]?{re.escape(key)}['\"]? *:", line)


def _end_of_entry(lines: Sequence[str], start: int, *, indent: int) -> int:
    """The number of the line after the entry's last one."""
    end = start + 1
    for number in range(start + 1, len(lines)):
        line = lines[number]
        depth = len(line) - len(line.lstrip(" "))
        if not line.strip():
            continue
        if depth > indent or (depth == indent and line.lstrip(" ").startswith("- ")):
            end = number + 1
        elif not line.lstrip(" ").startswith("#"):
            break
    return end


def _new(value: Any) -> Any:
    """The value as a person would write it."""
    if isinstance(value, Mapping):
        made = CommentedMap((str(key), _new(item)) for key, item in value.items())
        if not made:
            made.fa.set_flow_style()
        return made
    if isinstance(value, list):
        items = CommentedSeq(_new(item) for item in value)
        if not any(isinstance(item, (CommentedMap, CommentedSeq)) for item in items):
            items.fa.set_flow_style()
        return items
    if isinstance(value, str) and "\n" in value:
        plain = all(letter.isprintable() or letter in "\n\t" for letter in value)
        literal = plain and value.strip() and not value.startswith((" ", "\n", "\t"))
        return LiteralScalarString(value) if literal else DoubleQuotedScalarString(value)
    return value


def _dumped(root: CommentedMap, yaml: YAML) -> str:
    yaml.width = WIDTH
    yaml.allow_unicode = True
    stream = io.StringIO()
    yaml.dump(root, stream)
    return stream.getvalue()


def _checked(text: str, wanted: Mapping[str, Any]) -> str:
    """The text, if our reader understands by it exactly what was wanted."""
    after: Document = read_bytes(text.encode(), shown_as="the file")
    if not after.readable:
        said = "; ".join(finding.message for finding in after.findings)
        raise DefinitionError(f"document: can't be written as YAML: {said or 'it is empty'}; {CHANGE_TEXT}")
    if after.value != dict(wanted):
        # An anchor that is used twice, a merged mapping, a number that is not one.
        raise DefinitionError(f"document: the file would not say what you sent, as it shares values; {CHANGE_TEXT}")
    return text
