"""`imagesmith secret`: a new deployment secret."""

from __future__ import annotations

import argparse
import base64
import secrets
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Adds the command to the parser of `imagesmith`."""
    parser = subparsers.add_parser(
        "secret",
        help="print a new IMAGESMITH_SECRET",
        description="A new secret for IMAGESMITH_SECRET, which every component of a deployment must have the same. "
        "The SSH keys of builds are derived from it: change it only while no build runs.",
    )
    parser.set_defaults(func=run)


def run(_args: argparse.Namespace) -> int:
    """0, after the secret was printed."""
    from imagesmith.keys import SECRET_BYTES

    print(base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).decode())
    return 0
