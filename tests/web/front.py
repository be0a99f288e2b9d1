"""The gate with a desk before it, and an Airflow behind it that keeps what it was sent."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from imagesmith.errors import CredentialsRefused
from imagesmith.web.passwords import PasswordGate

PASSWORD = "correct horse"
SEALED = "sealed.1."
START = "/api/v2/dags/dstat/dagRuns"


class Desk:
    """A cloud `openstack-hotel` that asks, one that does not, and generators on both; `keyed` has a secret `token`."""

    def __init__(self) -> None:
        self.known: frozenset[str] | None = frozenset({"openstack-hotel"})
        self.admitted = True
        self.error: Exception | None = None
        self.exchanged: list[tuple[str, str, str]] = []
        self.revoked: list[str] = []
        self.secrets: frozenset[str] | None = frozenset({"token"})
        self.values: dict[str, str] = {}

    def asking(self) -> frozenset[str] | None:
        return self.known

    def clouds_of(self, generator: str) -> tuple[str, ...]:
        return {"dstat": ("ec2", "openstack-hotel"), "keyed": ("ec2",)}.get(generator, ())

    def secrets_of(self, generator: str | None) -> frozenset[str] | None:
        if self.secrets is None:
            return None
        known = frozenset({"token"}) if generator in (None, "keyed") else frozenset()
        return known & self.secrets

    def seal(self, generator: str, parameter: str, value: str) -> str:
        if self.error:
            raise self.error
        self.values[parameter] = value
        return f"sealed.1.{generator}.{parameter}"

    async def admits(self, scope: Any, generator: str) -> bool:
        return self.admitted

    def exchange(self, generator: str, cloud: str, password: str) -> str:
        if self.error:
            raise self.error
        if password != PASSWORD:
            raise CredentialsRefused(f"{cloud}: exchange the password of ann: 401: wrong; check it")
        self.exchanged.append((generator, cloud, password))
        return f"{SEALED}{len(self.exchanged)}"

    def revoke(self, generator: str, cloud: str, sealed: str) -> None:
        self.revoked.append(sealed)


class Airflow:
    """The application behind the gate: keeps what it was sent."""

    def __init__(self) -> None:
        self.status = 200
        self.error: Exception | None = None
        self.bodies: list[bytes] = []
        self.lengths: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            self.bodies.append(b"other")
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        self.lengths += [value.decode() for name, value in scope["headers"] if name == b"content-length"]
        if self.error:
            raise self.error
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    @property
    def conf(self) -> dict[str, Any]:
        """The conf of the one request that came through."""
        assert len(self.bodies) == 1
        return dict(json.loads(self.bodies[0])["conf"])


class Front:
    """Gate, desk and Airflow together."""

    def __init__(self) -> None:
        self.desk, self.airflow = Desk(), Airflow()
        self.gate = PasswordGate(self.airflow, self.desk)

    def send(self, body: Any, *, path: str = START, method: str = "POST", parts: int = 1) -> tuple[int, Any]:
        """Status and document of the answer."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        size = max(1, -(-len(raw) // parts))
        pieces = [raw[start : start + size] for start in range(0, len(raw), size)] or [b""]
        messages = [
            {"type": "http.request", "body": piece, "more_body": number < len(pieces) - 1}
            for number, piece in enumerate(pieces)
        ]
        answers: list[Any] = []

        async def receive() -> Any:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            answers.append(message)

        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(raw)).encode())]
        scope = {"type": "http", "method": method, "path": path, "headers": headers}
        asyncio.run(self.gate(scope, receive, send))
        content = b"".join(answer.get("body", b"") for answer in answers)
        return answers[0]["status"], json.loads(content or b"null")
