"""What a generator brings to the VM: its scripts and files, read from `include` or out of the YAML itself."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from imagesmith.include_files import FileProblem, read_file, read_script, script_problem, target_problem
from imagesmith.yaml_source import Document, KeyPath

MAX_FILES_BYTES = 20 << 20  # all files of a generator together: they travel in every plan


class Script(BaseModel):
    """One customization script; `name` is for people."""

    model_config = ConfigDict(frozen=True)

    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Of the text as it arrives on the VM."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class UploadFile(BaseModel):
    """A file that is put on the VM at `path` before the scripts run."""

    model_config = ConfigDict(frozen=True)

    name: str
    path: str
    content: bytes

    @property
    def sha256(self) -> str:
        """Of the content."""
        return hashlib.sha256(self.content).hexdigest()


def read_scripts(document: Document, folder: Path) -> list[Script]:
    """The scripts that `script` or `scripts` of the file name or hold; a finding for each that cannot be used."""
    one, several = document.value.get("script"), document.value.get("scripts")
    if one is not None and several is not None:
        document.report(("scripts",), "stands beside `script`", "keep one of the two")
    if one is None and several is None:
        document.report(("script",), "is missing", "add `script:` with the name of a file in include/scripts")
    if several == []:
        document.report(("scripts",), "is empty", "name a script")
    found = [] if one is None else [_script(document, one, at=("script",), folder=folder, number=1)]
    for index, value in enumerate(several if isinstance(several, list) else []):
        at = ("scripts", index)
        found.append(_script(document, value, at=at, folder=folder, number=index + 1))
    return [script for script in found if script is not None]


def read_tests(document: Document, folder: Path) -> list[Script]:
    """The scripts that `tests` of the file names or holds; a finding for each that cannot be used."""
    named = document.value.get("tests")
    found = [
        _script(document, value, at=("tests", index), folder=folder, number=index + 1, inline="test")
        for index, value in enumerate(named if isinstance(named, list) else [])
    ]
    return [script for script in found if script is not None]


def _script(
    document: Document, value: object, *, at: KeyPath, folder: Path, number: int, inline: str = "inline"
) -> Script | None:
    if not isinstance(value, str):
        return None
    if "\n" in value or value.startswith("#!"):
        problem = script_problem(value)
        if problem:
            document.report(at, f"the text {problem[0]}", problem[1])
            return None
        return Script(name=f"{inline}-{number}", text=value)
    try:
        return Script(name=value, text=read_script(value, folder=folder))
    except FileProblem as error:
        document.report(at, error.message, error.cure)
        return None


def read_files(document: Document, folder: Path) -> list[UploadFile]:
    """The files that `files` names, by their path on the VM; a finding for each that cannot be used."""
    named = document.value.get("files")
    found: dict[str, UploadFile] = {}
    room = MAX_FILES_BYTES
    for name, path in named.items() if isinstance(named, dict) else ():
        file = _file(document, name, path, folder=folder)
        if file is None:
            continue
        if file.path in found:
            message = f"goes to {file.path}, as {found[file.path].name} does"
            document.report(("files", name), message, "choose another path")
        found[file.path] = file
        room -= len(file.content)
        if room < 0:  # the rest stays unread: a list of large files must not fill the memory
            message = f"the files are more than {MAX_FILES_BYTES >> 20} MiB together"
            document.report(("files",), message, "let the script fetch what is large")
            break
    return [found[path] for path in sorted(found)]


def _file(document: Document, name: str, path: object, *, folder: Path) -> UploadFile | None:
    if not isinstance(path, str):
        return None
    problem = target_problem(path)
    if problem:
        document.report(("files", name), *problem)
    try:
        return UploadFile(name=name, path=path, content=read_file(name, folder=folder))
    except FileProblem as error:
        document.report(("files", name), error.message, error.cure)
        return None
