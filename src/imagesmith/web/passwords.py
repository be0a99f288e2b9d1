"""Passwords that are asked at every build, exchanged inside the request that starts it: Airflow never sees one.

A request that starts a run carries `password_CLOUD` in its `conf` for each cloud that asks for one. Its value is
exchanged at the cloud and replaced by a sealed credential before Airflow reads the request. Anything else that carries
such a key is refused, whatever it wants: there is one way in, and it is closed when in doubt.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote

from imagesmith.core import PASSWORD_PREFIX
from imagesmith.errors import CredentialsRefused, ImagesmithError, Transient
from imagesmith.plan import CLOUDS_PARAM
from imagesmith.sealing import is_sealed

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

STARTS_RUN = re.compile(r"/api/v2/dags/([^/]+)/dagRuns/?$")
# Airflow's APIs for people and programs, and the call by which a task starts a run of another DAG.
LOOKED_AT = re.compile(r"/(api|ui|execution/dag-runs)/")
MOST_BYTES = 4 * 1024 * 1024


class Desk(Protocol):
    """Where passwords are exchanged. `exchange` and `revoke` block; the others answer at once."""

    def asking(self) -> frozenset[str] | None:
        """Clouds that ask for a password, None when that can't be known at the moment."""

    def clouds_of(self, generator: str) -> tuple[str, ...]:
        """The generator's clouds, none for a DAG that is no generator."""

    async def admits(self, scope: Scope, generator: str) -> bool:
        """Whether the caller may start this generator's builds."""

    def exchange(self, generator: str, cloud: str, password: str) -> str:
        """A sealed credential; raises CredentialsRefused, Transient or another ImagesmithError."""

    def revoke(self, generator: str, cloud: str, sealed: str) -> None:
        """Take back what `exchange` gave."""


@dataclass(frozen=True)
class Refusal(Exception):
    """An answer in Airflow's stead."""

    status: int
    detail: str


TOO_DEEP = Refusal(422, "the body is nested too deep; send an object with a flat `conf`")


class PasswordGate:
    """An ASGI application before Airflow's own."""

    def __init__(self, app: App, desk: Desk) -> None:
        self._app = app
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, without its passwords, or refuse it."""
        reads = scope["type"] == "http" and scope["method"] in ("POST", "PUT", "PATCH")
        if not reads or not LOOKED_AT.search(scope["path"]):
            await self._app(scope, receive, send)
            return
        made: dict[str, str] = {}
        starts = STARTS_RUN.search(scope["path"])
        generator = unquote(starts[1]) if starts and scope["method"] == "POST" else ""
        try:
            body = await _body(receive)
            if generator:
                body = await self._exchanged(scope, generator, body, made=made)
            else:
                self._refuse_passwords(body)
        except (Refusal, RecursionError) as error:
            await self._take_back(generator, made)
            await _answer(send, error if isinstance(error, Refusal) else TOO_DEEP)
            return
        except BaseException:
            await self._take_back(generator, made)
            raise
        await self._pass_on(scope, receive, send, body=body, generator=generator, made=made)

    async def _pass_on(
        self, scope: Scope, receive: Receive, send: Send, *, body: bytes, generator: str, made: Mapping[str, str]
    ) -> None:
        """Airflow's answer; where it makes no run, what was exchanged for it is taken back."""
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = 200 <= message["status"] < 300
            await send(message)

        headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"content-length"]
        changed = {**scope, "headers": [*headers, (b"content-length", str(len(body)).encode())]}
        try:
            await self._app(changed, _received(body, receive), watch)
        finally:
            if not started:
                await self._take_back(generator, made)

    async def _exchanged(self, scope: Scope, generator: str, body: bytes, *, made: dict[str, str]) -> bytes:
        """The request's body with sealed credentials in the place of passwords; `made` gets them by cloud."""
        asking = self._desk.asking()
        if asking is None:
            raise Refusal(503, "include/clouds.yaml can't be read, so no build is started; see `imagesmith validate`")
        wanted = [cloud for cloud in self._desk.clouds_of(generator) if cloud in asking]
        document = _document(body)
        if not isinstance(document, dict):
            self._refuse_passwords(body)
            return body  # Airflow says what is wrong with it
        conf = document.get("conf")
        elsewhere = {**document, "conf": None} if isinstance(conf, dict) else document
        conf = dict(conf) if isinstance(conf, dict) else {}
        strangers = _password_keys(elsewhere, asking)
        strangers |= {key for key in _password_keys(conf, asking) if key.removeprefix(PASSWORD_PREFIX) not in wanted}
        if strangers:
            raise Refusal(422, f"{', '.join(sorted(strangers))}: no cloud of {generator} asks for this password here")
        if not wanted:
            return body
        chosen = conf.get(CLOUDS_PARAM)
        chosen = [cloud for cloud in wanted if not isinstance(chosen, list) or cloud in chosen]
        given = {cloud: conf.pop(PASSWORD_PREFIX + cloud, "") for cloud in wanted}
        if await self._desk.admits(scope, generator):
            for cloud in chosen:
                conf[PASSWORD_PREFIX + cloud] = await self._sealed(generator, cloud, given[cloud], made=made)
        return json.dumps({**document, "conf": conf}).encode()

    async def _sealed(self, generator: str, cloud: str, given: object, *, made: dict[str, str]) -> str:
        if not isinstance(given, str) or not given:
            raise Refusal(
                422,
                f"{cloud} asks for its password at every build: give it as {PASSWORD_PREFIX}{cloud}, "
                f"or take {cloud} out of `{CLOUDS_PARAM}`",
            )
        if is_sealed(given):
            raise Refusal(422, f"{PASSWORD_PREFIX}{cloud}: the credential of another build; give the password itself")
        try:
            made[cloud] = await asyncio.to_thread(self._desk.exchange, generator, cloud, given)
        except Transient as error:
            raise Refusal(502, f"{error}; no build was started") from error
        except CredentialsRefused as error:
            raise Refusal(422, f"{error}; no build was started") from error
        except ImagesmithError as error:
            raise Refusal(503, f"{error}; no build was started") from error
        return made[cloud]

    def _refuse_passwords(self, body: bytes) -> None:
        """Nothing but the start of a run may carry a password."""
        if PASSWORD_PREFIX.encode() not in body and not _may_hide(body):
            return
        asking = self._desk.asking()
        found = _password_keys(_document(body), asking)
        if found:
            raise Refusal(
                422,
                f"{', '.join(sorted(found))}: a password is taken only where a single build is started "
                "(POST /api/v2/dags/GENERATOR/dagRuns), because elsewhere it would be stored",
            )

    async def _take_back(self, generator: str, made: Mapping[str, str]) -> None:
        for cloud, sealed in made.items():
            await asyncio.to_thread(self._desk.revoke, generator, cloud, sealed)


def _may_hide(body: bytes) -> bool:
    """Whether a key may be written with escapes, or in one of JSON's other encodings."""
    return b"\\u" in body or b"\0" in body


def _password_keys(value: Any, asking: frozenset[str] | None) -> set[str]:
    """Keys anywhere in the document under which a password of an asking cloud would lie."""
    if isinstance(value, list):
        return {key for item in value for key in _password_keys(item, asking)}
    if not isinstance(value, dict):
        return set()
    found = {key for item in value.values() for key in _password_keys(item, asking)}
    for key, item in value.items():
        cloud = key.removeprefix(PASSWORD_PREFIX)
        if key.startswith(PASSWORD_PREFIX) and (asking is None or cloud in asking) and item not in ("", None):
            found.add(key)
    return found


def _document(body: bytes) -> Any:
    """The body's JSON, None for a body that is none; refuses one that is none and may hold a password."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        if PASSWORD_PREFIX.encode() in body:
            raise Refusal(422, "the body is not JSON; send an object with a flat `conf`") from error
        return None


async def _body(receive: Receive) -> bytes:
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


def _received(body: bytes, receive: Receive) -> Receive:
    """The body, and after it what else the client sends."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


async def _answer(send: Send, refusal: Refusal) -> None:
    body = json.dumps({"detail": refusal.detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
