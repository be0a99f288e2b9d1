"""The password gate with a desk before it, and an Airflow behind it that keeps what comes through."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from imagesmith.errors import CredentialsRefused, ImagesmithError
from imagesmith.web.passwords import PasswordGate


class Desk:
    """Clouds `hotel` and `india` ask for passwords; `dstat` is on ec2 and hotel, `plain` and `keyed` on ec2.

    `keyed` has the secret parameter `token`.
    """

    def __init__(self) -> None:
        self.known: frozenset[str] | None = frozenset({"hotel", "india"})
        self.error: ImagesmithError | None = None
        self.held: list[str] = []
        self.secrets: frozenset[str] | None = frozenset({"token"})
        self.values: dict[str, str] = {}

    def asking(self) -> frozenset[str] | None:
        return self.known

    def clouds_of(self, generator: str) -> tuple[str, ...]:
        return {"dstat": ("ec2", "hotel"), "plain": ("ec2",), "keyed": ("ec2",)}.get(generator, ())

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
        return True

    def exchange(self, generator: str, cloud: str, password: str) -> str:
        if self.error:
            raise self.error
        if password != "right":
            raise CredentialsRefused(f"{cloud}: Keystone does not take this password of user ann; give the right one")
        self.held.append(cloud)
        return "sealed.1.new"

    def revoke(self, generator: str, cloud: str, sealed: str) -> None:
        self.held.remove(cloud)


class Front:
    """The gate with a desk, and an Airflow behind it that counts what comes through."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.came_through: list[bytes] = []
        self.gate = PasswordGate(self._airflow, self.desk)

    async def _airflow(self, scope: Any, receive: Any, send: Any) -> None:
        self.came_through.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    def send(self, method: str, path: str, body: Any) -> tuple[int, str]:
        """Status and detail of the answer; a body of None breaks off."""
        messages: list[dict[str, Any]] = []
        if body is not None:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            messages.append({"type": "http.request", "body": raw, "more_body": False})
        answers: list[Any] = []

        async def receive() -> Any:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            answers.append(message)

        asyncio.run(self.gate({"type": "http", "method": method, "path": path, "headers": []}, receive, send))
        content = json.loads(b"".join(answer.get("body", b"") for answer in answers))
        return answers[0]["status"], str(content.get("detail", ""))
