"""OpenStack's refusals in our words: who must act, and the cure.

A service tells the kind of trouble by HTTP status, and what it is by text: quotas and policies share 403, and Nova says
of a bad image, flavor, key, network or group 400. Seen with Nova, Glance, Neutron and Keystone of the release Zed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from imagesmith.clouds.meanings import (
    BUSY,
    CREDENTIALS,
    DISK,
    PERMISSION,
    QUOTA,
    REFUSED,
    SOURCE,
    TYPE,
    UNREACHED,
    Meaning,
)
from imagesmith.errors import CloudError, DefinitionError, ImagesmithError, InstanceLost, LaunchRefused, SetupError

_QUOTA_WORDS = re.compile(r"quota|too many .* (requested|exceeded)|limit exceeded", re.I)
# Nova repeats a value that it refuses, and user data carries a private host key.
_LONG_VALUE = re.compile(r"[A-Za-z0-9+/=_-]{80,}")
# Keystone's 404 to a login by something that has ended, or that it never gave.
_LOGIN_WORDS = re.compile(r"could not find (application credential|token)|fernet token|failed to validate token", re.I)
_BUSY_STATUS = frozenset({408, 429, 500, 502, 503, 504})

NETWORK = Meaning(DefinitionError, "check network and floating_ip_network of {cloud} in include/clouds.yaml")
LOST = Meaning(InstanceLost, "start the build again")
TO_PUBLISH = Meaning(CloudError, "only the cloud's administrators may publish images; set public: false")

# What Nova's 400 is about, by its words; the first that fits counts.
_LAUNCH_WORDS: tuple[tuple[str, Meaning], ...] = (
    (r"disk is too small|too small for|minimum disk|smaller than the (minimum|image)", DISK),
    (r"flavor|memory is too small", TYPE),
    (r"image", SOURCE),
    (r"network|port|fixed ip", NETWORK),
    (r"key_?name|keypair", Meaning(LaunchRefused, "somebody deleted the key pair; start the build again")),
    (r"security group", Meaning(LaunchRefused, "somebody deleted the security group; start the build again")),
    (r"user_?data", Meaning(LaunchRefused, "shorten what user data carries; the cloud takes 64 KiB")),
    (r"availability zone", Meaning(DefinitionError, "check availability_zone of {cloud} in include/clouds.yaml")),
)


class Refused(Exception):
    """What a service answered instead of doing it: the cause of the error we raise."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"{status}: {words}")
        self.status = status
        self.words = words


def status_of(error: BaseException) -> int:
    """The HTTP status behind one of our errors, 0 where no service answered."""
    return error.__cause__.status if isinstance(error.__cause__, Refused) else 0


def refused(
    cloud: str, tried: str, cause: Refused, *, special: Mapping[int, Meaning] | None = None, launching: bool = False
) -> ImagesmithError:
    """Our error for a service's refusal; `special` says what a status means to this very call."""
    meaning = _meaning(cause, special or {}, launching=launching)
    return meaning.error(f"{cloud}: {tried}: {cause.status}: {cause.words}; {meaning.cure.format(cloud=cloud)}")


def _meaning(cause: Refused, special: Mapping[int, Meaning], *, launching: bool) -> Meaning:
    if cause.status == 401 or (cause.status == 404 and _LOGIN_WORDS.search(cause.words)):
        return CREDENTIALS
    if cause.status in (403, 409, 413) and _QUOTA_WORDS.search(cause.words):
        return QUOTA
    if cause.status in special:
        return special[cause.status]
    if cause.status == 403:
        return PERMISSION
    if cause.status in _BUSY_STATUS or cause.status == 413:  # 413 was how Nova asked for patience before 429
        return BUSY
    if launching and cause.status in (400, 404, 409):
        return next((meaning for words, meaning in _LAUNCH_WORDS if re.search(words, cause.words, re.I)), REFUSED)
    return REFUSED


def words_of(body: bytes) -> str:
    """The message in a service's answer, without long values: JSON of several shapes, or a page whose text it is."""
    text = _LONG_VALUE.sub("…", body.decode(errors="replace")).strip()
    try:
        document: Any = json.loads(text)
    except ValueError:
        plain = re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", text, flags=re.S)
        return " ".join(plain.split())[:500].rstrip(".") or "(no reason given)"
    return _message(document).strip().rstrip(".") or text[:500]


def _message(document: Any) -> str:
    if isinstance(document, str):
        return document
    if isinstance(document, Mapping):
        for key in ("message", "detail", "faultstring"):
            if isinstance(document.get(key), str) and document[key]:
                return str(document[key])
        return next((found for value in document.values() if (found := _message(value))), "")
    return ""


# Exceptions of keystoneauth and the SDK, by the name of the class or of one it derives from; the first that fits.
_LOCAL: tuple[tuple[str, Meaning], ...] = (
    ("Unauthorized", CREDENTIALS),
    ("MissingRequiredOptions", CREDENTIALS),
    ("MissingAuthPlugin", CREDENTIALS),
    ("AuthorizationFailure", CREDENTIALS),
    ("SSLError", Meaning(SetupError, "check the CA file in the Airflow connection {cloud}, or the auth URL")),
    ("ConnectionError", UNREACHED),
    ("DiscoveryFailure", Meaning(SetupError, "check auth_url and identity_version of {cloud} in include/clouds.yaml")),
    (
        "CatalogException",
        Meaning(SetupError, "check region of {cloud} in include/clouds.yaml; it offers no such service"),
    ),
    (
        "EndpointNotFound",
        Meaning(SetupError, "check region of {cloud} in include/clouds.yaml; it offers no such service"),
    ),
    ("ConfigException", Meaning(SetupError, "check the Airflow connection {cloud} and include/clouds.yaml")),
    ("InvalidResponse", UNREACHED),
    ("RequestException", UNREACHED),
)


def sdk_errors() -> tuple[type[Exception], ...]:
    """What openstacksdk and the libraries under it raise; imported late, because that takes long."""
    from keystoneauth1.exceptions.base import ClientException
    from openstack.exceptions import SDKException
    from requests.exceptions import RequestException

    return ClientException, SDKException, RequestException


def failed(cloud: str, tried: str, error: BaseException) -> ImagesmithError:
    """Our error for an exception of the SDK: no service answered, or Keystone refused the login."""
    status = getattr(error, "http_status", None)
    words = " ".join(str(error).split()).rstrip(".")
    if isinstance(status, int) and status not in (0, 401):
        return refused(cloud, tried, Refused(status, words))
    names = {ancestor.__name__ for ancestor in type(error).__mro__}
    meaning = next((meaning for name, meaning in _LOCAL if name in names), REFUSED)
    return meaning.error(f"{cloud}: {tried}: {words}; {meaning.cure.format(cloud=cloud)}")
