"""When a browser shows something of a page: its first contentful paint, counted from where it was asked for it."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from playwright.sync_api import Page

LIMIT_MS = 1_000
WARM_UP = 1
_PAINTED = """async () => {
    const at = () => performance.getEntriesByName("first-contentful-paint")[0];
    while (!at()) await new Promise((look) => setTimeout(look, 10));
    return at().startTime;
}"""


def first_paints(app: Any, paths: Sequence[str], times: int) -> Mapping[str, Sequence[float]]:
    """By path the milliseconds of each load, in a Chromium that has our scripts and styles; {} where there is none."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return {}
    from playwright.sync_api import ViewportSize, sync_playwright

    with served(app) as address, sync_playwright() as playwright:
        # Chromium's own sandbox refuses to start as root.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        page = browser.new_page(viewport=ViewportSize(width=1280, height=900))
        found = {path: [_painted(page, address + path) for _ in range(times + WARM_UP)][WARM_UP:] for path in paths}
        browser.close()
    return found


def _painted(page: Page, address: str) -> float:
    page.goto(address, wait_until="domcontentloaded")
    return float(page.evaluate(_PAINTED))


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The address of the app, until the end; tests in a browser serve it so, too."""
    listener = socket.create_server(("127.0.0.1", 0))
    # Streams of events that a page left open are not waited for.
    settings = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
