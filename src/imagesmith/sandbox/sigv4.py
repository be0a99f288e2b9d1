"""The check of AWS's request signature, version 4, from the side of the server.

Follows the public description of the algorithm ("Signature Version 4 signing process" in AWS's general reference).
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

_ALGORITHM = "AWS4-HMAC-SHA256"
_CLOCK_TOLERANCE = timedelta(minutes=15)


class SignatureError(Exception):
    """The request is not signed as it must be; `code` is EC2's word for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def check(
    method: str, path: str, *, query: str, headers: Mapping[str, str], body: bytes, secrets: Mapping[str, str]
) -> str:
    """The access key that signed the request; raises SignatureError.

    `headers` have lower-case names; `secrets` maps access keys to secret keys.
    """
    parts = _authorization(headers.get("authorization", ""))
    access_key, _, scope = parts["Credential"].partition("/")
    if access_key not in secrets:
        raise SignatureError("AuthFailure", "AWS was not able to validate the provided access credentials")
    moment = headers.get("x-amz-date", "")
    _check_clock(moment)
    request = _canonical_request(method, path, query=query, headers=headers, signed=parts["SignedHeaders"], body=body)
    to_sign = "\n".join((_ALGORITHM, moment, scope, hashlib.sha256(request.encode()).hexdigest()))
    expected = hmac.new(_signing_key(secrets[access_key], scope), to_sign.encode(), hashlib.sha256)
    if not hmac.compare_digest(expected.hexdigest(), parts["Signature"]):
        raise SignatureError(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method.",
        )
    return access_key


def _authorization(header: str) -> dict[str, str]:
    algorithm, _, rest = header.partition(" ")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    if algorithm != _ALGORITHM or not {"Credential", "SignedHeaders", "Signature"} <= set(parts):
        raise SignatureError("MissingAuthenticationToken", f"the request carries no {_ALGORITHM} signature")
    return parts


def _check_clock(moment: str) -> None:
    try:
        signed = datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise SignatureError("AuthFailure", f"X-Amz-Date {moment!r} is not a date") from None
    if abs(datetime.now(UTC) - signed) > _CLOCK_TOLERANCE:
        raise SignatureError("RequestExpired", f"the request was signed at {moment}: check the clocks")


def _canonical_request(
    method: str, path: str, *, query: str, headers: Mapping[str, str], signed: str, body: bytes
) -> str:
    return "\n".join(
        (
            method,
            quote(path or "/", safe="/-_.~"),
            _canonical_query(query),
            *(f"{name}:{_squeezed(headers.get(name, ''))}" for name in signed.split(";")),
            "",
            signed,
            headers.get("x-amz-content-sha256") or hashlib.sha256(body).hexdigest(),
        )
    )


def _canonical_query(query: str) -> str:
    pairs = sorted(
        (quote(key, safe="-_.~"), quote(value, safe="-_.~")) for key, value in parse_qsl(query, keep_blank_values=True)
    )
    return "&".join(f"{key}={value}" for key, value in pairs)


def _squeezed(value: str) -> str:
    return " ".join(value.split())


def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
