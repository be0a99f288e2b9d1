"""From a new generator to a cancelled build with Tab, Enter, Space and the letters alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagesmith.catalog.records import BuildState
from imagesmith.core import TargetState

from .test_browser import Desk
from .test_browser import desk as desk  # the fixture
from .test_watching import streams_stay as streams_stay  # the fixture

if TYPE_CHECKING:
    from playwright.sync_api import Page

# What a reader of the screen is told of where the focus is.
HERE = """() => {
    const at = document.activeElement;
    return (at.getAttribute("aria-label") ?? at.labels?.[0]?.innerText ?? at.textContent).trim();
}"""
MOST_TABS = 60


def tab_to(page: Page, name: str) -> None:
    """The focus moved on to what is called so."""
    passed = []
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        passed.append(page.evaluate(HERE))
        if passed[-1].startswith(name):
            return
    raise AssertionError(f"Tab does not come to {name!r}, but to {passed}")


def type_into(page: Page, name: str, text: str) -> None:
    tab_to(page, name)
    page.keyboard.type(text)


def press(page: Page, name: str, key: str = "Enter") -> None:
    tab_to(page, name)
    page.keyboard.press(key)


def test_a_generator_is_added_saved_built_and_cancelled_with_keys_alone(desk: Desk) -> None:
    page, web = desk.open("/generators"), desk.web
    press(page, "Add a generator")
    page.locator(".of-text .cm-content").wait_for()
    type_into(page, "Name", "keys")
    type_into(page, "Script", "#!/bin/sh\ntrue\n")
    page.keyboard.press("Escape")
    press(page, "ec2", "Space")
    type_into(page, "Its id", "ami-12345678")
    type_into(page, "SSH user", "admin")
    type_into(page, "Instance type", "t3.small")
    press(page, "Save")
    page.get_by_text("Added.").wait_for()
    assert "script: |\n  #!/bin/sh\n  true\n" in web.file("keys").read_text()
    press(page, "Build…")
    page.get_by_role("dialog").get_by_role("button", name="Build", exact=True).wait_for()
    press(page, "Build")
    page.get_by_text("Airflow has not begun it yet").wait_for()
    assert list(web.host.runs) == [("keys", "manual__0")]
    build_id = web.built("keys", state=BuildState.RUNNING, run_id="manual__0", ec2=TargetState.LAUNCHING)
    page.get_by_role("heading", name=build_id).wait_for()
    press(page, "Cancel…")
    press(page, "Cancel this build")
    page.wait_for_url("**done=cancelled")
    assert web.host.runs["keys", "manual__0"] == "failed"
