"""A page in a real Chromium: what needs a script, a picture or a keyboard."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
# Of axe-core's four grades those that keep people out.
GRAVE = ("serious", "critical")


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
