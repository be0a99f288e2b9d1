"""`imagesmith search`: which images hold a package, of any version or of versions before, at or after one."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagesmith.catalog.lineage import Holding


def add_parser(subparsers: Any) -> None:
    """Adds the command to the parser of `imagesmith`."""
    parser = subparsers.add_parser("search", help="show which images hold a package")
    parser.add_argument(
        "package",
        metavar="PACKAGE[<VERSION]",
        help="a package's name, or one with <, <=, =, >= or > and a version, in quotes; `pip:NAME` asks one manager",
    )
    parser.add_argument("--all", action="store_true", help="show images that were deleted, too")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """0, after the images were printed, also if there are none; raises QuestionRefused."""
    from imagesmith.catalog.store import Catalog
    from imagesmith.search import search
    from imagesmith.tables import columns
    from imagesmith.versions import question

    asked = question(args.package)
    answer = search(Catalog(), asked)
    held = [each for each in answer.held if args.all or each.image.deleted_at is None]
    if answer.uncompared:
        print(f"not compared with {asked.version}: {', '.join(answer.uncompared)}", file=sys.stderr)
    if args.json:
        print(json.dumps([{**asdict(each.image), "package": each.package.model_dump()} for each in held], default=str))
    elif not held:
        print(f"no image with {asked} is known; `--all` looks at deleted ones, too")
    else:
        heading = ("PACKAGE", "VERSION", "IMAGE", "CLOUD", "NAME", "GENERATOR", "SAVED")
        print("\n".join(columns([heading, *map(_row, held)])))
    return 0


def _row(holding: Holding) -> tuple[str, ...]:
    from imagesmith.things import package_name

    image, package = holding.image, holding.package
    return (
        package_name(package),
        package.version,
        image.image_id,
        image.cloud,
        image.name,
        f"{image.generator} {image.version}",
        image.created_at.astimezone().strftime("%Y-%m-%d %H:%M"),
    )
