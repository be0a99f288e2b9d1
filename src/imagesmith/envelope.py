"""Signed statements as files: DSSE envelopes, made with the deployment's key and checked with its public half.

https://github.com/secure-systems-lab/dsse/blob/master/envelope.md
"""

from __future__ import annotations

import base64
import binascii
import json
from hashlib import sha256
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, Signature, SSlibKey

from imagesmith.errors import ProofRefused

PAYLOAD_TYPE = "application/vnd.in-toto+json"
WANTED = "give a file that `imagesmith provenance BUILD -o FILE` wrote"
_FIELDS = {"payload", "payloadType", "signatures"}
_KIND = "ed25519"


def key_id(key: Ed25519PublicKey) -> str:
    """SHA-256 of the public key (DER, SubjectPublicKeyInfo): 64 hex digits."""
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def public_pem(key: Ed25519PublicKey) -> str:
    """The public key as others are given it."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def read_public_key(pem: bytes, *, shown_as: str) -> Ed25519PublicKey:
    """The public key of a PEM text; raises ProofRefused naming where it is from."""
    cure = "give the file that `imagesmith key -o FILE` wrote"
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ProofRefused(f"{shown_as}: is no public key in PEM; {cure}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ProofRefused(f"{shown_as}: is no Ed25519 key; {cure}")
    return key


def sign(payload: bytes, key: Ed25519PrivateKey) -> str:
    """The envelope around the payload, one line of JSON; the same payload and key give the same text."""
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    envelope.sign(CryptoSigner(key, _known(key.public_key())))
    return json.dumps(envelope.to_dict(), sort_keys=True, separators=(",", ":")) + "\n"


def payload_of(text: bytes, key: Ed25519PublicKey) -> bytes:
    """What was signed with that key; raises ProofRefused, which says what does not hold."""
    envelope = _parsed(text)
    if envelope.payload_type != PAYLOAD_TYPE:
        raise ProofRefused(f"its payload is of type {envelope.payload_type!r:.80} and not {PAYLOAD_TYPE}; {WANTED}")
    wanted = key_id(key)
    if wanted not in envelope.signatures:
        others = ", ".join(f"{one:.80}" for one in envelope.signatures) or "nobody"
        raise ProofRefused(
            f"it is signed by {others} and not by the key {wanted}; ask its maker for the public key, and name it with "
            "--key"
        )
    try:
        envelope.verify([_known(key)], 1)
    except VerificationError as error:
        raise ProofRefused(
            f"the signature of {wanted} does not fit: it was changed after it was signed; ask its maker for the file "
            "again"
        ) from error
    return envelope.payload


def _known(key: Ed25519PublicKey) -> SSlibKey:
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return SSlibKey(key_id(key), _KIND, _KIND, {"public": raw.hex()})


def _parsed(text: bytes) -> Envelope:
    """The envelope, read so strictly that no two texts in one form mean the same."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_envelope("not JSON") from error
    if not isinstance(document, dict) or document.keys() != _FIELDS:
        raise _no_envelope(f"an object of {', '.join(sorted(_FIELDS))} is wanted")
    if not isinstance(document["payloadType"], str):
        raise _no_envelope("payloadType is no text")
    signatures = document["signatures"]
    if not isinstance(signatures, list):
        raise _no_envelope("signatures is no list")
    found = {one.keyid: one for one in map(_signature, signatures)}
    if len(found) != len(signatures):
        raise _no_envelope("one key signed it twice")
    return Envelope(_decoded(document["payload"], "payload"), document["payloadType"], found)


def _signature(document: Any) -> Signature:
    if not isinstance(document, dict) or document.keys() != {"keyid", "sig"} or not isinstance(document["keyid"], str):
        raise _no_envelope("each signature has a keyid and a sig")
    return Signature(document["keyid"], _decoded(document["sig"], "sig").hex())


def _decoded(text: Any, field: str) -> bytes:
    """Base64 in its one right form; decoders pass over a strange letter, and a changed file must not go through."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise _no_envelope(f"{field} is not base64") from error
    if base64.b64encode(content).decode() != text:
        raise _no_envelope(f"{field} is not base64 as it is written")
    return content


def _no_envelope(why: str) -> ProofRefused:
    return ProofRefused(f"it is not an envelope: {why}; {WANTED}")
