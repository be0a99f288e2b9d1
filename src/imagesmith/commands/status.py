"""`imagesmith status`: the latest builds, or one of them with its targets and steps."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from imagesmith.airflow_client import AirflowClient
from imagesmith.commands import words
from imagesmith.errors import BuildStateError

if TYPE_CHECKING:
    from imagesmith.catalog.records import BuildRecord
    from imagesmith.catalog.store import Catalog
    from imagesmith.progress import BuildProgress

LATEST = 10


def add_parser(subparsers: Any) -> None:
    """Adds the command to the parser of `imagesmith`."""
    parser = subparsers.add_parser("status", help="show the latest builds, or one with its steps")
    parser.add_argument(
        "build",
        type=words.build,
        nargs="?",
        metavar="BUILD",
        help="a build's id, its run's, or a generator's name for its latest build",
    )
    parser.add_argument(
        "--limit",
        type=words.number_of_builds,
        default=LATEST,
        metavar="N",
        help=f"so many builds ({LATEST} by default)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """0; raises BuildStateError for a build that nobody knows."""
    from imagesmith.catalog.store import Catalog
    from imagesmith.progress import look

    catalog = Catalog()
    if args.build is not None:
        _show_one(look(catalog, find(catalog, args.build)), as_json=args.json)
        return 0
    _show_all([look(catalog, build) for build in catalog.builds(limit=args.limit)], as_json=args.json)
    return 0


def find(catalog: Catalog, word: str) -> BuildRecord:
    """The build of that id or run id, else the latest of the generator of that name; raises BuildStateError."""
    try:
        return catalog.build(word)
    except BuildStateError:
        latest = catalog.builds(limit=words.MOST_BUILDS)
    for build in latest:
        if word in (build.run_id, build.generator):
            return build
    raise BuildStateError(f"{word}: neither a build nor a generator that was built; see `imagesmith status`")


def _show_one(progress: BuildProgress, *, as_json: bool) -> None:
    from imagesmith import progress as reading
    from imagesmith.screen import summary

    url = _address(progress.build)
    if as_json:
        print(json.dumps(reading.as_json(progress, url=url), indent=2))
        return
    build = progress.build
    print("\n".join(summary(progress)))
    print(f"  requested {build.requested_how} {build.requested_by}".rstrip())
    if not build.read_back:  # of such a build no run is known
        print(f"  run {build.run_id}: {url}")


def _show_all(found: list[BuildProgress], *, as_json: bool) -> None:
    from imagesmith import progress as reading
    from imagesmith.tables import columns

    if as_json:
        print(json.dumps([reading.as_json(each, url=_address(each.build)) for each in found], indent=2))
        return
    if not found:
        print("nothing was built yet; `imagesmith build NAME` starts a build")
        return
    heading = ("BUILD", "GENERATOR", "VERSION", "STATE", "BEGAN", "TOOK", "TARGETS")
    print("\n".join(columns([heading, *map(_row, found)])))


def _row(progress: BuildProgress) -> tuple[str, ...]:
    build = progress.build
    targets = [
        f"{each.cloud} {each.target.state}" + (f" {each.image.image_id}" if each.image else "")
        for each in progress.targets
    ]
    began = build.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    took = f"{progress.seconds(datetime.now(UTC)):.0f} s"
    return (build.build_id, build.generator, build.version, str(build.state), began, took, ", ".join(targets))


def _address(build: BuildRecord) -> str:
    return AirflowClient().run_address(build.dag_id, build.run_id)
