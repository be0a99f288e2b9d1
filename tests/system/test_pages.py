"""Imagesmith's pages inside Airflow's own UI: a generator is written there, and Airflow has its DAG."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests.web.in_browser import picture

from imagesmith.sandbox import config

from .airflow_rest import Rest, until
from .airflow_ui import AirflowUi, browser, from_navigation
from .conftest import Deployment
from .simulated_builds import CLOUDS as SIMULATED
from .simulated_builds import Builds, write_generators

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.system
PAGES = "/plugin/imagesmith"
# Simulated machines: nothing of this test needs a real one.
CLOUDS = {
    "ec2": ("simulated-1", config.DEFAULT_USER, "t3.small"),
    "nimbus-hotel-kvm": ("simulated-1", "root", "512"),
    "openstack-sierra": ("simulated-1", config.DEFAULT_USER, "m1.small"),
}

LOUD = """#!/bin/sh
# sandbox: take 1
# sandbox: repeat 5000 \\e[32mGet:{number}\\e[0m http://deb.example/debian <b>Packages</b>
# sandbox: print the very end </pre><img src=x onerror=alert(1)>
"""


@pytest.fixture
def page(deployment: Deployment) -> Iterator[Page]:
    """Airflow's first page, after the login."""
    rest = Rest(deployment)
    with browser() as opened:
        AirflowUi(opened, rest.url).log_in(rest.username, rest.password)
        yield opened


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


def test_long_output_comes_in_pieces_out_of_airflows_log(deployment: Deployment, page: Page) -> None:
    write_generators(deployment.include, "loud", entries={"ec2": SIMULATED["ec2"]}, script=LOUD, verify=False)
    builds = Builds(deployment, Rest(deployment), "loud")
    builds.start({"ec2": 1})
    builds.until_ended(limit_s=120)
    page.goto(f"{builds.rest.url}/imagesmith/builds/{builds.ids()['ec2'][0]}")
    page.locator("tr", has_text="customize").get_by_role("link", name="whole output").click()
    # Of a long log the end of the output comes first, out of the catalog.
    page.locator(".piece", has_text="the very end </pre><img").wait_for()
    page.locator(".older a").click()
    page.locator(".piece").nth(1).wait_for()
    assert page.locator(".piece").first.inner_text().count("Get:") > 500
    assert page.locator(".piece .ansi-front-2", has_text="Get:4999").count() == 1
    assert page.locator("#pieces img, #pieces b").count() == 0
    picture(page, "output")


def test_whose_login_has_ended_is_led_to_it(page: Page) -> None:
    ours = from_navigation(page)
    page.context.clear_cookies()
    ours.get_by_role("link", name="Clouds").click()
    ours.get_by_role("link", name="Log in to Airflow").click()
    page.locator("input[name=username]").wait_for()
    assert "next=" in page.url
