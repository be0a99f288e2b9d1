"""Short-lived secrets in a form that may lie in a database: credentials for one cloud, values of secret parameters.

AES-256-GCM (NIST SP 800-38D) under a key derived from the deployment's secret by HKDF-SHA256 (RFC 5869); the generator,
and the cloud or the parameter, are authenticated with it, so that what was sealed for one is worth nothing to another.
It opens until a moment that is sealed with it.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from imagesmith.core import SEALED_PREFIX
from imagesmith.errors import CredentialsRefused

_NONCE_BYTES = 12
# Where an audience has the cloud's name, which can't be written so.
_PARAMETER = "parameter:"


def is_sealed(value: object) -> bool:
    """Whether the value has the form `seal` gives; nothing is checked."""
    return isinstance(value, str) and value.startswith(SEALED_PREFIX)


def seal(secret: bytes, content: Mapping[str, str], *, generator: str, cloud: str, expires: datetime) -> str:
    """Text for `unseal`: ASCII, URL-safe; `content` are short texts, `expires` a moment with its zone."""
    return _closed(secret, content, _audience(generator, cloud), expires)


def seal_value(secret: bytes, value: str, *, generator: str, parameter: str, expires: datetime) -> str:
    """The same for the value of a secret parameter; for `unseal_value`."""
    return _closed(secret, {"value": value}, _audience(generator, _PARAMETER, parameter), expires)


def unseal(secret: bytes, text: str, *, generator: str, cloud: str, now: datetime | None = None) -> dict[str, str]:
    """What was sealed for this generator and cloud; raises CredentialsRefused for anything else, or once it expired."""
    about = _About(
        f"{cloud}: the credential of this build",
        f"{generator} on {cloud}",
        f"start the build again and give the password of {cloud} there",
    )
    return _opened(secret, text, _audience(generator, cloud), about=about, now=now)


def unseal_value(secret: bytes, text: object, *, generator: str, parameter: str, now: datetime | None = None) -> str:
    """The value that was sealed for this parameter of this generator; raises CredentialsRefused as `unseal` does."""
    about = _About(
        f"{generator}: the value of the secret parameter {parameter}",
        f"{parameter} of {generator}",
        f"start a new build and give {parameter} there",
    )
    return _opened(secret, text, _audience(generator, _PARAMETER, parameter), about=about, now=now)["value"]


def without_sealed(conf: Mapping[str, Any]) -> dict[str, Any]:
    """A run's conf without the values that `seal` gave."""
    return {key: value for key, value in conf.items() if not is_sealed(value)}


@dataclass(frozen=True)
class _About:
    """The words of a refusal: what is refused, whom it had to be sealed for, and the cure."""

    what: str
    whom: str
    cure: str


def _closed(secret: bytes, content: Mapping[str, str], audience: bytes, expires: datetime) -> str:
    document = {"content": dict(content), "expires": expires.astimezone(UTC).isoformat(timespec="seconds")}
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(_key(secret)).encrypt(nonce, json.dumps(document).encode(), audience)
    return SEALED_PREFIX + base64.urlsafe_b64encode(nonce + sealed).decode()


def _opened(secret: bytes, text: object, audience: bytes, *, about: _About, now: datetime | None) -> dict[str, str]:
    if not isinstance(text, str) or not is_sealed(text):
        raise CredentialsRefused(f"{about.what} is not sealed, so it is not used; {about.cure}")
    try:
        raw = base64.urlsafe_b64decode(text.removeprefix(SEALED_PREFIX))
        plain = AESGCM(_key(secret)).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], audience)
    except (InvalidTag, binascii.Error, ValueError) as error:
        raise CredentialsRefused(
            f"{about.what} was not sealed for {about.whom} by this deployment; {about.cure}"
        ) from error
    document = json.loads(plain)
    if datetime.fromisoformat(document["expires"]) <= (now or datetime.now(UTC)):
        raise CredentialsRefused(f"{about.what} expired at {document['expires']}; {about.cure}")
    return dict(document["content"])


def _key(secret: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"imagesmith seal 1").derive(secret)


def _audience(*words: str) -> bytes:
    return "\0".join(words).encode()
