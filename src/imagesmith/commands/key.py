"""`imagesmith key`: the public half of the key this deployment signs with, to be handed to others."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from imagesmith import settings
from imagesmith.commands.writing import add_output, write
from imagesmith.errors import SetupError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def add_parser(subparsers: Any) -> None:
    """Adds the command to the parser of `imagesmith`."""
    parser = subparsers.add_parser(
        "key",
        help="print the public key by which others check this deployment's statements",
        description="The public key in PEM, and its id, the SHA-256 of its DER form. The private key is derived from "
        "IMAGESMITH_SECRET and stored nowhere; another secret is another key.",
    )
    add_output(parser)
    parser.add_argument("--json", action="store_true", help="print key and id as one JSON object")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """0, after the key was written."""
    from imagesmith.envelope import key_id, public_pem

    key = own_key()
    if args.json:
        write(json.dumps({"key_id": key_id(key), "public_key": public_pem(key)}, indent=2) + "\n", args.output)
        return 0
    write(public_pem(key), args.output)
    print(f"key id {key_id(key)}", file=sys.stderr)  # beside the key, so that what is redirected is the key alone
    return 0


def own_key() -> Ed25519PublicKey:
    """The public key of this deployment; raises SetupError where it has no secret."""
    from imagesmith.keys import parse_secret, signing_key

    text = settings.secret_text()
    if not text:
        raise SetupError(
            "IMAGESMITH_SECRET is not set, so there is no key of this deployment; set the deployment's secret, "
            "or give `imagesmith verify` its public key with --key"
        )
    return signing_key(parse_secret(text)).public_key()
