"""`imagesmith`: the command line. One module a command in `imagesmith.commands`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from imagesmith import __version__
from imagesmith.commands import COMMANDS
from imagesmith.errors import ImagesmithError
from imagesmith.proxies import leave_out_loopback

# What a shell says of a program that Ctrl-C ended.
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of the command in `arguments`, by default the process's own."""
    leave_out_loopback(os.environ)
    words = sys.argv[1:] if arguments is None else list(arguments)
    if (odd := next((word for word in words if not _is_text(word)), None)) is not None:
        print(f"imagesmith: the argument {odd!r:.80} is not text in UTF-8; write it anew", file=sys.stderr)
        return 2
    chosen = _parser(words[0] if words else "").parse_args(words)
    try:
        return int(chosen.func(chosen))
    except ImagesmithError as error:
        print(f"imagesmith: {_shown(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader, `head` perhaps, has seen enough; without this the interpreter complains at its end.
        sys.stdout = None
        return 0


def _is_text(word: str) -> bool:
    """False for bytes that were no text, which Python hands on as halves of characters."""
    try:
        return b"\0" not in word.encode()
    except UnicodeEncodeError:
        return False


def _shown(error: ImagesmithError) -> str:
    """The error's lines with nothing in them that a terminal would act on."""
    from imagesmith.findings import on_one_line

    return "\n".join(on_one_line(line) for line in str(error).split("\n"))


def _parser(word: str) -> argparse.ArgumentParser:
    """The parser with the one command that `word` names, so that no other is imported, or with all."""
    parser = argparse.ArgumentParser(prog="imagesmith", description="The same VM image on many clouds, with proof.")
    parser.add_argument("--version", action="version", version=f"imagesmith {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in [COMMANDS[word]] if word in COMMANDS else COMMANDS.values():
        import_module(module).add_parser(subparsers)
    return parser


if __name__ == "__main__":
    sys.exit(main())
