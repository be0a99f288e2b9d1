"""`imagesmith cancel`: end a build; what it made on its clouds is deleted."""

from __future__ import annotations

import argparse
from typing import Any

from imagesmith.airflow_client import AirflowClient, NoSuchRun, Run
from imagesmith.commands import words
from imagesmith.errors import BuildStateError


def add_parser(subparsers: Any) -> None:
    """Adds the command to the parser of `imagesmith`."""
    parser = subparsers.add_parser("cancel", help="end a build and delete what it made")
    parser.add_argument(
        "build", type=words.build, metavar="BUILD", help="a build's id or its run's, as `build` and `status` print them"
    )
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """0 once the build's tasks are told to end; the deletion takes its time after that."""
    airflow = AirflowClient()
    found = _run_of(args.build, airflow)
    if found.ended:
        raise BuildStateError(f"{args.build}: its run {found.run_id} of {found.dag_id} is over: {found.state}")
    airflow.fail_run(found.dag_id, found.run_id)
    print(
        f"run {found.run_id} of {found.dag_id} is marked failed; its teardown deletes what it made\n"
        f"{airflow.run_address(found.dag_id, found.run_id)}"
    )
    return 0


def _run_of(word: str, airflow: AirflowClient) -> Run:
    """The run of that build, or of that run id; raises BuildStateError."""
    from imagesmith.catalog.store import Catalog

    try:
        build = Catalog().build(word)
    except BuildStateError:
        runs = airflow.find_runs(word)
    else:
        try:
            runs = [airflow.run(build.dag_id, build.run_id)]
        except NoSuchRun as error:
            raise BuildStateError(
                f"{word}: its run is no longer in Airflow; the janitor ends the build and deletes what it left"
            ) from error
    if len(runs) == 1:
        return runs[0]
    if not runs:
        raise BuildStateError(f"{word}: neither a build nor a run of that id; see `imagesmith status`")
    names = ", ".join(run.dag_id for run in runs)
    raise BuildStateError(f"{word}: {names} each have a run of that id; name the build instead")
