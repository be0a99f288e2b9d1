"""The services of one OpenStack account behind one session: a call, its answer, and its refusals as our errors.

openstacksdk gives authentication, catalog, version discovery and re-authentication; the calls themselves are those of
the API references, the same for releases from Havana on (no microversion is asked for).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from imagesmith.clouds.meanings import Meaning
from imagesmith.clouds.openstack_errors import Refused, failed, refused, sdk_errors, words_of
from imagesmith.core import Budget

# The status by which all services say that there were too many calls.
TOO_MANY = 429


@dataclass(frozen=True)
class Answer:
    """A service's answer: its JSON (an empty mapping where there is none) and its headers."""

    document: Mapping[str, Any]
    headers: Mapping[str, str]


class Api:
    """Calls to `compute`, `image`, `network` and `block_storage` of one cloud.

    `connect` gives an `openstack.connection.Connection` that never reads files or the environment; it is called once.
    `budget` gives the account's budget, which is asked before the login and each call to a service.
    """

    def __init__(self, cloud: str, connect: Callable[[], Any], budget: Callable[[], Budget] = Budget) -> None:
        self.cloud = cloud
        self._connect = connect
        self._budget = budget
        self._connection: Any = None
        self._lock = threading.Lock()

    def whoami(self) -> str:
        """User, project and where: what Keystone says of the session's token."""
        access = self._guarded("log in", lambda: self._session().auth.get_access(self._session()))
        return f"{access.username} in project {access.project_name} ({access.project_id})"

    def project_id(self) -> str:
        """The id of the project the session works in."""
        found = self._guarded("log in", lambda: self._session().get_project_id())
        return str(found or "")

    def auth_url(self) -> str:
        """Where Keystone answers."""
        return str(self._session().auth.auth_url)

    def has(self, service: str) -> bool:
        """Whether the catalog of the session's token has a service of this type."""
        access = self._guarded("log in", lambda: self._session().auth.get_access(self._session()))
        return service in access.service_catalog.get_endpoints()

    def get(self, tried: str, path: str, **more: Any) -> Answer:
        """A call that reads."""
        return self.ask(tried, "GET", path, **more)

    def post(self, tried: str, path: str, json: Any, **more: Any) -> Answer:
        """A call that makes or does something."""
        return self.ask(tried, "POST", path, json=json, **more)

    def ask(
        self,
        tried: str,
        method: str,
        path: str,
        *,
        service: str = "compute",
        special: Mapping[int, Meaning] | None = None,
        launching: bool = False,
        **request: Any,
    ) -> Answer:
        """One call; raises our errors, with a Refused as cause where the service answered."""
        self._budget().spend(tried)
        reply = self._guarded(tried, lambda: self._sent(service, method, path, request))
        if reply.status_code == TOO_MANY:
            self._budget().overspent()
        if reply.status_code >= 400:
            cause = Refused(reply.status_code, words_of(reply.content))
            raise refused(self.cloud, tried, cause, special=special, launching=launching) from cause
        is_json = reply.content and "json" in reply.headers.get("Content-Type", "")
        document = self._guarded(tried, reply.json) if is_json else {}
        return Answer(document if isinstance(document, Mapping) else {}, reply.headers)

    def pages(
        self, tried: str, path: str, key: str, *, params: Mapping[str, Any] | None = None, **more: Any
    ) -> Iterator[Mapping[str, Any]]:
        """All items under `key` of an answer that may come in pages, each once though a page repeats it."""
        wanted = dict(params or {})
        seen: set[str] = set()
        while True:
            document = self.get(tried, path, params=wanted, **more).document
            for item in document.get(key, []):
                id_ = str(item.get("id", ""))
                if id_ not in seen:
                    yield item
                if id_:
                    seen.add(id_)
            marker = _next_marker(document, key)
            if not marker:
                return
            wanted["marker"] = marker

    def _sent(self, service: str, method: str, path: str, request: Mapping[str, Any]) -> Any:
        """The service's reply. Glance's address bears no version, and the SDK would ask each time which it has."""
        if service != "image":
            return getattr(self._opened(), service).request(path, method, **request)
        return self._session().request(path, method, endpoint_override=self._glance(), raise_exc=False, **request)

    def _glance(self) -> str:
        config = self._opened().config
        place = {"interface": config.get_interface("image"), "region_name": config.get_region_name("image")}
        address = self._session().get_endpoint(service_type="image", **place)
        if not address:
            raise sdk_errors()[1](f"the catalog has no image service in {place}")
        return f"{re.sub('/v[0-9.]+$', '', address.rstrip('/'))}/v2"

    def _opened(self) -> Any:
        with self._lock:
            if self._connection is None:
                self._budget().spend("log in")
                self._connection = self._connect()
            return self._connection

    def _session(self) -> Any:
        return self._opened().session

    def _guarded(self, tried: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except sdk_errors() as error:
            if getattr(error, "http_status", None) == TOO_MANY:
                self._budget().overspent()
            raise failed(self.cloud, tried, error) from error


def _next_marker(document: Mapping[str, Any], key: str) -> str:
    """The marker of the page after this one: Glance has `next`, the others a list of links."""
    links = [link.get("href", "") for link in document.get(f"{key}_links", []) if link.get("rel") == "next"]
    href = str(document.get("next") or (links[0] if links else ""))
    return parse_qs(urlsplit(href).query).get("marker", [""])[0]
