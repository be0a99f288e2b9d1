"""`imagesmith provenance`: the signed statement about a build's images, for others to check."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from imagesmith.commands import words
from imagesmith.commands.writing import add_output, write
from imagesmith.errors import BuildStateError

if TYPE_CHECKING:
    from imagesmith.catalog.records import BuildRecord


def _none(build: BuildRecord) -> BuildStateError:

    if build.read_back:
        return BuildStateError(
            f"build {build.build_id} was read back from its images' tags, and its statement went with a catalog "
            "that was lost; take the file that was written before, which still holds, or build anew"
        )
    why = "none of its new images has an inventory" if build.state.ended else f"it is {build.state}; wait for its end"
    return BuildStateError(f"build {build.build_id} has no statement: {why}; see `imagesmith status {build.build_id}`")


def add_parser(subparsers: Any) -> None:
    """Adds the command to the parser of `imagesmith`."""
    parser = subparsers.add_parser(
        "provenance",
        help="write the signed statement about a build's images",
        description="The statement says which images a build made, of which content, from what and by whom. It is "
        "signed with this deployment's key, and `imagesmith verify` checks it on any machine.",
    )
    parser.add_argument(
        "build",
        type=words.build,
        metavar="BUILD",
        help="a build's id, its run's, or a generator's name for its latest build",
    )
    add_output(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """0, after the envelope was written; raises BuildStateError where the build has none."""
    from imagesmith.catalog.store import Catalog
    from imagesmith.commands.status import find

    build = find(Catalog(), args.build)
    if not build.provenance:
        raise _none(build)
    write(build.provenance, args.output)
    return 0
