"""Files that a generator names: read only from their folder, with every reason why one cannot be used."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

MAX_SCRIPT_BYTES = 1 << 20
MAX_FILE_BYTES = 10 << 20

Problem = tuple[str, str]


class FileProblem(Exception):
    """Why a named file cannot be used, and the cure."""

    def __init__(self, message: str, cure: str) -> None:
        super().__init__(message)
        self.message, self.cure = message, cure


def read_script(name: str, *, folder: Path) -> str:
    """The text of a script in the folder; raises FileProblem."""
    raw = read_file(name, folder=folder, limit=MAX_SCRIPT_BYTES)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise FileProblem(f"{name} is not text in UTF-8 (line {line})", "save it as UTF-8") from None
    problem = script_problem(text)
    if problem:
        raise FileProblem(f"{name} {problem[0]}", problem[1])
    return text


def script_problem(text: str) -> Problem | None:
    """What keeps a text from being run as a script, as the end of a sentence, and its cure; or None."""
    if not text.strip():
        return "is empty", "write #!/bin/bash and the commands"
    if "\0" in text:
        return "holds a NUL character", "scripts are text; bring other data under files:"
    if "\r\n" in text:
        line = text[: text.index("\r\n")].count("\n") + 1
        return f"has Windows line ends (line {line})", "save it with Unix line ends"
    if "\r" in text.partition("\n")[0]:
        return "has a carriage return in its first line", "save it with Unix line ends"
    if not re.match(r"#![ \t]*/\S", text):
        cure = "make the first line #!/bin/bash or another interpreter's path"
        if text.startswith("\ufeff"):
            return "begins with a byte order mark, so its #! is not seen", "save it as UTF-8 without BOM"
        return "does not begin with #! and an interpreter", cure
    if len(text.encode()) > MAX_SCRIPT_BYTES:
        return "is larger than 1 MiB", "bring data under files:"
    return None


def read_file(name: str, *, folder: Path, limit: int = MAX_FILE_BYTES) -> bytes:
    """The content of the file of that name in the folder or below; raises FileProblem."""
    path = _path(name, folder)
    try:
        with path.open("rb") as stream:
            content = stream.read(limit + 1)
    except OSError as error:
        raise FileProblem(f"{name} cannot be read: {error.strerror}", "check its owner and mode") from error
    if len(content) > limit:
        raise FileProblem(f"{name} is larger than {limit >> 20} MiB", "let the script fetch what is large")
    return content


def _path(name: str, folder: Path) -> Path:
    where = f"{folder.parent.name}/{folder.name}"
    inside = f"put it into {where} and write its name"
    if not name or "\0" in name or len(os.fsencode(name)) > 1024:
        raise FileProblem("names no file", inside)
    if name.startswith(("/", "~")) or ".." in PurePosixPath(name).parts:
        raise FileProblem(f"{name} leads out of {where}", inside)
    path = folder / name
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):  # missing, a dangling link, a loop of links
        raise FileProblem(f"there is no {where}/{name}", "create it or correct the name") from None
    if not real.is_relative_to(folder.resolve()):
        raise FileProblem(f"{name} is a link that leads out of {where}", inside)
    if not real.is_file():
        raise FileProblem(f"{where}/{name} is not a regular file", "name a file")
    return real


def target_problem(path: str) -> Problem | None:
    """What keeps a path from being one for a file on the VM, and its cure; or None."""
    cure = "write an absolute path of a file, e.g. /etc/motd"
    if not path.startswith("/"):
        return f"{path!r} is not an absolute path", cure
    if re.search(r"[\x00-\x1f\x7f]", path):
        return f"{path!r} holds a control character", cure
    if (
        path.startswith("//")
        or path.endswith("/")
        or path != str(PurePosixPath(path))
        or ".." in PurePosixPath(path).parts
    ):
        return f"{path!r} is not a plain path of a file", cure
    if len(path.encode()) > 1024 or any(len(part.encode()) > 255 for part in PurePosixPath(path).parts):
        return "the path is longer than 1024 bytes, or a name in it than 255", cure
    return None
