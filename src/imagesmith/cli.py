"""`imagesmith`: the command line. One module a command in `imagesmith.commands`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from imagesmith import __version__
from imagesmith.commands import COMMANDS
from imagesmith.errors import ImagesmithError


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of the command in `arguments`, by default the process's own."""
    parser = argparse.ArgumentParser(prog="imagesmith", description="The same VM image on many clouds, with proof.")
    parser.add_argument("--version", action="version", version=f"imagesmith {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for add_parser in COMMANDS:
        add_parser(subparsers)
    chosen = parser.parse_args(arguments)
    try:
        return int(chosen.func(chosen))
    except ImagesmithError as error:
        print(f"imagesmith: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
