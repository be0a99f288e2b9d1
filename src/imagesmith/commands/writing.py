"""`-o FILE`: where a command's document goes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from imagesmith.errors import SetupError


def add_output(parser: argparse.ArgumentParser) -> None:
    """Adds the option to a command."""
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it there instead of printing it")


def write(text: str, output: Path | None) -> None:
    """The text in the file, or printed; raises SetupError where the file cannot be written."""
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text)
    except OSError as error:
        raise SetupError(f"{output}: cannot be written: {error.strerror}; name another file with -o") from error


def read(path: Path, *, what: str) -> bytes:
    """The file's bytes; raises SetupError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror}; name the {what}") from error
