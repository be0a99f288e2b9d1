"""Writing generators: checked first, whole or not at all, and never over what somebody else has changed meanwhile."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagesmith.errors import SetupError
from imagesmith.web.checkout import Checkout
from imagesmith.web.problems import Problem, of_finding, refused_field
from imagesmith.web.shelf import Entry, Shelf
from imagesmith.yaml_edit import edited

MODE = 0o644


@dataclass(frozen=True)
class Content:
    """What is to be saved: the text of the file, or a document that goes into the file as it is."""

    yaml: str | None = None
    document: Mapping[str, Any] | None = None

    def text(self, before: str) -> str:
        """The file's new text."""
        if self.yaml is not None:
            return self.yaml
        return edited(before, self.document or {})


def create(shelf: Shelf, name: str, content: Content, *, author: str) -> Entry:
    """The new generator; a Problem where there is one of that name, or where what it says can't be built."""
    path = shelf.path(name)
    with _alone(path):
        if path.exists() or path.is_symlink():
            raise Problem(409, f"there is a generator {name} already; replace it, or choose another name")
        entry = _judged(shelf, name, content, before="")
        _write(path, entry.raw, before=None, message=f"Add generator {name}", author=author)
        return entry


def replace(shelf: Shelf, name: str, content: Content, *, expected: str, author: str) -> Entry:
    """The changed generator, if its file is still the one with the etag `expected`."""
    path = shelf.path(name)
    with _alone(path):
        before = shelf.now(name)
        _refuse_changed(before, expected, lambda: content.text(before.text))
        entry = _judged(shelf, name, content, before=before.text)
        _write(path, entry.raw, before=before.raw, message=f"Change generator {name}", author=author)
        return entry


def delete(shelf: Shelf, name: str, *, expected: str, author: str) -> None:
    """Removes the generator's file, if it is still the one with the etag `expected`. What was built of it stays."""
    path = shelf.path(name)
    with _alone(path):
        before = shelf.now(name)
        _refuse_changed(before, expected, lambda: "")
        _write(path, None, before=before.raw, message=f"Remove generator {name}", author=author)


def read_only_because(shelf: Shelf, name: str) -> str:
    """Why the generator's file can't be written here, "" where it can."""
    path = shelf.path(name)
    if path.is_symlink():
        return f"{path.name} is a link; change what it leads to"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return f"the API server may not write in include/{path.parent.name}; give its user the right, or edit the file"
    return ""


def _judged(shelf: Shelf, name: str, content: Content, *, before: str) -> Entry:
    """The file that would be written; a Problem with every mistake in it."""
    text = content.text(before)
    try:
        raw = text.encode()
    except UnicodeEncodeError as error:
        raise refused_field(422, "yaml", "holds half a character, which UTF-8 cannot write", "remove it") from error
    entry = shelf.judged(name, raw)
    if entry.generator is None:
        mistakes = [of_finding(finding) for finding in entry.findings]
        first = "; ".join(map(str, entry.findings[:3]))
        raise Problem(422, f"{name} has mistakes, so nothing was written: {first}", errors=mistakes)
    return entry


def _refuse_changed(now: Entry, expected: str, yours: Callable[[], str]) -> None:
    if expected in ("*", now.etag):
        return
    raise Problem(
        412,
        f"{now.name} was changed by somebody else since you read it; nothing was written, and both texts are here",
        extra={"yours": yours(), "theirs": now.text, "etag": now.etag},
        headers={"ETag": now.etag},
    )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keeps all other writers out, those of other processes too; what can't be written is a Problem."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        os.close(folder)


def _unwritable(path: Path, error: OSError) -> Problem:
    where = f"include/{path.parent.name}/{path.name}"
    return Problem(409, f"{where} can't be written: {error.strerror}; edit the file where it comes from")


def _write(path: Path, raw: bytes | None, *, before: bytes | None, message: str, author: str) -> None:
    """The file with that content, None for no file, and its commit; without a commit everything is as before."""
    if path.is_symlink():
        raise Problem(409, f"{path.name} is a link, so it is not replaced; change what it leads to")
    checkout = _checkout(path)
    _put(path, raw)
    if checkout is None:
        return
    try:
        checkout.commit(path, message, author=author)
    except SetupError as error:
        _put(path, before)
        with suppress(SetupError):
            checkout.forget(path)
        raise Problem(409, f"nothing was saved: {error}") from error


def _checkout(path: Path) -> Checkout | None:
    try:
        return Checkout.around(path)
    except SetupError as error:
        raise Problem(409, f"nothing was saved: {error}") from error


def _put(path: Path, raw: bytes | None) -> None:
    """The file's content exchanged at one instant."""
    if raw is None:
        path.unlink(missing_ok=True)
        return
    # A dot before the name: a file that is half written is no generator.
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(descriptor, path.stat().st_mode & 0o777 if path.exists() else MODE)
            stream.write(raw)
            stream.flush()
            os.fsync(descriptor)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
