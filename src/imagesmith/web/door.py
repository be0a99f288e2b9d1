"""The one door of the web app: nobody comes in whom Airflow does not know, and no other site's page writes here.

It stands before the app's routes, so no route can be left open. Only style sheet and scripts, which are the same for
everybody and secret to nobody, are given to whoever asks: the page that leads to Airflow's login needs them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from imagesmith.web.host import Caller, Host, Scope
from imagesmith.web.problems import Problem, Refuse

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CALLER = "imagesmith_caller"
# A generator's file is at most 1 MiB, and JSON may need more bytes for it.
MOST_BYTES = 2 * 1024 * 1024
READS = ("GET", "HEAD", "OPTIONS")
OPEN = "/static/"
# A form of another site can't send it, and a script of another site must ask first.
GUARD = "x-requested-with"

NOBODY = Problem(
    401,
    "no valid token; send `Authorization: Bearer` with a token of POST /auth/token, or log in to Airflow",
    headers={"WWW-Authenticate": "Bearer"},
)
TOO_LARGE = Problem(413, f"the body is larger than {MOST_BYTES} bytes; large things belong into include/files")
FOREIGN = Problem(403, "the request comes from a page of another site; nothing is written on its behalf")
UNGUARDED = Problem(403, f"a write by the UI's cookie needs the header {GUARD.title()} (of any value)")
# What is served here is data, whatever it looks like.
SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


class Door:
    """An ASGI application before ours; `request.state` has the caller behind it."""

    def __init__(self, app: App, host: Host, *, refuse: Refuse) -> None:
        self._app = app
        self._host = host
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if _is_open(scope):
            await self._app(scope, receive, _hardened(send))
            return
        caller = await self._host.caller(scope)
        if caller is not None:
            scope.setdefault("state", {})[CALLER] = caller
        refusal = _refusal(scope["method"], headers, caller, known=self._host.origins())
        body = b"" if refusal else await _body(headers, receive)
        if refusal or body is None:
            await self._refuse(scope, refusal or TOO_LARGE)(scope, receive, _hardened(send))
            return
        await self._app(scope, _received(body, receive), _hardened(send))


def _is_open(scope: Scope) -> bool:
    path = str(scope["path"]).removeprefix(scope.get("root_path", ""))
    return scope["method"] in ("GET", "HEAD") and path.startswith(OPEN)


def _refusal(
    method: str, headers: Mapping[str, str], caller: Caller | None, *, known: frozenset[str]
) -> Problem | None:
    if caller is None:
        return NOBODY
    if method in READS:
        return None
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return FOREIGN
    own = {headers.get("host", ""), headers.get("x-forwarded-host", ""), *known} - {""}
    ours = urlsplit(headers.get("origin", "")).netloc in own
    if "origin" in headers and not ours:
        return FOREIGN
    # No page can say of itself that it comes from where it does not: a form of ours needs no script to be known.
    return UNGUARDED if caller.by_cookie and GUARD not in headers and not ours else None


async def _body(headers: Mapping[str, str], receive: Receive) -> bytes | None:
    """The whole body, None for one that is too large, of which no more is read, or that was cut off."""
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > MOST_BYTES:
        return None
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None  # cut off: half a file may be a whole one; and nobody reads what is answered
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BYTES:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


def _received(body: bytes, receive: Receive) -> Receive:
    """The body, and after it what else the client sends."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Any:
        return waiting.pop() if waiting else await receive()

    return again


def _hardened(send: Send) -> Send:
    async def with_headers(message: Any) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            added = [pair for pair in SAFE_HEADERS if pair[0] not in given]
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return with_headers
