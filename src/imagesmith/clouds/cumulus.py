"""Cumulus, Nimbus's image store: as much of S3 over HTTP as images need, signed as it wants it.

Cumulus takes AWS signature version 2 only (HMAC-SHA1 over the path as it is sent), in path style:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from imagesmith.core import Budget
from imagesmith.errors import CloudBusy, CloudError, CredentialsRefused, ImagesmithError, SetupError

BUCKET = "Repo"
COMMON = "VMS/common"
TIMEOUT_S = 30.0
_BUSY = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True)
class StoredObject:
    """One object: its key, size in bytes, ETag (an MD5, without quotes) and when it was written (as the store says)."""

    key: str
    size: int
    etag: str
    modified: str = ""

    @property
    def name(self) -> str:
        """The image's name: what follows the last slash."""
        return self.key.rpartition("/")[2]


@dataclass(frozen=True)
class Cumulus:
    """The store of one cloud, with one user's keys. Every method raises CredentialsRefused, CloudBusy or CloudError."""

    cloud: str
    repository: str
    canonical_id: str
    access_key: str
    secret_key: str = field(repr=False)
    https: bool = False
    # `requests.request`, or what a test puts in its place.
    send: Callable[..., Any] | None = None
    budget: Callable[[], Budget] = Budget

    @property
    def own(self) -> str:
        """Where the user's own images lie."""
        return f"VMS/{self.canonical_id}"

    def own_key(self, name: str) -> str:
        """The key of the user's own image of that name."""
        return f"{self.own}/{name}"

    def common_key(self, name: str) -> str:
        """The key of the image of that name that everybody sees."""
        return f"{COMMON}/{name}"

    def head(self, key: str) -> StoredObject | None:
        """The object of that key, None if there is none."""
        reply = self._ask("HEAD", key, missing_ok=True)
        if reply is None:
            return None
        headers = reply.headers
        size = int(headers.get("Content-Length") or 0)
        return StoredObject(key, size, headers.get("ETag", "").strip('"'), headers.get("Last-Modified", ""))

    def list(self, prefix: str) -> list[StoredObject]:
        """All objects below a prefix that ends in no slash."""
        reply = self._ask("GET", "", query={"prefix": f"{prefix}/"})
        try:
            return list(_objects(reply.content)) if reply is not None else []
        except (ElementTree.ParseError, LookupError, ValueError) as error:  # LookupError: an encoding nobody knows
            raise SetupError(
                f"{self.cloud}: what answers at {self.repository} is no repository of Nimbus ({error}); "
                f"check repository of {self.cloud} in include/clouds.yaml"
            ) from error

    def make_public(self, key: str) -> None:
        """Let everybody read, and so launch, the object."""
        self._ask("PUT", key, sub_resource="acl", amz={"x-amz-acl": "public-read"})

    def is_public(self, key: str) -> bool:
        """Whether everybody may read the object."""
        reply = self._ask("GET", key, sub_resource="acl")
        return reply is not None and b"AllUsers" in reply.content

    def put(self, key: str, content: bytes) -> None:
        """The object of that key has this content."""
        self._ask("PUT", key, content=content)

    def get(self, key: str) -> bytes | None:
        """The content of a small object, None if there is none."""
        reply = self._ask("GET", key, missing_ok=True)
        return None if reply is None else bytes(reply.content)

    def delete(self, key: str) -> None:
        """The object is gone; one that is not there is fine."""
        self._ask("DELETE", key, missing_ok=True)

    def _ask(
        self,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        sub_resource: str = "",
        amz: Mapping[str, str] | None = None,
        content: bytes | None = None,
        missing_ok: bool = False,
    ) -> Any:
        import requests

        path = f"/{BUCKET}/{quote(key)}"
        url = f"{'https' if self.https else 'http'}://{self.repository}{path}"
        params = {**dict.fromkeys([sub_resource] if sub_resource else [], ""), **(query or {})}
        signed_path = path + (f"?{sub_resource}" if sub_resource else "")
        date = formatdate(usegmt=True)
        headers = {**(amz or {}), "Date": date}
        signature = signature_v2(self.secret_key, method, signed_path, date=date, amz=amz or {})
        headers["Authorization"] = f"AWS {self.access_key}:{signature}"
        tried = f"{method} {path} of the repository {self.repository}"
        address = url + (f"?{sub_resource}" if sub_resource else "")
        self.budget().spend(tried)
        try:
            send = self.send or requests.request
            body: dict[str, Any] = {} if content is None else {"data": content}
            asked = None if sub_resource else params
            reply = send(method, address, params=asked, headers=headers, timeout=TIMEOUT_S, **body)
        except requests.RequestException as error:
            raise CloudBusy(f"{self.cloud}: {tried}: {error}; it is tried again") from error
        if reply.status_code == 429:
            self.budget().overspent()
        if reply.status_code == 404 and missing_ok:
            return None
        if reply.status_code >= 400:
            raise self._refused(tried, key, reply)
        return reply

    def _refused(self, tried: str, key: str, reply: Any) -> ImagesmithError:
        words = _message(reply.content) or f"HTTP status {reply.status_code}"
        told = f"{self.cloud}: {tried}: {words}"
        if reply.status_code in (401, 403):
            owner = "; and an image in common that is not public is its owner's alone" if key.startswith(COMMON) else ""
            return CredentialsRefused(f"{told}; check the Airflow connection {self.cloud}{owner}")
        if reply.status_code in _BUSY:
            return CloudBusy(f"{told}; it is tried again")
        if reply.status_code == 404:
            return SetupError(f"{told}; check repository of {self.cloud} in include/clouds.yaml")
        return CloudError(f"{told}; ask the cloud's administrators")


def signature_v2(secret_key: str, method: str, path: str, *, date: str, amz: Mapping[str, str]) -> str:
    """The signature of a request without a body, base64; `path` with its sub-resource, `amz` the x-amz headers."""
    canonical = "".join(f"{name.lower()}:{amz[name]}\n" for name in sorted(amz, key=str.lower))
    text = f"{method}\n\n\n{date}\n{canonical}{path}"
    return base64.b64encode(hmac.new(secret_key.encode(), text.encode(), hashlib.sha1).digest()).decode()


def _objects(document: bytes) -> Iterator[StoredObject]:
    root = ElementTree.fromstring(document)
    space = re.match(r"\{.*\}", root.tag)
    for entry in root.iter(f"{space[0] if space else ''}Contents"):
        fields = {child.tag.rpartition("}")[2]: child.text or "" for child in entry}
        size = int(fields.get("Size") or 0)
        etag = fields.get("ETag", "").strip('"')
        yield StoredObject(fields.get("Key", ""), size, etag, fields.get("LastModified", ""))


def _message(document: bytes) -> str:
    try:
        root = ElementTree.fromstring(document)
    except (ElementTree.ParseError, LookupError, ValueError):
        return " ".join(document.decode(errors="replace").split())[:200]
    found = {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in root.iter()}
    return ": ".join(text for text in (found.get("Code", ""), found.get("Message", "")) if text)
