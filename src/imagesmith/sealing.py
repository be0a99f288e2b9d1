"""Short-lived credentials in a form that may lie in a database: sealed for one generator and one cloud, until a moment.

AES-256-GCM (NIST SP 800-38D) under a key derived from the deployment's secret by HKDF-SHA256 (RFC 5869); generator and
cloud are authenticated with it, so that what was sealed for one is worth nothing to another.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from imagesmith.core import SEALED_PREFIX
from imagesmith.errors import CredentialsRefused

_NONCE_BYTES = 12


def is_sealed(value: object) -> bool:
    """Whether the value has the form `seal` gives; nothing is checked."""
    return isinstance(value, str) and value.startswith(SEALED_PREFIX)


def seal(secret: bytes, content: Mapping[str, str], *, generator: str, cloud: str, expires: datetime) -> str:
    """Text for `unseal`: ASCII, URL-safe; `content` are short texts, `expires` a moment with its zone."""
    document = {"content": dict(content), "expires": expires.astimezone(UTC).isoformat(timespec="seconds")}
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(_key(secret)).encrypt(nonce, json.dumps(document).encode(), _audience(generator, cloud))
    return SEALED_PREFIX + base64.urlsafe_b64encode(nonce + sealed).decode()


def unseal(secret: bytes, text: str, *, generator: str, cloud: str, now: datetime | None = None) -> dict[str, str]:
    """What was sealed for this generator and cloud; raises CredentialsRefused for anything else, or once it expired."""
    cure = f"start the build again and give the password of {cloud} there"
    if not is_sealed(text):
        raise CredentialsRefused(f"{cloud}: the credential of this build is not sealed, so it is not used; {cure}")
    try:
        raw = base64.urlsafe_b64decode(text.removeprefix(SEALED_PREFIX))
        plain = AESGCM(_key(secret)).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _audience(generator, cloud))
    except (InvalidTag, binascii.Error, ValueError) as error:
        raise CredentialsRefused(
            f"{cloud}: the credential of this build was not sealed for {generator} on {cloud} by this deployment; "
            f"{cure}"
        ) from error
    document = json.loads(plain)
    if datetime.fromisoformat(document["expires"]) <= (now or datetime.now(UTC)):
        raise CredentialsRefused(f"{cloud}: the credential of this build expired at {document['expires']}; {cure}")
    return dict(document["content"])


def without_sealed(conf: Mapping[str, Any]) -> dict[str, Any]:
    """A run's conf without the values that `seal` gave."""
    return {key: value for key, value in conf.items() if not is_sealed(value)}


def _key(secret: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"imagesmith seal 1").derive(secret)


def _audience(generator: str, cloud: str) -> bytes:
    return f"{generator}\0{cloud}".encode()
