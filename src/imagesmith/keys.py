"""The SSH keys of a target, derived from the deployment's secret and so stored nowhere.

HKDF-SHA256 (RFC 5869) over the secret gives the 32 bytes of an Ed25519 private key (RFC 8032); build, cloud, attempt
and purpose are the `info`, so that no two keys are related and any process of the deployment makes the same one again.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

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
        secret = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as error:
        raise SetupError("IMAGESMITH_SECRET is not URL-safe base64; make one with `imagesmith secret`") from error
    if len(secret) < SECRET_BYTES:
        raise SetupError(
            f"IMAGESMITH_SECRET holds {len(secret)} bytes, {SECRET_BYTES} are needed; "
            "make one with `imagesmith secret` and give every component the same"
        )
    return secret


def derive(secret: bytes, *, build_id: str, cloud: str, attempt: int, purpose: str) -> KeyPair:
    """The key pair for one purpose (`login`, `host`) of one attempt at a target; the same for the same words."""
    info = "\0".join(("imagesmith ssh key 1", build_id, cloud, str(attempt), purpose)).encode()
    seed = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(secret)
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return KeyPair(
        private=key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode(),
        public=key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(),
    )
