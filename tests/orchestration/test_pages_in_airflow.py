"""The pages inside Airflow's own UI, in a real browser: Airflow's app in this process, served on a port."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from bench.first_paint import served
from tests.system.airflow_ui import ENTRY, browser, from_navigation
from tests.web.in_browser import picture

from .test_rest import Api, api, read_dags  # noqa: F401  # `api` is a fixture

if TYPE_CHECKING:
    from playwright.sync_api import Page

LIMIT_MS = 60_000


@pytest.fixture
def page(deployment: Any, api: Api) -> Iterator[Page]:  # noqa: F811
    """Airflow's first page after ann's login."""
    deployment.generator(parameters={"extra": {"type": "string", "default": ""}})
    read_dags()
    with served(api.client.app) as address, browser() as opened:
        opened.set_default_timeout(LIMIT_MS)
        opened.goto(f"{address}/")
        opened.locator("input[name=username]").fill("ann")
        opened.locator("input[name=password]").fill("ann's")
        opened.locator("button[type=submit]").click()
        opened.get_by_role("link", name=ENTRY).first.wait_for()
        yield opened


def test_our_pages_are_at_home_in_airflow(deployment: Any, page: Page) -> None:
    ours = from_navigation(page)
    picture(page, "airflow-list")
    ours.get_by_role("link", name="tools").click()
    ours.get_by_label("Description").first.fill("From within Airflow")
    ours.get_by_role("button", name="Save").click()
    ours.get_by_text("Saved.").wait_for()
    picture(page, "airflow-generator")
    assert "From within Airflow" in (deployment.include / "generators" / "tools.yaml").read_text()
    # Where one is stands in Airflow's own address, so that it can be sent to others.
    assert "/plugin/imagesmith/imagesmith/generators/tools" in page.url
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.reload()
    ours.get_by_label("Description").first.wait_for()
    assert "dark" in str(ours.locator("html").get_attribute("class"))
    picture(page, "airflow-dark")
    ours.get_by_role("link", name="Clouds").click()
    ours.get_by_role("link", name="edit it in Airflow").first.click()
    page.wait_for_url("**/connections**")
    page.get_by_role("button", name="Add Connection").wait_for()
    picture(page, "airflow-connections")
    ours = from_navigation(page)
    page.context.clear_cookies()
    ours.get_by_role("link", name="Clouds").click()
    ours.get_by_role("link", name="Log in to Airflow").click()
    page.locator("input[name=username]").wait_for()
    assert "next=" in page.url
