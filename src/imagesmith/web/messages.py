"""Requests and answers of ASGI as the gate before Airflow reads and writes them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Refusal(Exception):
    """An answer in Airflow's stead."""

    status: int
    detail: str


TOO_DEEP = Refusal(422, "the body is nested too deep; send an object with a flat `conf`")
NO_JSON = Refusal(422, "the body is not JSON; send an object with a flat `conf`")


async def whole_body(receive: Receive) -> bytes:
    """The request's body; raises Refusal for one that is too large or cut off."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refusal(400, "the request was cut off; send it again")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BYTES:
            raise Refusal(413, f"the body is larger than {MOST_BYTES} bytes; send what a build needs to know only")
        if not message.get("more_body"):
            return b"".join(parts)


def received(body: bytes, receive: Receive) -> Receive:
    """The body, and after it what else the client sends."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


async def answer(send: Send, refusal: Refusal) -> None:
    """Sends the refusal as Airflow's API sends its own."""
    body = json.dumps({"detail": refusal.detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def may_hide(body: bytes) -> bool:
    """Whether a key may be written with escapes, or in one of JSON's other encodings."""
    return b"\\u" in body or b"\0" in body
