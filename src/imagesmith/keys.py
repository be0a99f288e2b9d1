"""The deployment's keys, derived from its secret and so stored nowhere: SSH keys of targets, and the signing key.

HKDF-SHA256 (RFC 5869) over the secret gives the 32 bytes of an Ed25519 private key (RFC 8032); build, cloud, attempt
and purpose are the `info`, so that no two keys are related and any process of the deployment makes the same one again.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from imagesmith.errors import SetupError

SECRET_BYTES = 32


@dataclass(frozen=True)
class KeyPair:
    """An Ed25519 key pair in OpenSSH's formats; `public` is `ssh-ed25519 AAAA…` without a comment."""

    private: str = field(repr=False)
    public: str


def parse_secret(text: str) -> bytes:
    """The deployment secret's bytes from its URL-safe base64; raises SetupError if it is short or no base64."""
    try:
        secret = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise SetupError("IMAGESMITH_SECRET is not URL-safe base64; make one with `imagesmith secret`") from error
    if len(secret) < SECRET_BYTES:
        raise SetupError(
            f"IMAGESMITH_SECRET holds {len(secret)} bytes, {SECRET_BYTES} are needed; "
            "make one with `imagesmith secret` and give every component the same"
        )
    return secret


def deployment_id(secret: bytes) -> str:
    """12 hex digits by which deployments know what is theirs; they tell nothing of the secret."""
    info = b"imagesmith deployment id 1"
    return HKDF(algorithm=hashes.SHA256(), length=6, salt=None, info=info).derive(secret).hex()


def account_mark(secret: bytes, words: str) -> str:
    """What tells accounts apart by settings and credentials in `words`, and can be stored: it tells nothing of them."""
    return hmac.new(secret, f"imagesmith account 1\0{words}".encode(), "sha256").hexdigest()[:32]


def signing_key(secret: bytes) -> Ed25519PrivateKey:
    """The key the deployment signs its statements with; the same until its secret changes."""
    info = b"imagesmith provenance key 1"
    return Ed25519PrivateKey.from_private_bytes(
        HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(secret)
    )


def derive(secret: bytes, *, build_id: str, cloud: str, attempt: int, purpose: str) -> KeyPair:
    """The key pair for one purpose (`login`, `host`) of one attempt at a target; the same for the same words."""
    info = "\0".join(("imagesmith ssh key 1", build_id, cloud, str(attempt), purpose)).encode()
    seed = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(secret)
    public_key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return KeyPair(
        private=_openssh_private(seed, public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)),
        public=public_key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(),
    )


def _openssh_private(seed: bytes, public: bytes) -> str:
    """The private key in the form of OpenSSH's PROTOCOL.key, byte for byte the same each time.

    Libraries put random bytes into its check number. The text goes into user data, and a cloud takes a launch that
    is asked for again for another one when a single byte differs.
    """
    kind, check = _field(b"ssh-ed25519"), public[:4]
    secret = check + check + kind + _field(public) + _field(seed + public) + _field(b"")
    secret += bytes(range(1, 1 + -len(secret) % 8))
    head = b"openssh-key-v1\0" + _field(b"none") + _field(b"none") + _field(b"") + (1).to_bytes(4, "big")
    encoded = base64.b64encode(head + _field(kind + _field(public)) + _field(secret)).decode()
    lines = [encoded[start : start + 70] for start in range(0, len(encoded), 70)]
    return "\n".join(["-----BEGIN OPENSSH PRIVATE KEY-----", *lines, "-----END OPENSSH PRIVATE KEY-----", ""])


def _field(content: bytes) -> bytes:
    """A string of the SSH protocol: its length in four bytes, then itself."""
    return len(content).to_bytes(4, "big") + content
