"""`imagesmith catalog`: the catalog itself; `rebuild` reads back from the clouds' own tags what it has lost."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from imagesmith.tables import columns

if TYPE_CHECKING:
    from imagesmith.steps.recover import Recovered

DAG_ID, TASK_ID = "imagesmith_catalog_rebuild", "read"
LIMIT_S = 930.0  # the task has fifteen minutes


def add_parser(subparsers: Any) -> None:
    """Adds the command to the parser of `imagesmith`."""
    parser = subparsers.add_parser("catalog", help="read back from the clouds' tags what the catalog has lost")
    verbs = parser.add_subparsers(required=True, metavar="rebuild")
    rebuild = verbs.add_parser("rebuild", help="take images, builds and parents from the tags on every cloud")
    rebuild.add_argument("--json", action="store_true", help="print one JSON object for each cloud")
    rebuild.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """0 when every cloud that has a connection was read, else 1."""
    from imagesmith.commands.asking import result_of

    answers: list[Recovered] = result_of(DAG_ID, TASK_ID, {}, limit_s=LIMIT_S, note="imagesmith catalog rebuild")
    if args.json:
        print(json.dumps(answers, indent=2))
    else:
        print("\n".join(_shown(answers)))
    return 1 if any(answer["problem"] for answer in answers) else 0


def _shown(answers: list[Recovered]) -> list[str]:
    if not answers:
        return ["there is no cloud in include/clouds.yaml to read from"]
    heading = ("CLOUD", "IMAGES", "NEW", "KNOWN", "OTHERS'")
    rows = [(each["cloud"], *(str(each[key]) for key in ("images", "added", "known", "others"))) for each in answers]
    remarks = [each["problem"] or each["left_out"] for each in answers]
    return [*columns([heading, *rows]), *(remark for remark in remarks if remark)]
