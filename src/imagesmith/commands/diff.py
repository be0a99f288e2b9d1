"""`imagesmith diff`: in what two images differ, inside and in what made them."""

from __future__ import annotations

import argparse
import json
from typing import Any

from imagesmith.commands.image_choice import add_image, the_image


def add_parser(subparsers: Any) -> None:
    """Adds the command to the parser of `imagesmith`."""
    parser = subparsers.add_parser("diff", help="show in what two images differ, inside and in what made them")
    add_image(parser, "before")
    add_image(parser, "after")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """0, after the differences were printed; raises QuestionRefused for an image that nobody knows."""
    from imagesmith import image_diff
    from imagesmith.catalog.store import Catalog
    from imagesmith.story import story_of

    catalog = Catalog()
    before, after = (story_of(catalog, the_image(catalog, word)) for word in (args.before, args.after))
    found = image_diff.diff(before, after)
    if args.json:
        print(json.dumps(image_diff.as_json(found), indent=2))
    else:
        print("\n".join(image_diff.told(found)))
    return 0
