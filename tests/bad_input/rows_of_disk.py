# ruff: noqa: E501 (a row is a line where it can be)
"""What may lie in include/ beside the files themselves: links out of it, pipes, devices, files of other forms."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from .row import Row
from .rows_of_generators import BASE, ONE_SCRIPT, SHEBANG

Prepare = Callable[[Path], None]


def generator(text: str) -> Prepare:
    """include/generators/x.yaml with that text."""

    def prepare(include: Path) -> None:
        (include / "generators" / "x.yaml").write_text(text)

    return prepare


def script(content: bytes) -> Prepare:
    """A script of that content, which x.yaml names."""

    def prepare(include: Path) -> None:
        (include / "scripts" / "bad.sh").write_bytes(content)
        generator(BASE.replace("ok.sh", "bad.sh"))(include)

    return prepare


def odd_script(make: Callable[[Path], object]) -> Prepare:
    """A script made by `make`, which x.yaml names."""

    def prepare(include: Path) -> None:
        make(include / "scripts" / "bad.sh")
        generator(BASE.replace("ok.sh", "bad.sh"))(include)

    return prepare


def odd_file(make: Callable[[Path], object]) -> Prepare:
    """A file to upload made by `make`, which x.yaml names."""

    def prepare(include: Path) -> None:
        make(include / "files" / "bad")
        generator(BASE + "files: {bad: /etc/x}\n")(include)

    return prepare


def odd_generator(name: str, make: Callable[[Path], object] = lambda path: path.write_text(BASE)) -> Prepare:
    """A file of that name in include/generators."""
    return lambda include: make(include / "generators" / name)  # type: ignore[return-value]  # what make gives, nobody looks at


def sparse(size: int) -> Callable[[Path], None]:
    """A file of that size that takes no room."""

    def make(path: Path) -> None:
        with path.open("wb") as stream:
            stream.truncate(size)

    return make


def three_large_files(include: Path) -> None:
    for name in ("one", "two", "three"):
        sparse(8 << 20)(include / "files" / name)
    generator(BASE + "files: {one: /one, two: /two, three: /three}\n")(include)


def folder_that_is_a_link(include: Path) -> None:
    (include / "scripts" / "up").symlink_to(include.parent)
    (include.parent / "secret.sh").write_text("#!/bin/sh\n")
    generator(BASE.replace("ok.sh", "up/secret.sh"))(include)


def link_to_the_shadow(path: Path) -> None:
    path.symlink_to("/etc/shadow")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def link_to_nothing(path: Path) -> None:
    path.symlink_to(path.with_name("nothing"))


def link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


NAME = ("is not a name for a generator", "rename the file: use a-z, 0-9 and hyphens")
KEPT = ("is kept for Imagesmith's own DAGs", "rename the file")
LEADS_OUT = ("bad.sh is a link that leads out of include/scripts", ONE_SCRIPT)

ROWS = [
    Row("disk-script-empty", "x.yaml:1: script", script(b""), ("bad.sh is empty", "write #!/bin/bash and the commands")),
    Row("disk-script-blank", "x.yaml:1: script", script(b"\n \n"), ("bad.sh is empty", "write #!/bin/bash and the commands")),
    Row("disk-script-without-interpreter", "x.yaml:1: script", script(b"true\n"), ("bad.sh does not begin with #! and an interpreter", SHEBANG)),
    Row("disk-script-windows-lines", "x.yaml:1: script", script(b"#!/bin/sh\ntrue\r\n"), ("bad.sh has Windows line ends (line 2)", "save it with Unix line ends")),
    Row("disk-script-old-mac-lines", "x.yaml:1: script", script(b"#!/bin/sh\rtrue\r"), ("bad.sh has a carriage return in its first line", "save it with Unix line ends")),
    Row("disk-script-byte-order-mark", "x.yaml:1: script", script("\ufeff#!/bin/sh\n".encode()), ("bad.sh begins with a byte order mark", "save it as UTF-8 without BOM")),
    Row("disk-script-utf-16", "x.yaml:1: script", script("#!/bin/sh\n".encode("utf-16")), ("bad.sh is not text in UTF-8 (line 1)", "save it as UTF-8")),
    Row("disk-script-a-program", "x.yaml:1: script", script(b"\x7fELF\x02\x01\x01\0\0\xff"), ("bad.sh is not text in UTF-8", "save it as UTF-8")),
    Row("disk-script-nul", "x.yaml:1: script", script(b"#!/bin/sh\n\0\n"), ("bad.sh holds a NUL character", "bring other data under files:")),
    Row("disk-script-large", "x.yaml:1: script", script(b"#!/bin/sh\n" + b"#" * (1 << 20)), ("bad.sh is larger than 1 MiB", "let the script fetch what is large")),
    Row("disk-script-a-link-out", "x.yaml:1: script", odd_script(link_to_the_shadow), LEADS_OUT),
    Row("disk-script-a-link-to-a-device", "x.yaml:1: script", odd_script(link_to_a_device), LEADS_OUT),
    Row("disk-script-a-link-to-itself", "x.yaml:1: script", odd_script(link_to_itself), ("there is no include/scripts/bad.sh", "create it or correct the name")),
    Row("disk-script-a-link-to-nothing", "x.yaml:1: script", odd_script(link_to_nothing), ("there is no include/scripts/bad.sh", "create it or correct the name")),
    Row("disk-script-under-a-link-out", "x.yaml:1: script", folder_that_is_a_link, ("up/secret.sh is a link that leads out of include/scripts", ONE_SCRIPT)),
    Row("disk-script-a-folder", "x.yaml:1: script", odd_script(Path.mkdir), ("include/scripts/bad.sh is not a regular file", "name a file")),
    Row("disk-script-a-pipe", "x.yaml:1: script", odd_script(os.mkfifo), ("include/scripts/bad.sh is not a regular file", "name a file")),
    Row("disk-file-a-link-out", "x.yaml:7: files.bad", odd_file(link_to_the_shadow), ("bad is a link that leads out of include/files", "put it into include/files and write its name")),
    Row("disk-file-a-folder", "x.yaml:7: files.bad", odd_file(Path.mkdir), ("include/files/bad is not a regular file", "name a file")),
    Row("disk-file-a-pipe", "x.yaml:7: files.bad", odd_file(os.mkfifo), ("include/files/bad is not a regular file", "name a file")),
    Row("disk-file-of-11-MiB", "x.yaml:7: files.bad", odd_file(sparse(11 << 20)), ("bad is larger than 10 MiB", "let the script fetch what is large")),
    Row("disk-files-of-24-MiB-together", "x.yaml:7: files", three_large_files, ("the files are more than 20 MiB together", "let the script fetch what is large")),
    Row("disk-generator-in-capitals", "X.yaml:1: name", odd_generator("X.yaml"), NAME),
    Row("disk-generator-of-two-names", "a.b.yaml:1: name", odd_generator("a.b.yaml"), NAME),
    Row("disk-generator-a-command", "$(reboot).yaml:1: name", odd_generator("$(reboot).yaml"), NAME),
    Row("disk-generator-an-option", "-rf.yaml:1: name", odd_generator("-rf.yaml"), NAME),
    Row("disk-generator-of-two-lines", r"a\nb.yaml:1: name", odd_generator("a\nb.yaml"), NAME),
    Row("disk-generator-that-paints", r"\x1b[31m.yaml:1: name", odd_generator("\x1b[31m.yaml"), NAME),
    Row("disk-generator-not-utf-8", r"\udcff.yaml:1: name", odd_generator(os.fsdecode(b"\xff.yaml")), NAME),
    Row("disk-generator-of-64", f"{'a' * 64}.yaml:1: name", odd_generator(f"{'a' * 64}.yaml"), NAME),
    Row("disk-generator-named-as-our-dag", "maintenance.yaml:1: name", odd_generator("maintenance.yaml"), KEPT),
    Row("disk-generator-named-as-ours", "imagesmith-x.yaml:1: name", odd_generator("imagesmith-x.yaml"), KEPT),
    Row("disk-generator-yml", "x.yml: ", odd_generator("x.yml"), ("files of generators end in .yaml", "name it x.yaml")),
    Row("disk-generator-a-folder", "x.yaml: ", odd_generator("x.yaml", Path.mkdir), ("it is not a regular file", "name a file")),
    Row("disk-generator-a-pipe", "x.yaml: ", odd_generator("x.yaml", os.mkfifo), ("it is not a regular file", "name a file")),
    Row("disk-generator-a-device", "x.yaml: ", odd_generator("x.yaml", link_to_a_device), ("it is not a regular file", "name a file")),
    Row("disk-generator-a-link-to-nothing", "x.yaml: ", odd_generator("x.yaml", link_to_nothing), ("there is no such file", "check the name")),
]  # fmt: skip
