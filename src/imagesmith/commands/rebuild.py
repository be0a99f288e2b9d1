"""`imagesmith rebuild`: a build once more, from the very same inputs, as the catalog remembers them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from imagesmith.airflow_client import AirflowClient, NoSuchGenerator
from imagesmith.commands import words
from imagesmith.commands.build import start, wait
from imagesmith.commands.passwords import typed_in
from imagesmith.errors import DefinitionError

if TYPE_CHECKING:
    from imagesmith.cloud_settings import CloudSettings
    from imagesmith.generator import Generator


def add_parser(subparsers: Any) -> None:
    """Adds the command to the parser of `imagesmith`."""
    parser = subparsers.add_parser("rebuild", help="build again from the exact inputs of an earlier build")
    parser.add_argument(
        "build",
        type=words.build,
        metavar="BUILD",
        help="a build's id, its run's, or a generator's name for its latest build",
    )
    parser.add_argument("--wait", action="store_true", help="follow it to its end, as `build` does")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """0 once the run is started; with `--wait` 0 if the build is successful, else 1."""
    from imagesmith.catalog.store import Catalog
    from imagesmith.commands.status import find
    from imagesmith.plan import Plan
    from imagesmith.rebuilding import conf_of
    from imagesmith.steps.begin_again import refuse_impossible

    catalog = Catalog()
    build = find(catalog, args.build)
    plan = Plan.model_validate(build.plan)
    if not plan.scripts:
        raise DefinitionError(
            f"{build.build_id}: was read back from its images' tags, so its script is not known; build "
            f"{build.generator} from its file instead"
        )
    found = _local(build.generator)
    if found is not None:
        refuse_impossible(build, *found, catalog=catalog)
    airflow = AirflowClient()
    people = sys.stderr if args.json else sys.stdout
    conf = conf_of(plan, found[0] if found else None)
    conf |= typed_in(build.generator, conf, secrets=plan.secrets)
    try:
        started = start(build.dag_id, conf, airflow=airflow, people=people)
    except NoSuchGenerator as error:
        raise DefinitionError(
            f"{error}; what is built comes from the catalog, but tasks need the generator's DAG: put "
            f"include/generators/{build.generator}.yaml back with the clouds {', '.join(plan.targets)}"
        ) from error
    if args.wait:
        return wait(started, airflow, people=people, as_json=args.json)
    if args.json:
        url = airflow.run_address(started.dag_id, started.run_id)
        print(json.dumps({"dag_id": started.dag_id, "run_id": started.run_id, "url": url}))
    return 0


def _local(name: str) -> tuple[Generator, Mapping[str, CloudSettings]] | None:
    from imagesmith.commands.choice import local_generator

    try:
        return local_generator(name)
    except DefinitionError:
        return None  # Airflow may still have the DAG of before the mistake
