"""`imagesmith build`: start a build over Airflow's REST API and, if wanted, follow it to its end."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from imagesmith.airflow_client import AirflowClient, NoSuchGenerator, Run
from imagesmith.commands.choice import add_choice, conf_of, local_generator
from imagesmith.commands.passwords import typed_in

if TYPE_CHECKING:
    from imagesmith.progress import BuildProgress

# A file that is dropped in is read within 30 s; a first start of Airflow takes some more.
READ_LIMIT_S = 60.0
READ_LOOK_S = 2.0


def add_parser(subparsers: Any) -> None:
    """Adds the command to the parser of `imagesmith`."""
    parser = subparsers.add_parser("build", help="start a build")
    add_choice(parser)
    parser.add_argument(
        "--wait",
        action="store_true",
        help="follow it to its end; exit code 0 only if all required targets succeeded",
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """0 once the run is started; with `--wait` 0 if the build is successful, else 1."""
    airflow = AirflowClient()
    people = sys.stderr if args.json else sys.stdout
    conf = conf_of(args)
    started = start(args.name, {**conf, **typed_in(args.name, conf)}, airflow=airflow, people=people)
    url = airflow.run_address(started.dag_id, started.run_id)
    if not args.wait:
        if args.json:
            print(json.dumps({"dag_id": started.dag_id, "run_id": started.run_id, "url": url}))
        return 0
    return wait(started, airflow, people=people, as_json=args.json)


def start(name: str, conf: Mapping[str, Any], *, airflow: AirflowClient, people: TextIO) -> Run:
    """The started run of the generator; one whose file was just dropped in is waited for until Airflow has read it."""
    deadline = time.monotonic() + READ_LIMIT_S
    while True:
        try:
            started = airflow.trigger(name, conf, note="started by imagesmith build")
            break
        except NoSuchGenerator as error:
            if local_generator(name) is None or time.monotonic() > deadline:
                raise
            print(f"{error}; its file is here, so Airflow will read it soon", file=people, flush=True)
            time.sleep(READ_LOOK_S)
    url = airflow.run_address(started.dag_id, started.run_id)
    print(f"{started.dag_id}: run {started.run_id} started\n{url}", file=people, flush=True)
    return started


def wait(started: Run, airflow: AirflowClient, *, people: TextIO, as_json: bool = False) -> int:
    """0 if the build of the run is successful, 1 if not, with the reasons; Ctrl-C leaves it running."""
    # Imported when the run is under way, so that it does not wait for them.
    from imagesmith import progress
    from imagesmith.screen import summary

    url = airflow.run_address(started.dag_id, started.run_id)
    try:
        last = _followed(started, airflow, people)
    except KeyboardInterrupt:
        cure = f"to end it: imagesmith cancel '{started.run_id}'"
        print(f"\nthe build goes on without this command; see {url}\n{cure}", file=sys.stderr)
        raise
    print("\n".join(summary(last)), file=people, flush=True)
    if not last.successful and progress.unexplained(last):
        print(progress.why(airflow.failures(started.dag_id, started.run_id)), file=people, flush=True)
    if as_json:
        print(json.dumps(progress.as_json(last, url=url), indent=2))
    return 0 if last.successful else 1


def _followed(started: Run, airflow: AirflowClient, people: TextIO) -> BuildProgress:
    """The last look at the build, after all the others were shown."""
    from imagesmith.catalog.store import Catalog
    from imagesmith.progress import follow
    from imagesmith.screen import open_screen

    screen = open_screen(people)
    last: BuildProgress | None = None
    try:
        for last in follow(started, catalog=Catalog(), airflow=airflow):
            screen.show(last)
    finally:
        screen.close()
    assert last is not None, "follow ends with the build's end or an error"
    return last
