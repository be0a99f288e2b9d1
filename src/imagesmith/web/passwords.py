"""Passwords and secret parameters that are asked at every build: Airflow never sees one.

A request that starts a run carries in its `conf` `password_CLOUD` for each cloud that asks for one, and the values of
the generator's secret parameters; a rebuild of those that its build had. Before Airflow reads the request a password is
exchanged at the cloud and replaced by a sealed credential, and a secret parameter by its sealed value. Anything else
that carries such a key is refused, whatever it wants: there is one way in, and it is closed when in doubt.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote

from imagesmith.core import PASSWORD_PREFIX
from imagesmith.errors import CredentialsRefused, ImagesmithError, Transient
from imagesmith.parameters import secret_problem
from imagesmith.plan import CLOUDS_PARAM, REBUILD_PARAM
from imagesmith.sealing import is_sealed
from imagesmith.web.hidden_keys import CONTAINERS, password_keys, secret_keys
from imagesmith.web.messages import (
    NO_JSON,
    TOO_DEEP,
    App,
    Message,
    Receive,
    Refusal,
    Scope,
    Send,
    answer,
    may_hide,
    received,
    whole_body,
)

STARTS_RUN = re.compile(r"/api/v2/dags/([^/]+)/dagRuns/?$")
# Airflow's APIs for people and programs, and the call by which a task starts a run of another DAG.
LOOKED_AT = re.compile(r"/(api|ui|execution/dag-runs)/")
# DAGs of our own that take a generator's parameters, and none of them secret.
OURS = "imagesmith_"
ONE_WAY = "is taken only where a single build is started (POST /api/v2/dags/GENERATOR/dagRuns)"


class Desk(Protocol):
    """Where passwords are exchanged and values sealed. `exchange` and `revoke` block; the others answer at once."""

    def asking(self) -> frozenset[str] | None:
        """Clouds that ask for a password, None when that can't be known at the moment."""

    def clouds_of(self, generator: str) -> tuple[str, ...]:
        """The generator's clouds, none for a DAG that is no generator."""

    def secrets_of(self, generator: str | None) -> frozenset[str] | None:
        """The generator's secret parameters (of None: of all generators), None when that can't be known."""

    async def admits(self, scope: Scope, generator: str) -> bool:
        """Whether the caller may start this generator's builds."""

    def exchange(self, generator: str, cloud: str, password: str) -> str:
        """A sealed credential; raises CredentialsRefused, Transient or another ImagesmithError."""

    def revoke(self, generator: str, cloud: str, sealed: str) -> None:
        """Take back what `exchange` gave."""

    def seal(self, generator: str, parameter: str, value: str) -> str:
        """The sealed value of a secret parameter; raises ImagesmithError."""


@dataclass(frozen=True)
class Wanted:
    """What builds of one generator are asked for."""

    generator: str
    asking: frozenset[str]
    clouds: tuple[str, ...]
    secrets: frozenset[str]


class PasswordGate:
    """An ASGI application before Airflow's own."""

    def __init__(self, app: App, desk: Desk) -> None:
        self._app = app
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, without its passwords and secrets, or refuse it."""
        reads = scope["type"] == "http" and scope["method"] in ("POST", "PUT", "PATCH")
        if not reads or not LOOKED_AT.search(scope["path"]):
            await self._app(scope, receive, send)
            return
        made: dict[str, str] = {}
        starts = STARTS_RUN.search(scope["path"])
        generator = unquote(starts[1]) if starts and scope["method"] == "POST" else ""
        try:
            body = await whole_body(receive)
            if generator:
                body = await self._exchanged(scope, generator, body, made=made)
            else:
                self._refuse_all(body)
        except (Refusal, RecursionError) as error:
            await self._take_back(generator, made)
            await answer(send, error if isinstance(error, Refusal) else TOO_DEEP)
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
            await self._app(changed, received(body, receive), watch)
        finally:
            if not started:
                await self._take_back(generator, made)

    def _wanted(self, generator: str) -> Wanted:
        asking, secrets = self._desk.asking(), self._desk.secrets_of(generator)
        if asking is None:
            raise Refusal(503, "include/clouds.yaml can't be read, so no build is started; see `imagesmith validate`")
        if secrets is None:
            raise Refusal(
                503,
                f"include/generators/{generator}.yaml can't be read, so no build is started; see `imagesmith validate`",
            )
        clouds = tuple(cloud for cloud in self._desk.clouds_of(generator) if cloud in asking)
        return Wanted(generator, asking, clouds, secrets)

    async def _exchanged(self, scope: Scope, generator: str, body: bytes, *, made: dict[str, str]) -> bytes:
        """The request's body with nothing in the clear; `made` gets the sealed credentials by cloud."""
        wanted = self._wanted(generator)
        document = _document(body, may_be_none=not wanted.secrets)
        if not isinstance(document, dict):
            self._refuse_all(body)
            return body  # Airflow says what is wrong with it
        self._refuse_strangers(wanted, document)
        if not wanted.clouds and not wanted.secrets:
            return body
        conf = dict(document["conf"]) if isinstance(document.get("conf"), dict) else {}
        chosen = conf.get(CLOUDS_PARAM)
        chosen = [cloud for cloud in wanted.clouds if not isinstance(chosen, list) or cloud in chosen]
        passwords = {cloud: conf.pop(PASSWORD_PREFIX + cloud, "") for cloud in wanted.clouds}
        values = {name: conf.pop(name, "") for name in sorted(wanted.secrets)}
        if await self._desk.admits(scope, generator):
            for name, value in values.items():
                if value in ("", None) and conf.get(REBUILD_PARAM):
                    continue  # which secrets a build is to have again is in its plan; `begin` refuses what is missing
                conf[name] = self._sealed(generator, name, value)
            for cloud in chosen:
                conf[PASSWORD_PREFIX + cloud] = await self._credential(generator, cloud, passwords[cloud], made=made)
        return json.dumps({**document, "conf": conf}).encode()

    def _refuse_strangers(self, wanted: Wanted, document: dict[str, Any]) -> None:
        """Raise Refusal for passwords and secret parameters that are others', or lie not in `conf` itself."""
        conf = document.get("conf")
        elsewhere = {**document, "conf": None} if isinstance(conf, dict) else document
        conf = conf if isinstance(conf, dict) else {}
        asking = wanted.asking
        strangers = password_keys(elsewhere, asking)
        strangers |= {
            key for key in password_keys(conf, asking) if key.removeprefix(PASSWORD_PREFIX) not in wanted.clouds
        }
        if strangers:
            names = ", ".join(sorted(strangers))
            raise Refusal(422, f"{names}: no cloud of {wanted.generator} asks for this password here")
        ours = wanted.generator.startswith(OURS)
        names_of_secrets = self._desk.secrets_of(None) if ours else wanted.secrets
        inside = [*conf.values(), *(value for value in elsewhere.values() if isinstance(value, dict | list))]
        if found := secret_keys(inside, names_of_secrets, within=True):
            raise Refusal(422, f"{', '.join(sorted(found))}: a secret parameter is taken in `conf` itself only")

    def _sealed(self, generator: str, name: str, given: object) -> str:
        if given in ("", None):
            raise Refusal(
                422, f"{generator} asks for the secret parameter {name} at every build: give it as {name} in `conf`"
            )
        if is_sealed(given):
            raise Refusal(422, f"{name}: the sealed value of another build; give the value itself")
        if problem := secret_problem(given):
            raise Refusal(422, f"parameter {name}: the value {problem}; no build was started")
        try:
            return self._desk.seal(generator, name, str(given))
        except ImagesmithError as error:
            raise Refusal(503, f"{error}; no build was started") from error

    async def _credential(self, generator: str, cloud: str, given: object, *, made: dict[str, str]) -> str:
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

    def _refuse_all(self, body: bytes) -> None:
        """Nothing but the start of a run may carry a password or a secret parameter."""
        if PASSWORD_PREFIX.encode() in body or may_hide(body):
            found = password_keys(_document(body), self._desk.asking())
            if found:
                raise Refusal(
                    422, f"{', '.join(sorted(found))}: a password {ONE_WAY}, because elsewhere it would be stored"
                )
        if may_hide(body) or any(f'"{container}"'.encode() in body for container in CONTAINERS):
            found = secret_keys(_document(body), self._desk.secrets_of(None))
            if found:
                raise Refusal(
                    422,
                    f"{', '.join(sorted(found))}: a secret parameter {ONE_WAY}, because elsewhere it would be stored",
                )

    async def _take_back(self, generator: str, made: Mapping[str, str]) -> None:
        for cloud, sealed in made.items():
            await asyncio.to_thread(self._desk.revoke, generator, cloud, sealed)


def _document(body: bytes, *, may_be_none: bool = True) -> Any:
    """The body's JSON, None for a body that is none; refuses one that is none and may hold a password."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        if PASSWORD_PREFIX.encode() in body or not may_be_none:
            raise NO_JSON from error
        return None
