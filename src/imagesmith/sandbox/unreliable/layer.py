"""The layer: an ASGI application in front of another, which lets each call through or makes it fail."""

import asyncio
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imagesmith.sandbox.unreliable.trouble import Kind, Trouble


@dataclass(frozen=True)
class Asked:
    """A request, as far as a dialect needs it."""

    method: str
    path: str
    body: bytes


@dataclass
class Answered:
    """A whole answer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Dialect(Protocol):
    """What the layer must know of the API behind it."""

    kinds: frozenset[Kind]

    def reads(self, asked: Asked) -> bool:
        """Whether the call only looks."""

    def refusal(self, kind: Kind, asked: Asked) -> Answered:
        """The API's own words for THROTTLED, ERROR and UNAVAILABLE."""

    def made(self, answered: Answered) -> set[str]:
        """The ids of things in an answer to a call that does not only look."""

    def unknown(self, asked: Asked, new: frozenset[str]) -> Answered | None:
        """The answer to a call that names one of the things in `new`, which is not known yet; None for any other."""

    def without(self, answered: Answered, new: frozenset[str]) -> Answered:
        """The answer to a look as it would have been before the things in `new` were made."""

    def doubled(self, answered: Answered) -> Answered:
        """The answer with each thing in its lists twice."""


class Layer:
    """In front of one door of an account."""

    def __init__(self, app: ASGIApp, dialect: Dialect, trouble: Trouble) -> None:
        self._app = app
        self._dialect = dialect
        self._trouble = trouble

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call."""
        if scope["type"] != "http" or not self._trouble.is_on:
            await self._app(scope, receive, send)
            return
        connection = _Connection(receive)
        body = await connection.read()
        asked = Asked(scope["method"], scope["path"], body)
        reads = self._dialect.reads(asked)
        possible = self._dialect.kinds - (set() if reads else {Kind.DOUBLED})
        kind = self._trouble.next(possible)
        if kind in (Kind.THROTTLED, Kind.ERROR, Kind.UNAVAILABLE):
            await _reply(send, self._dialect.refusal(kind, asked))
            return
        if kind is Kind.RESET:
            connection.abort()
            return
        new = self._trouble.new() if kind is Kind.STALE else frozenset()
        if unknown := self._dialect.unknown(asked, new):
            await _reply(send, unknown)
            return
        answered = await self._through(scope, connection)
        if answered.status < 400:
            if reads:
                answered = self._dialect.without(answered, new) if new else answered
            else:
                self._trouble.note_made(self._dialect.made(answered))
        await self._finish(kind, answered, connection=connection, send=send)

    async def _finish(self, kind: Kind | None, answered: Answered, *, connection: "_Connection", send: Send) -> None:
        if kind in (Kind.LOST_ANSWER, Kind.TIMED_OUT):
            await asyncio.sleep(self._trouble.wanted.hold_s if kind is Kind.TIMED_OUT else 0)
            connection.abort()
            return
        if kind is Kind.SLOW:
            await asyncio.sleep(self._trouble.late_s())
        elif kind is Kind.DOUBLED and answered.status < 400:
            answered = self._dialect.doubled(answered)
        await _reply(send, answered)

    async def _through(self, scope: Scope, connection: "_Connection") -> Answered:
        answered = Answered(500, [], b"")

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered.status = message["status"]
                answered.headers = [(bytes(name).lower(), bytes(value)) for name, value in message["headers"]]
            elif message["type"] == "http.response.body":
                answered.body += message.get("body", b"")

        await self._app(scope, connection.receive, keep)
        return answered


class _Connection:
    """A request whose body was read already; `transport` is uvicorn's own, for which ASGI has no word."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.transport: Any = getattr(getattr(receive, "__self__", None), "transport", None)
        self._body: bytes | None = None

    async def read(self) -> bytes:
        body = b""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return body
            body += bytes(message.get("body", b""))
            if not message.get("more_body", False):
                self._body = body
                return body

    async def receive(self) -> Message:
        """The request whole, then what comes after it."""
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    def abort(self) -> None:
        if self.transport is None:
            raise ConnectionResetError("as asked of the sandbox")
        self.transport.abort()


async def _reply(send: Send, answered: Answered) -> None:
    headers = [(name, value) for name, value in answered.headers if name != b"content-length" or not answered.body]
    # An answer to HEAD tells the length of what it leaves out.
    if answered.body or b"content-length" not in dict(headers):
        headers.append((b"content-length", str(len(answered.body)).encode()))
    await send({"type": "http.response.start", "status": answered.status, "headers": headers})
    await send({"type": "http.response.body", "body": answered.body})
