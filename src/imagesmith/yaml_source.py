"""YAML files as plain values that remember the line of every key.

The text comes from people and is not trusted: size, depth and number of values (after aliases are followed)
are bounded, only plain types are read, and every mistake of form is a finding, not an exception.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from imagesmith.findings import Finding

MAX_BYTES = 1 << 20
# The parser takes about 50 µs a value; these keep the worst file under a second of Airflow's parsing time.
MAX_VALUES = 10_000
MAX_DEPTH = 20
# The parser looks at a tag once for each of its characters.
MAX_TAG = 10_000

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_KINDS = ("int", "float", "bool", "null")

KeyPath = tuple[str | int, ...]


@dataclass
class Document:
    """A file's top-level mapping as plain values, its name for people, and the line of every key path."""

    file: str
    value: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    readable: bool = False

    def line(self, path: KeyPath) -> int:
        """The line of the key, or of the nearest one around it that the file has."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def finding(self, path: KeyPath, message: str, cure: str) -> Finding:
        """A mistake at that key."""
        return Finding(self.file, self.line(path), ".".join(map(str, path)), message, cure)

    def has_finding(self, key: str) -> bool:
        """True if a mistake is known at this top-level key or below it."""
        return any(found.key == key or found.key.startswith(f"{key}.") for found in self.findings)

    def report(self, path: KeyPath, message: str, cure: str) -> None:
        """Adds a mistake at that key to the document's own findings."""
        self.findings.append(self.finding(path, message, cure))


def read_document(path: Path, *, shown_as: str) -> Document:
    """The file as a Document; where `readable` is False there is no value and the findings say why."""
    document = Document(shown_as)
    raw = _bytes(path, document)
    return document if raw is None else _read(raw, document)


def read_bytes(raw: bytes, *, shown_as: str) -> Document:
    """The same of what a file would hold."""
    return _read(raw, Document(shown_as))


def _read(raw: bytes, document: Document) -> Document:
    shown_as = document.file
    text = _text(raw, document)
    if text is None:
        return document
    try:
        root = _compose(text, document)
        if root is None:
            return document
        document.lines[()] = root.start_mark.line + 1
        value = _Reader(document).value(root, ())
    except _TooMuchError as error:
        document.findings.append(Finding(shown_as, error.line, "", error.message, "write a simpler file"))
        return document
    if isinstance(value, dict):
        document.value, document.readable = value, True
    else:
        document.report((), "the file is not a mapping of keys to values", "start it with `key: value` lines")
    return document


class _TooMuchError(Exception):
    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line, self.message = line, message


def _bytes(path: Path, document: Document) -> bytes | None:
    """What the file holds, as far as it may; None after a finding for what can't be read."""
    try:
        if not path.is_file():  # not even opened: a named pipe would never answer
            missing = ("there is no such file", "check the name")
            message, cure = ("it is not a regular file", "name a file") if path.exists() else missing
        else:
            with path.open("rb") as stream:
                return stream.read(MAX_BYTES + 1)
    except OSError as error:
        message, cure = f"the file cannot be read: {error.strerror}", "check its owner and mode"
    document.findings.append(Finding(document.file, 0, "", message, cure))
    return None


def _text(raw: bytes, document: Document) -> str | None:
    line, message, cure = 0, "the file is larger than 1 MiB", "move long scripts to include/scripts"
    try:
        if len(raw) <= MAX_BYTES:
            return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        message, cure = "the file is not text in UTF-8", "save it as UTF-8"
    document.findings.append(Finding(document.file, line, "", message, cure))
    return None


def _compose(text: str, document: Document) -> Node | None:
    try:
        _bound(text)
        yaml = YAML(typ="safe", pure=True)
        yaml.composer.warn_double_anchors = False  # YAML allows it, and a warning would reach nobody
        root: Node | None = yaml.compose(text)
    except MarkedYAMLError as error:
        document.findings.append(_syntax_finding(error, document.file))
        return None
    except YAMLError as error:  # the reader's: a character YAML does not allow
        line = text[: getattr(error, "position", 0)].count("\n") + 1
        cure = "remove it; in a quoted string it can be written as an escape"
        message = "the file holds a control character that YAML does not allow"
        document.findings.append(Finding(document.file, line, "", message, cure))
        return None
    except (ValueError, OverflowError):  # the scanner's, for an escape such as "\UFFFFFFFF"
        line = text[: max(0, text.find("\\U"))].count("\n") + 1
        message = "the file holds an escape that stands for no character"
        document.findings.append(Finding(document.file, line, "", message, "correct the escape"))
        return None
    if root is None:
        document.findings.append(Finding(document.file, 1, "", "the file is empty", "describe something in it"))
    return root


def _bound(text: str) -> None:
    """Reads the file's events one at a time and raises _TooMuchError before a hostile one costs anything."""
    for word in text.split():
        if len(word) > MAX_TAG and "!" in word:
            line = text[: text.find(word)].count("\n") + 1
            raise _TooMuchError(line, f"a word of more than {MAX_TAG} characters holds a !, as a tag does")
    depth = 0
    for count, event in enumerate(YAML(typ="safe", pure=True).parse(text)):
        if isinstance(event, CollectionStartEvent):
            depth += 1
        elif isinstance(event, CollectionEndEvent):
            depth -= 1
        line = event.start_mark.line + 1
        if depth > MAX_DEPTH:
            raise _TooMuchError(line, f"values are nested more than {MAX_DEPTH} deep")
        if count > MAX_VALUES:
            raise _TooMuchError(line, f"the file holds more than {MAX_VALUES} values")


def _syntax_finding(error: MarkedYAMLError, file: str) -> Finding:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark is not None else 1
    problem = str(error.problem or error.context or "the file is not YAML")
    if "'\\t'" in problem:
        return Finding(file, line, "", "the line is indented with a tab", "indent with blanks")
    if "document" in problem and "another" in problem:
        return Finding(file, line, "", "the file holds a second document", "write one file for each")
    if "undefined alias" in problem:
        return Finding(file, line, "", problem, "give the value an anchor (&name) before it is used")
    return Finding(file, line, "", f"not YAML: {problem}", "mend the line; a value with `: ` or `#` needs quotes")


class _Reader:
    """Turns nodes into values, following aliases within a bound."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._count = 0
        self._depth = 0
        self._constructor = YAML(typ="safe", pure=True).constructor

    def value(self, node: Node, path: KeyPath) -> Any:
        """The node's value; `path` is where in the document it stands."""
        self._count += 1
        self._depth += 1
        line = node.start_mark.line + 1
        if self._count > MAX_VALUES:
            raise _TooMuchError(line, f"aliases make more than {MAX_VALUES} values of the file")
        if self._depth > MAX_DEPTH:
            raise _TooMuchError(line, f"values are nested more than {MAX_DEPTH} deep, or contain themselves")
        self._document.lines.setdefault(path, line)
        value = self._read(node, path)
        self._depth -= 1
        return value

    def _read(self, node: Node, path: KeyPath) -> Any:
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            self._refuse_tag(node, path, "seq")
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        self._refuse_tag(node, path, "map")
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = None if key_node.tag == _MERGE else self._key(key_node, path)
            if key is None:
                continue
            line = key_node.start_mark.line + 1
            if key in found:
                self._report_second(line, (*path, key))
                continue
            self._document.lines[(*path, key)] = line
            found[key] = self.value(value_node, (*path, key))
        for source in self._merged(node, path):
            for key, value in source.items():
                found.setdefault(key, value)
        return found

    def _report_second(self, line: int, path: KeyPath) -> None:
        message = f"the key stands here a second time (first in line {self._document.lines[path]})"
        key = ".".join(map(str, path))
        self._document.findings.append(Finding(self._document.file, line, key, message, "keep one of the two"))

    def _key(self, node: Node, path: KeyPath) -> str | None:
        if isinstance(node, ScalarNode) and node.tag == f"{_TAG}str":
            return self._encodable(str(node.value), path)
        shown = node.value if isinstance(node, ScalarNode) else "a list or mapping"
        line = node.start_mark.line + 1
        message = f"the key {shown} is not text"
        key = ".".join(map(str, path))
        self._document.findings.append(Finding(self._document.file, line, key, message, "put it in quotes"))
        return None

    def _merged(self, node: MappingNode, path: KeyPath) -> Iterator[dict[str, Any]]:
        """The values of each mapping that `<<` brings in; lines of the mapping's own keys are kept."""
        for key_node, value_node in node.value:
            if key_node.tag != _MERGE:
                continue
            for item in value_node.value if isinstance(value_node, SequenceNode) else [value_node]:
                if not isinstance(item, MappingNode):
                    self._document.report(path, "<< takes mappings only", "name a mapping's anchor: <<: *name")
                    continue
                own_lines = dict(self._document.lines)
                values: dict[str, Any] = self.value(item, path)
                self._document.lines.update(own_lines)
                yield values

    def _scalar(self, node: Node, path: KeyPath) -> Any:
        kind = str(node.tag).removeprefix(_TAG)
        if kind in ("str", "timestamp"):  # a date stays the text it was written as
            return self._encodable(str(node.value), path)
        if kind not in _KINDS:
            self._report_tag(node, path)
            return None
        try:
            return self._constructor.construct_object(node)
        except (ValueError, LookupError, YAMLError):  # a tag that does not fit, or a number beyond all bounds
            self._document.report(path, f"{str(node.value)[:40]!r} is not a YAML {kind}", "put it in quotes")
            return None

    def _encodable(self, text: str, path: KeyPath) -> str | None:
        try:
            text.encode()
        except UnicodeEncodeError:  # an escape such as "\ud800"
            self._document.report(path, "holds half a character, which UTF-8 cannot write", "correct the escape")
            return None
        return text

    def _refuse_tag(self, node: Node, path: KeyPath, kind: str) -> None:
        if node.tag != f"{_TAG}{kind}":
            self._report_tag(node, path)

    def _report_tag(self, node: Node, path: KeyPath) -> None:
        self._document.report(path, f"the tag {node.tag} is not read here", "remove it; write plain values")
