"""Imagesmith's pages inside Airflow's own UI: a generator is written there, and Airflow has its DAG."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from imagesmith.sandbox import config

from .airflow_rest import Rest, until
from .airflow_ui import AirflowUi, browser
from .conftest import Deployment

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Page

pytestmark = pytest.mark.system
PAGES = "/plugin/imagesmith"
ENTRY = "Image generators"
# Simulated machines: nothing of this test needs a real one.
CLOUDS = {
    "ec2": ("simulated-1", config.DEFAULT_USER, "t3.small"),
    "nimbus-hotel-kvm": ("simulated-1", "root", "512"),
    "openstack-sierra": ("simulated-1", config.DEFAULT_USER, "m1.small"),
}


@pytest.fixture
def page(deployment: Deployment) -> Iterator[Page]:
    """Airflow's first page, after the login."""
    rest = Rest(deployment)
    with browser() as opened:
        AirflowUi(opened, rest.url).log_in(rest.username, rest.password)
        yield opened


def picture(page: Page, name: str) -> None:
    """A picture for people, where they want some."""
    if folder := os.environ.get("IMAGESMITH_PICTURES"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png")


def from_navigation(page: Page) -> FrameLocator:
    """Our pages, by Airflow's own navigation."""
    page.get_by_role("link", name=ENTRY).first.click()
    ours = page.frame_locator(f"iframe[title='{ENTRY}']")
    ours.get_by_role("heading", name="Generators").wait_for()
    return ours


def test_a_generator_is_written_inside_airflow(deployment: Deployment, page: Page) -> None:
    ours = from_navigation(page)
    picture(page, "list")
    ours.get_by_role("link", name="Add a generator").click()
    ours.get_by_label("Name", exact=True).first.fill("dstat2")
    ours.locator(".of-text .cm-content").click()
    page.keyboard.insert_text("#!/bin/sh\n# sandbox: install dstat 0.7.4-6\n")
    for cloud, (image, user, kind) in CLOUDS.items():
        part = ours.locator("fieldset.cloud", has=ours.locator(f"[name='clouds.{cloud}.on']"))
        part.locator(f"[name='clouds.{cloud}.on']").check()
        by_name = cloud == "ec2"
        if by_name:
            part.get_by_label("Source image").select_option("name")
            part.get_by_label("Its name").fill("simulated-*")
            part.get_by_label("Its owner").fill(config.BASE_OWNER_ID)
        else:
            part.get_by_label("Its id").fill(image)
        part.get_by_label("SSH user").fill(user)
        part.get_by_label("Instance type").fill(kind)
    picture(page, "new")
    ours.get_by_role("button", name="Save").click()
    ours.get_by_text("Added.").wait_for()
    picture(page, "added")
    text = (deployment.include / "generators" / "dstat2.yaml").read_text()
    assert "script: |\n  #!/bin/sh\n  # sandbox: install dstat 0.7.4-6\n" in text
    assert all(f"\n  {cloud}:\n" in text for cloud in CLOUDS)
    rest = Rest(deployment)
    until(lambda: rest.has_dag("dstat2"), "Airflow has the DAG dstat2", limit_s=60)
    # Where one is in our pages stands in Airflow's own address, so that it can be sent to others.
    assert page.url.endswith(f"{PAGES}/imagesmith/generators/dstat2?done=added")


def test_it_is_dark_where_airflow_is(page: Page) -> None:
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.reload()
    ours = from_navigation(page)
    assert "dark" in str(ours.locator("html").get_attribute("class"))
    picture(page, "dark")
    page.evaluate("localStorage.setItem('theme', 'light')")


def test_a_cloud_is_tested_and_airflows_own_page_opens(page: Page) -> None:
    ours = from_navigation(page)
    ours.get_by_role("link", name="Clouds").click()
    ours.get_by_role("button", name="Test ec2").click()
    ours.get_by_text("lets us in").wait_for()
    assert "arn:aws:iam::" in ours.locator("#test-ec2").inner_text()
    picture(page, "clouds")
    ours.get_by_role("link", name="edit it in Airflow").first.click()
    page.wait_for_url("**/connections**")
    page.get_by_role("button", name="Add Connection").wait_for()
    picture(page, "connections")


def test_whose_login_has_ended_is_led_to_it(page: Page) -> None:
    ours = from_navigation(page)
    page.context.clear_cookies()
    ours.get_by_role("link", name="Clouds").click()
    ours.get_by_role("link", name="Log in to Airflow").click()
    page.locator("input[name=username]").wait_for()
    assert "next=" in page.url
