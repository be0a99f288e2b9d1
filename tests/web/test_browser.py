"""The pages in a real browser: with the keyboard, light and dark, narrow, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from bench.first_paint import served
from tests.system.airflow_ui import browser

from imagesmith.core import TargetState
from imagesmith.web.app import PREFIX

from .conftest import TOOLS, Web
from .fake_host import ADMIN, VIEWER
from .in_browser import NARROW, choose_theme, faults, log_in, overflow, picture
from .test_generator_pages import LINES

if TYPE_CHECKING:
    from playwright.sync_api import Page

LIMIT_MS = 20_000
# Refusals on purpose; and a style that Chromium itself makes up where one types over what is selected, and is denied.
# The last: a stream of events that ends with the page it belongs to.
EXPECTED = ("Failed to load resource", "Response Status", "Applying inline style", "[object Event]")


@dataclass
class Desk:
    """A browser at the app's pages."""

    page: Page
    address: str
    web: Web

    def open(self, path: str, page: Page | None = None) -> Page:
        """The page once its scripts have run."""
        at = page or self.page
        at.goto(self.address + PREFIX + path)
        at.wait_for_load_state("networkidle")
        return at

    def another(self, user: str = ADMIN) -> Page:
        """Somebody else's browser."""
        assert self.page.context.browser
        page: Page = self.page.context.browser.new_page()
        page.set_default_timeout(LIMIT_MS)
        log_in(page, self.address, user)
        return page


@pytest.fixture
def desk(web: Web) -> Iterator[Desk]:
    with served(web.client.app) as address, browser() as page:
        page.set_default_timeout(LIMIT_MS)
        log_in(page, address, ADMIN)
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        yield Desk(page, address, web)
        assert [text for text in said if not any(word in text for word in EXPECTED)] == []


def type_script(page: Page, text: str) -> None:
    """The editor's content replaced by what is typed."""
    editor = page.locator(".of-text .cm-content")  # once it is there: before, the field is a plain one
    editor.click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text(text)


def test_a_generator_is_written_and_saved(desk: Desk) -> None:
    page = desk.open("/generators")
    page.get_by_role("link", name="Add a generator").click()
    page.get_by_label("Name", exact=True).first.fill("dstat2")
    type_script(page, "#!/bin/sh\nsudo apt-get install -y dstat # <b>\n")
    assert page.locator(".tok-comment").inner_text() == "# <b>"
    page.locator("[name='clouds.ec2.on']").check()
    cloud = page.locator("fieldset.cloud", has=page.locator("[name='clouds.ec2.on']"))
    cloud.get_by_label("Its id").fill("ami-12345678")
    cloud.get_by_label("SSH user").fill("a b")
    cloud.get_by_label("Instance type").fill("t3.small")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("'a b' is not a login name").wait_for()
    assert page.evaluate("document.activeElement.getAttribute('role')") == "alert"
    cloud.get_by_label("SSH user").fill("admin")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Added.").wait_for()
    text = desk.web.file("dstat2").read_text()
    assert "script: |\n  #!/bin/sh\n  sudo apt-get install -y dstat # <b>\n" in text
    page.get_by_role("link", name="Generators", exact=True).first.click()
    page.get_by_label("Search").fill("dstat")
    page.get_by_text("1 generator", exact=True).wait_for()
    assert page.get_by_role("row").count() == 2


def test_two_browsers_save_the_same_generator(desk: Desk) -> None:
    first, second = desk.open("/generators/tools"), desk.open("/generators/tools", desk.another())
    for page, word in ((first, "first"), (second, "second")):
        page.get_by_label("Description").first.fill(word)
        page.get_by_label("Written here").check()
        type_script(page, f"#!/bin/sh\n# {word}\n")
    first.get_by_role("button", name="Save").click()
    first.get_by_text("Saved.").wait_for()
    second.get_by_role("button", name="Save", exact=True).click()
    second.get_by_text("Somebody else saved this generator").wait_for()
    assert "# first" in desk.web.file("tools").read_text()
    assert second.get_by_label("Description").first.input_value() == "second"
    assert "# second" in second.get_by_role("textbox", name="Script", exact=True).inner_text()
    second.get_by_text("Both texts").click()
    assert "# first" in second.locator("#theirs").inner_text()
    assert "# second" in second.locator("#yours").inner_text()
    assert faults(second) == []
    picture(second, "conflict")
    second.get_by_role("button", name="Save mine over theirs").click()
    second.get_by_text("Saved.").wait_for()
    assert "# second" in desk.web.file("tools").read_text()


def test_a_login_that_ended_loses_nothing_that_was_typed(desk: Desk) -> None:
    page = desk.open("/generators/tools")
    page.get_by_label("Written here").check()
    type_script(page, "#!/bin/sh\n# an hour of work\n")
    page.context.clear_cookies()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("your login has ended").wait_for()
    assert "an hour of work" in page.get_by_role("textbox", name="Script", exact=True).inner_text()
    log_in(page, desk.address, ADMIN)
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    assert "# an hour of work" in desk.web.file("tools").read_text()


def test_parameters_come_row_by_row(desk: Desk) -> None:
    page = desk.open("/generators/tools")
    for name in ("one", "two"):
        row = page.locator("fieldset.parameter").last
        row.get_by_label("Name").fill(name)
        page.get_by_role("button", name="Another parameter").click()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    assert list(desk.web.json("/generators/tools")["document"]["parameters"]) == ["extra", "one", "two"]


def test_texts_of_several_lines_come_back_as_they_were(desk: Desk) -> None:
    desk.web.file("tools").write_text(LINES)
    page = desk.open("/generators/tools")
    page.locator("[name='clouds.ec2.public']").check()
    picture(page, "lines")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    assert desk.web.file("tools").read_text() == LINES.replace("t3.small}", "t3.small, public: true}")


def test_a_cloud_is_tested_and_tells_its_answer(desk: Desk) -> None:
    desk.web.host.results["manual__0"] = {"identity": "arn:aws:iam::1:user/ann", "problem": ""}
    page = desk.open("/clouds")
    page.get_by_role("button", name="Test ec2").click()
    page.get_by_text("asking").wait_for()
    desk.web.host.runs["imagesmith_test_cloud", "manual__0"] = "success"
    page.get_by_text("arn:aws:iam::1:user/ann").wait_for()
    assert page.get_by_text("asking").count() == 0


def test_a_source_image_is_chosen_from_the_clouds_own_list(desk: Desk) -> None:
    images = [{"id": "ami-87654321", "name": "debian-12 <b>", "created": "2026-11-01T00:00:00Z", "own": False}]
    desk.web.host.results["manual__0"] = {"images": images, "instance_types": ["t3.nano", "t3.huge"], "problem": ""}
    page = desk.open("/generators/tools")
    page.get_by_label("Description").first.fill("typed before")
    page.locator("#search-ec2").fill("debian")
    page.keyboard.press("Enter")
    page.get_by_text("asking").wait_for()
    desk.web.host.runs["imagesmith_list_cloud", "manual__0"] = "success"
    page.get_by_role("button", name="debian-12 <b>").click()
    assert page.locator("#types-ec2 option").count() == 2
    assert faults(page) == []
    picture(page, "picker")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    document = desk.web.json("/generators/tools")["document"]
    assert (document["clouds"]["ec2"]["source_image"], document["description"]) == ("ami-87654321", "typed before")


def test_without_scripts_the_form_is_a_form(desk: Desk) -> None:
    assert desk.page.context.browser
    context = desk.page.context.browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(LIMIT_MS)
    log_in(page, desk.address, ADMIN)
    page.goto(f"{desk.address}{PREFIX}/generators/tools")
    page.get_by_label("Written here").check()
    page.get_by_label("Script", exact=True).fill("#!/bin/sh\n# by hand\n")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    assert "# by hand" in desk.web.file("tools").read_text()


def test_the_keyboard_reaches_everything(desk: Desk) -> None:
    page = desk.open("/generators")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Add a generator"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page = desk.open("/generators/_new")
    page.get_by_role("textbox", name="Script", exact=True).click()
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "clouds.ec2.on"
    page.keyboard.press("Space")
    page.get_by_label("SSH user").first.wait_for()


def views(web: Web) -> list[tuple[str, str]]:
    """A page of each kind, with who looks at it."""
    web.built(ec2=TargetState.FAILED)
    web.built("secret-tools")
    web.file("broken").write_text(TOOLS.replace("script: tools.sh", "script: nowhere.sh\nschedule: sometimes"))
    paths = ["/generators", "/generators/tools", "/generators/broken", "/generators/_new", "/generators/tools/yaml"]
    paths += [
        "/generators/tools/versions?old=version00000&new=current",
        "/generators/tools/delete",
        "/clouds",
        "/nothing",
    ]
    return [*((path, ADMIN) for path in paths), ("/generators/tools", VIEWER), ("/generators", "nobody")]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nobody_is_kept_out_and_nothing_sticks_out(desk: Desk, theme: str, tmp_path: Any) -> None:
    found: dict[str, Any] = {}
    for path, user in views(desk.web):
        log_in(desk.page, desk.address, user)
        page = desk.open(path)
        choose_theme(page, theme)
        dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        assert (page.evaluate("getComputedStyle(document.documentElement).colorScheme"), dark) == (theme, False)
        found[f"{path} {user}"] = list(faults(page))
        page.set_viewport_size(NARROW)
        found[f"{path} {user}, narrow"] = [*faults(page), *(["too wide"] if overflow(page) else [])]
        page.set_viewport_size({"width": 1280, "height": 900})
    assert {name: told for name, told in found.items() if told} == {}
