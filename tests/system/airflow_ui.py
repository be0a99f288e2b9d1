"""Airflow's UI as a person uses it: Debian's chromium, driven by Playwright."""

from __future__ import annotations

import importlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Locator, Page, Response

PAGE_LIMIT_MS = 90_000  # a page is there within 2 s on a quiet machine
# Our entry in Airflow's navigation.
ENTRY = "Image generators"
SIZE = {"width": 1400, "height": 900}


@contextmanager
def browser() -> Iterator[Page]:
    """An empty page of a headless Chromium; skips the test on a machine that has none."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs a browser (Debian's package chromium)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    # Chromium's own sandbox refuses to start as root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=arguments)
        page = started.new_page(viewport=SIZE)
        page.set_default_timeout(PAGE_LIMIT_MS)
        try:
            yield page
        finally:
            started.close()


def _text_of(answer: Response) -> str:
    """The answer's body; "" if the page has asked again meanwhile and the browser has let this one go."""
    with suppress(importlib.import_module("playwright.sync_api").Error):
        return answer.text()
    return ""


def from_navigation(page: Page) -> FrameLocator:
    """Our pages, by Airflow's own navigation."""
    page.get_by_role("link", name=ENTRY).first.click()
    ours = page.frame_locator(f"iframe[title='{ENTRY}']")
    ours.get_by_role("heading", name="Generators").wait_for()
    return ours


class AirflowUi:
    """The UI at `url`, on one page of a browser."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    def log_in(self, username: str, password: str) -> None:
        """Returns on the first page."""
        self.page.goto(f"{self.url}/")
        self.page.locator("input[name=username]").fill(username)
        self.page.locator("input[name=password]").fill(password)
        self.page.locator("button[type=submit]").click()
        self.page.get_by_text("Pool Slots").wait_for()

    def lists_dag(self, dag_id: str) -> bool:
        """True if the page of all DAGs has it."""
        with self.page.expect_response(re.compile(r"/ui/dags\?")) as answer:
            self.page.goto(f"{self.url}/dags?name_pattern={dag_id}")
        if dag_id not in _text_of(answer.value):
            return False
        self.page.get_by_role("link", name=dag_id, exact=True).first.wait_for()
        return True

    def open_trigger_form(self, dag_id: str) -> Locator:
        """The form of a generator's parameters."""
        self.page.goto(f"{self.url}/dags/{dag_id}")
        self.page.get_by_test_id("trigger-dag-button").click()
        form = self.page.get_by_role("dialog")
        form.locator("[name=element_clouds]").first.wait_for(state="attached")
        return form

    def trigger(self, form: Locator, *, values: Mapping[str, str], without_clouds: Sequence[str]) -> str:
        """The id of the run that the form has started with these values."""
        for cloud in without_clouds:
            form.get_by_label(f"Remove {cloud}").click()
        self.fill_and_send(form, values)
        self.page.wait_for_url("**/runs/**")
        return unquote(self.page.url.split("/runs/")[1].split("?")[0].split("/")[0])

    def fill_and_send(self, form: Locator, values: Mapping[str, str]) -> None:
        """The form's button pressed, whatever comes of it."""
        for name, value in values.items():
            form.locator(f"input[name='element_{name}']").fill(value)
        form.get_by_test_id("trigger-dag-submit").click()

    def open_run(self, dag_id: str, run_id: str) -> None:
        """Returns on the run's own page, which refreshes itself."""
        self.page.goto(f"{self.url}/dags/{dag_id}/runs/{run_id}")
        self.page.get_by_test_id("mark-run-as-button").wait_for()

    def log_of(self, dag_id: str, run_id: str, task_id: str, *, awaited: str) -> str:
        """The page of the task's log once it shows `awaited`."""
        self.page.goto(f"{self.url}/dags/{dag_id}/runs/{run_id}/tasks/{task_id}")
        self.page.get_by_text(awaited).first.wait_for()
        return self.page.locator("body").inner_text()

    def mark_failed(self) -> None:
        """The run whose page is open marked failed with the page's button."""
        self.page.get_by_test_id("mark-run-as-button").click()
        self.page.get_by_test_id("mark-run-as-failed").click()
        self.page.get_by_test_id("mark-run-as-confirm").click()
        self.page.get_by_role("dialog").wait_for(state="hidden")
