"""`imagesmith validate`: every mistake in what the user wrote."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from imagesmith.findings import Finding
from imagesmith.generator import validate


def add_parser(subparsers: Any) -> None:
    """Adds the command to the parser of `imagesmith`."""
    parser = subparsers.add_parser(
        "validate", help="report every mistake in generators and clouds.yaml, with line and cure"
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="all of include/ if none is given")
    parser.add_argument("--json", action="store_true", help="print the findings as one JSON list")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """0 if nothing was found, else 1."""
    findings = validate(args.files)
    lines = _json_lines(findings) if args.json else _lines(findings, checked=len(args.files))
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 1 if findings else 0


def _json_lines(findings: Sequence[Finding]) -> list[str]:
    return [json.dumps([asdict(found) for found in findings], indent=2)]


def _lines(findings: Sequence[Finding], *, checked: int) -> list[str]:
    what = "all generators and clouds" if not checked else f"{checked} file{'s' * (checked != 1)}"
    if not findings:
        return [f"{what}: no mistakes"]
    count = len(findings)
    return [*map(str, findings), f"{what}: {count} mistake{'s' * (count != 1)}"]
