"""The app alone, served on a port, in a real Chromium: what needs a script, a picture or a keyboard."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from playwright.sync_api import Page

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
# Of axe-core's four grades those that keep people out.
GRAVE = ("serious", "critical")


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The address of the app, until the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def log_in(page: Page, address: str, user: str) -> None:
    """What Airflow's login leaves in the browser."""
    page.context.add_cookies([{"name": "_token", "value": user, "url": address}])


def choose_theme(page: Page, theme: str) -> None:
    """What Airflow's own switch leaves in the browser; the page must be one of its origin."""
    page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
    page.reload()


def faults(page: Page) -> Sequence[str]:
    """Grave faults of accessibility, each with where it is."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("async () => (await axe.run()).violations")
    return [
        f"{each['id']} ({each['impact']}): {node['target']} {node.get('failureSummary', '')}"
        for each in found
        if each["impact"] in GRAVE
        for node in each["nodes"]
    ]


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return int(wide)


def picture(page: Page, name: str) -> None:
    """A picture for people, where they want some."""
    if folder := os.environ.get("IMAGESMITH_PICTURES"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png")
