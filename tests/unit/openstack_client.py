"""A plain HTTP client of one OpenStack site of the sandbox: what the tests of its doors say and see."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

from imagesmith.sandbox.openstack import sites

# One client for all tests: each new one reads the certificates of this machine, which takes longer than a test.
_HTTP = httpx.Client(trust_env=False)
FAST = {"boot_s": 0.02, "script_s": 0.02, "stop_s": 0.02, "image_s": 0.02}


class Stack:
    """One site; logged in as its user unless it is told otherwise."""

    def __init__(self, endpoint: str, name: str) -> None:
        self.endpoint = endpoint
        self.name = name
        self.facts = sites.SITES[name]
        self.token = ""
        self.version = ""

    def start(self) -> Stack:
        """An empty site with fast machines."""
        self.control("/reset", account=self.name)
        self.control("/settings", account=self.name, **FAST)
        self.token = self.log_in()
        return self

    def control(self, path: str, **body: Any) -> Any:
        """What the sandbox's own door says."""
        return _HTTP.post(f"{self.endpoint}/_sandbox{path}", json=body).json()

    def told(self, path: str) -> Any:
        """What the sandbox's own door answers to a GET."""
        return _HTTP.get(f"{self.endpoint}/_sandbox{path}").json()

    def set(self, **settings: Any) -> Any:
        """Changes the site's settings."""
        return self.control("/settings", account=self.name, **settings)

    def log_in(self) -> str:
        """A new token for the project."""
        if self.facts.havana:
            given = {"username": sites.USER, "password": sites.PASSWORD}
            auth: dict[str, Any] = {"passwordCredentials": given, "tenantName": sites.PROJECT}
            return str(self.ask("POST", "/identity/v2.0/tokens", {"auth": auth}).json()["access"]["token"]["id"])
        return self.authenticate(password(), PROJECT).headers["x-subject-token"]

    def authenticate(self, identity: Any, scope: Any = None) -> httpx.Response:
        """Keystone v3's answer."""
        auth = {"identity": identity} | ({"scope": scope} if scope else {})
        return self.ask("POST", "/identity/v3/auth/tokens", {"auth": auth})

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """The answer, whatever it is. Header names without a hyphen have underscores for it."""
        sent = {name if "-" in name else name.replace("_", "-"): value for name, value in headers.items()}
        sent.setdefault("X-Auth-Token", self.token)
        if self.version:
            sent["OpenStack-API-Version"] = f"compute {self.version}"
        return _HTTP.request(
            method, f"{self.endpoint}/{self.name}{path}", json=body, headers={k: v for k, v in sent.items() if v}
        )

    def get(self, path: str, **headers: str) -> Any:
        """The document of a GET that succeeds."""
        answer = self.ask("GET", path, **headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def do(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The document of a call that succeeds, None if it has none."""
        answer = self.ask(method, path, body, **headers)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    @property
    def nova(self) -> str:
        """The path of compute."""
        return f"/compute/v2/{self.facts.project_id}" if self.facts.havana else "/compute/v2.1"

    def image(self, name: str = "simulated-1") -> str:
        """The id of an image."""
        return str(self.get(f"/image/v2/images?name={name}")["images"][0]["id"])

    def launch(self, **said: Any) -> str:
        """A server's id."""
        networks = {"networks": "auto"} if self.version else {}
        wanted = {"name": "s", "imageRef": self.image(), "flavorRef": "1", **networks, **said}
        return str(self.do("POST", f"{self.nova}/servers", {"server": wanted})["server"]["id"])

    def refused(self, **said: Any) -> tuple[int, str]:
        """Status and message of a launch that is refused."""
        wanted = {"name": "s", "imageRef": self.image(), "flavorRef": "1", **said}
        answer = self.ask("POST", f"{self.nova}/servers", {"server": wanted})
        return answer.status_code, next(iter(answer.json().values()))["message"]

    def server(self, server_id: str) -> Any:
        """The server's document."""
        return self.get(f"{self.nova}/servers/{server_id}")["server"]

    def becomes(self, server_id: str, status: str) -> Any:
        """The server's document once it has the status and no task."""
        return eventually(
            lambda: self.server(server_id),
            lambda seen: seen["status"] == status and seen["OS-EXT-STS:task_state"] is None,
        )

    def act(self, server_id: str, action: str, arguments: Any = None) -> httpx.Response:
        """The answer to an action."""
        return self.ask("POST", f"{self.nova}/servers/{server_id}/action", {action: arguments})

    def save(self, server_id: str, name: str = "saved", **metadata: str) -> str:
        """The id of an image of the server, from the body or the header."""
        answer = self.act(server_id, "createImage", {"name": name, "metadata": metadata})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["image_id"] if answer.content else answer.headers["location"].rsplit("/", 1)[-1])

    def saved(self, image_id: str) -> Any:
        """The image's document once it is active."""
        return eventually(lambda: self.get(f"/image/v2/images/{image_id}"), lambda seen: seen["status"] == "active")

    def gone(self, path: str) -> None:
        """Returns when the path is 404."""
        eventually(lambda: self.ask("GET", path).status_code, lambda status: status == 404)


PROJECT = {"project": {"name": sites.PROJECT, "domain": {"id": "default"}}}


def password(secret: str = sites.PASSWORD, name: str = sites.USER) -> Any:
    """A password as Keystone v3 takes it."""
    user = {"name": name, "domain": {"name": "Default"}, "password": secret}
    return {"methods": ["password"], "password": {"user": user}}


def eventually(look: Callable[[], Any], enough: Callable[[Any], bool]) -> Any:
    """What is seen once it is enough."""
    deadline = time.monotonic() + 5
    while not enough(seen := look()):
        assert time.monotonic() < deadline, f"still {seen}"
        time.sleep(0.005)
    return seen
