"""A proxy in the environment, and programs of this machine that talk to each other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
import requests

from imagesmith.cli import main
from imagesmith.proxies import leave_out_loopback

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    """Where somebody answers on this machine."""
    with HTTPServer(("127.0.0.1", 0), Hello) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that reaches the world by a proxy; this one answers nobody."""
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that it is put back, whatever a test makes of it
        monkeypatch.setenv(name.upper(), "")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")


@pytest.mark.usefixtures("behind_a_proxy")
def test_what_runs_on_this_machine_is_reached_without_the_proxy(url: str) -> None:
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)
    assert main(["validate"]) == 0
    assert httpx.get(url).status_code == requests.get(url, timeout=5).status_code == 204


@pytest.mark.parametrize(
    ("environment", "exceptions"),
    [
        ({}, None),
        ({"no_proxy": "corp"}, "corp"),
        ({"https_proxy": "http://p:3128"}, "127.0.0.1,localhost"),
        ({"ALL_PROXY": "http://p:3128", "NO_PROXY": ".corp, 10.0.0.1"}, ".corp,10.0.0.1,127.0.0.1,localhost"),
        ({"http_proxy": "http://p:3128", "no_proxy": "localhost", "NO_PROXY": ".corp"}, "localhost,127.0.0.1"),
        ({"http_proxy": "http://p:3128", "no_proxy": "*"}, "*"),
    ],
)
def test_the_users_own_exceptions_stay(environment: dict[str, str], exceptions: str | None) -> None:
    leave_out_loopback(environment)
    assert (environment.get("no_proxy") or environment.get("NO_PROXY")) == exceptions
