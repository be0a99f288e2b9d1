"""`imagesmith show`: one image: what is in it, from what, by which script, by whom, when and in which build."""

from __future__ import annotations

import argparse
import json
from typing import Any

from imagesmith.commands.image_choice import add_image, the_image


def add_parser(subparsers: Any) -> None:
    """Adds the command to the parser of `imagesmith`."""
    parser = subparsers.add_parser("show", help="show what is in an image, from what, and by which script and build")
    add_image(parser)
    parser.add_argument("--script", action="store_true", help="print the scripts' texts as well")
    parser.add_argument("--inside", action="store_true", help="print everything that is inside as well")
    parser.add_argument("--json", action="store_true", help="print one JSON object with all of it")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """0, after the image's story was printed; raises QuestionRefused for one that nobody knows."""
    from imagesmith import story as reading
    from imagesmith.airflow_client import AirflowClient
    from imagesmith.catalog.store import Catalog

    catalog = Catalog()
    story = reading.story_of(catalog, the_image(catalog, args.image))
    url = AirflowClient().run_address(story.build.dag_id, story.build.run_id)
    if args.json:
        print(json.dumps(reading.as_json(story, url=url), indent=2, default=str))
        return 0
    lines = reading.told(story, url=url)
    if args.script:
        for script in story.plan.scripts:
            lines += ["", f"--- {script.name}", script.text.rstrip("\n")]
    if args.inside and story.inventory:
        lines += ["", *(f"{thing}  {value}" for thing, value in reading.inside(story.inventory))]
    print("\n".join(lines))
    return 0
