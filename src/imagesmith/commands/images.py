"""`imagesmith images`: the images that were saved, newest first."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from imagesmith.commands import words

if TYPE_CHECKING:
    from imagesmith.catalog.records import ImageRecord


# Enough to tell contents apart by; `show` and the JSON have all 64.
DIGEST_DIGITS = 12


def add_parser(subparsers: Any) -> None:
    """Adds the command to the parser of `imagesmith`."""
    parser = subparsers.add_parser("images", help="show the images that were saved, and what each was made from")
    parser.add_argument("--generator", type=words.name, metavar="NAME", help="only those of this generator")
    parser.add_argument("--cloud", type=words.name, metavar="CLOUD", help="only those on this cloud")
    parser.add_argument("--all", action="store_true", help="show those that were deleted, too")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """0, after the images were printed."""
    from imagesmith.catalog.store import Catalog
    from imagesmith.tables import columns

    found = Catalog().images(generator=args.generator, cloud=args.cloud, include_deleted=args.all)
    if args.json:
        print(json.dumps([asdict(image) for image in found], indent=2, default=str))
    elif not found:
        print(_nothing_found(args))
    else:
        heading = (
            "IMAGE",
            "CLOUD",
            "STATE",
            "NAME",
            "GENERATOR",
            "VERSION",
            "MADE FROM",
            "SAVED",
            "BUILD",
            "VERIFIED",
            "DIGEST",
        )
        print("\n".join(columns([heading, *map(_row, found)])))
    return 0


def _nothing_found(args: argparse.Namespace) -> str:
    wanted = [f"of generator {args.generator}"] if args.generator else []
    wanted += [f"on cloud {args.cloud}"] if args.cloud else []
    if wanted:
        return f"no image {' '.join(wanted)} is known; `imagesmith images --all` shows all there are"
    return "no image was saved yet; `imagesmith build NAME --wait` makes some"


def _row(image: ImageRecord) -> tuple[str, ...]:
    return (
        image.image_id,
        image.cloud,
        f"{image.state}, public" if image.public else str(image.state),
        image.name,
        image.generator,
        image.version,
        image.source_image_id,
        image.created_at.astimezone().strftime("%Y-%m-%d %H:%M"),
        image.build_id,
        "yes" if image.verified_at else "no",
        image.inventory_digest[:DIGEST_DIGITS] or "-",
    )
