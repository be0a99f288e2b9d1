"""`imagesmith verify`: whether a signed statement holds, without our catalog and on any machine."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imagesmith.commands import words
from imagesmith.commands.key import own_key
from imagesmith.commands.writing import read
from imagesmith.errors import ProofRefused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from imagesmith.provenance import Claim


def add_parser(subparsers: Any) -> None:
    """Adds the command to the parser of `imagesmith`."""
    parser = subparsers.add_parser(
        "verify",
        help="check a signed statement that `imagesmith provenance` wrote",
        description="Checks signature and form, and if asked for that the statement speaks of an image, or of what an "
        "inventory holds. Needs no catalog.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the envelope")
    parser.add_argument(
        "--key", type=Path, metavar="PUBLIC.pem", help="its maker's public key; by default this deployment's own"
    )
    parser.add_argument("--image", type=words.image, metavar="CLOUD/ID", help="it must speak of this image")
    parser.add_argument(
        "--inventory", type=Path, metavar="FILE", help="it must speak of an image (or of --image) with this content"
    )
    parser.add_argument("--json", action="store_true", help="print what it says as one JSON object")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """0 if all of it holds; raises ProofRefused, which says what does not."""
    from imagesmith.envelope import payload_of

    text = read(args.file, what="file that `imagesmith provenance` wrote")
    key = _key(args.key)
    try:
        payload = payload_of(text, key)
        claim = _claim(payload)
        proven = _proven(claim, image=args.image, inventory=args.inventory)
    except ProofRefused as error:
        raise ProofRefused(f"{args.file}: {error}") from error
    if args.json:
        print(json.dumps({"verified": True, "proven": proven, "statement": json.loads(payload)}, indent=2))
    else:
        print("\n".join(_told(args.file, claim, proven)))
    return 0


def _key(path: Path | None) -> Ed25519PublicKey:
    from imagesmith.envelope import read_public_key

    if path is None:
        return own_key()
    return read_public_key(read(path, what="public key's file"), shown_as=str(path))


def _claim(payload: bytes) -> Claim:
    from imagesmith.envelope import WANTED
    from imagesmith.provenance import read_statement

    try:
        return read_statement(payload)
    except ProofRefused as error:
        raise ProofRefused(f"{error}; {WANTED}") from error


def _proven(claim: Claim, *, image: str | None, inventory: Path | None) -> list[str]:
    """The subjects that fit what was asked; raises ProofRefused where none does."""
    names = list(claim.subjects)
    if image is not None:
        if image not in claim.subjects:
            raise ProofRefused(
                f"it does not speak of {image}; its subjects are {', '.join(names)}; give the statement of the build "
                f"that `imagesmith show {image}` names"
            )
        names = [image]
    if inventory is None:
        return names
    digest = _digest(inventory)
    fitting = [name for name in names if claim.subjects[name] == digest]
    if not fitting:
        of_what = f"{image} has the digest {claim.subjects[image]}" if image else "no subject has this digest"
        cure = "give the inventory or the statement of the other build"
        raise ProofRefused(f"the inventory {inventory} has the digest {digest}: {of_what}; {cure}")
    return fitting


def _digest(path: Path) -> str:
    from pydantic import ValidationError

    from imagesmith.inventory import Inventory

    try:
        return Inventory.model_validate_json(read(path, what="inventory's file")).digest
    except ValidationError as error:
        cure = "give what `imagesmith sbom IMAGE --format inventory` wrote"
        raise ProofRefused(f"{path} is no inventory: {cure}") from error


def _told(path: Path, claim: Claim, proven: list[str]) -> list[str]:
    head = f"{path}: good: build {claim.build_id} of {claim.generator} {claim.version}, finished {claim.finished}"
    lines = [f"  {name}  inventory sha256 {claim.subjects[name]}" for name in proven]
    return [head, f"  builder {claim.builder}", *lines]
