"""`imagesmith airflow up | down | status`: the Airflow of this machine."""

import argparse
import sys
from typing import Any

from imagesmith.local import deployment


def add_parser(subparsers: Any) -> None:
    """Adds the command to those of `imagesmith`."""
    parser = subparsers.add_parser("airflow", help="start and stop the Airflow of this machine")
    actions = parser.add_subparsers(dest="action", required=True, metavar="up|down|status")
    for name, run, about in (
        ("up", _up, "start what is not running, and wait until it is well"),
        ("down", _down, "end it; builds that run are taken up at the next start"),
        ("status", _status, "show how each part is; exit code 1 unless all are well"),
    ):
        actions.add_parser(name, help=about).set_defaults(func=run)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _up(_args: argparse.Namespace) -> int:
    address = deployment.up(_say)
    print(f"Airflow: {address.url}")
    print(f"user {address.username}, password: IMAGESMITH_AIRFLOW_PASSWORD in {address.environment_file}")
    return 0


def _down(_args: argparse.Namespace) -> int:
    _say("Airflow is down" if deployment.down(_say) else "Airflow was not running")
    return 0


def _status(_args: argparse.Namespace) -> int:
    states = deployment.status()
    for name, state in states.items():
        print(f"{name:15} {state}")
    return 0 if set(states.values()) == {"well"} else 1
