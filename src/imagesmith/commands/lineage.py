"""`imagesmith lineage`: what an image was made from and what was made from it, on all clouds of its build."""

from __future__ import annotations

import argparse
import json
from typing import Any

from imagesmith.commands.image_choice import add_image, the_image


def add_parser(subparsers: Any) -> None:
    """Adds the command to the parser of `imagesmith`."""
    parser = subparsers.add_parser("lineage", help="show what an image was made from and what was made from it")
    add_image(parser)
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--dot", action="store_true", help="print a graph for Graphviz")
    shape.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """0, after the lineage was printed; raises QuestionRefused for an image that nobody knows."""
    from imagesmith import lineage as reading
    from imagesmith.catalog.store import Catalog

    catalog = Catalog()
    found = reading.lineage_of(catalog, the_image(catalog, args.image))
    if args.json:
        print(json.dumps(reading.as_json(found), indent=2, default=str))
    else:
        print(reading.as_dot(found) if args.dot else "\n".join(reading.drawn(found)))
    return 0
