"""The tutorial of the image generators page, in a browser: written, built, watched; then a script that fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests.web.in_browser import picture

from imagesmith.sandbox import config
from imagesmith.sandbox.nimbus.sites import SITES as NIMBUS_SITES
from imagesmith.sandbox.openstack import sites

from .airflow_rest import Rest, until
from .airflow_ui import ENTRY, AirflowUi, browser, from_navigation
from .conftest import Deployment
from .evidence import Evidence, keep, watched_processes
from .test_nimbus_secrets import in_databases, in_home
from .test_pages import PAGES
from .traces import traces

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Page

pytestmark = pytest.mark.system

HOTEL = "openstack-hotel"
PASSWORD = 'Typ3d "on the page"/+?'
NAME = "tutorial"
SCRIPT = "#!/bin/sh\n# sandbox: install dstat 0.7.4-6\n# sandbox: take 8\n"
MACHINES = {  # simulated ones
    "ec2": {"user": config.DEFAULT_USER, "kind": "t3.small"},
    **{site: {"user": config.DEFAULT_USER, "kind": "m1.small"} for site in sites.SITES},
    **{site: {"user": "root", "kind": "512"} for site in NIMBUS_SITES},
}


@pytest.fixture(scope="module")
def seen(deployment: Deployment) -> Iterator[Evidence]:
    """What processes were started with and the browser was answered; the Hotel has a password nobody else has."""
    deployment.sandbox.control("settings", {"account": HOTEL, "password": PASSWORD})
    evidence = Evidence()
    with watched_processes(evidence):
        yield evidence
    deployment.sandbox.control("settings", {"account": HOTEL, "password": sites.PASSWORD})


@pytest.fixture(scope="module")
def page(deployment: Deployment, seen: Evidence) -> Iterator[Page]:
    """One browser for the whole walk, logged in."""
    rest = Rest(deployment)
    with browser() as opened:
        opened.on("response", lambda response: keep(seen, response))
        AirflowUi(opened, rest.url).log_in(rest.username, rest.password)
        yield opened


def write(page: Page, ours: FrameLocator, script: str) -> None:
    """The script, in place of what the editor holds."""
    ours.locator(".of-text .cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(script)


def start(ours: FrameLocator) -> None:
    """A build on all clouds, from the generator's page."""
    ours.get_by_role("link", name="Build…").click()
    dialog = ours.get_by_role("dialog")
    dialog.get_by_label(f"Password for {HOTEL}").fill(PASSWORD)
    dialog.get_by_role("button", name="Build", exact=True).click()


def test_a_generator_is_written_and_saved(deployment: Deployment, page: Page) -> None:
    ours = from_navigation(page)
    ours.get_by_role("link", name="Add a generator").click()
    ours.get_by_label("Name", exact=True).first.fill(NAME)
    write(page, ours, SCRIPT)
    for cloud, machine in MACHINES.items():
        part = ours.locator("fieldset.cloud", has=ours.locator(f"[name='clouds.{cloud}.on']"))
        part.locator(f"[name='clouds.{cloud}.on']").check()
        if cloud == "ec2":
            part.get_by_label("Source image").select_option("name")
            part.get_by_label("Its name").fill("simulated-*")
            part.get_by_label("Its owner").fill(config.BASE_OWNER_ID)
        else:
            part.get_by_label("Its id").fill("simulated-1")
        part.get_by_label("SSH user").fill(machine["user"])
        part.get_by_label("Instance type").fill(machine["kind"])
    picture(page, "tutorial-written")
    ours.get_by_role("button", name="Save").click()
    ours.get_by_text("Added.").wait_for()
    rest = Rest(deployment)
    until(lambda: rest.has_dag(NAME), f"Airflow has the DAG {NAME}", limit_s=60)


def test_its_build_goes_from_orange_to_green_and_names_its_images(deployment: Deployment, page: Page) -> None:
    ours = page.frame_locator(f"iframe[title='{ENTRY}']")
    start(ours)
    ours.locator("#progress > dl .badge.orange").wait_for()
    ours.locator(".target .badge.orange", has_text="customizing").first.wait_for()
    picture(page, "tutorial-orange")
    ours.locator("#progress > dl .badge.green", has_text="successful").wait_for(timeout=300_000)
    picture(page, "tutorial-green")
    build = deployment.catalog.builds(generator=NAME, limit=1)[0]
    images = deployment.catalog.images(build_id=build.build_id)
    assert {image.cloud for image in images} == set(MACHINES)
    shown = ours.locator("#progress").inner_text()
    assert [image.name for image in images if image.name not in shown or image.image_id not in shown] == []
    ours.get_by_role("link", name="Builds", exact=True).click()
    row = ours.locator(f"#build-{build.build_id}")
    row.wait_for()
    assert row.locator(".badge.green").count() == 1 + len(MACHINES)
    row.get_by_role("link", name=build.build_id).click()
    ours.get_by_role("link", name=images[0].name).first.click()
    ours.get_by_role("heading", name=images[0].name).wait_for()
    picture(page, "tutorial-image")


def test_a_script_that_exits_1_is_red_with_the_error(deployment: Deployment, page: Page) -> None:
    page.goto(f"{Rest(deployment).url}{PAGES}/imagesmith/generators/{NAME}")
    ours = page.frame_locator(f"iframe[title='{ENTRY}']")
    write(page, ours, "#!/bin/sh\n# sandbox: print no such package\n# sandbox: exit 1\n")
    ours.get_by_role("button", name="Save").click()
    ours.get_by_text("Saved.").wait_for()
    start(ours)
    ours.locator("#progress > dl .badge.red", has_text="failed").wait_for(timeout=300_000)
    reason = ours.locator(f"#error-{HOTEL}").inner_text()
    assert "1" in reason and "no such package" in reason
    picture(page, "tutorial-red")


def test_the_password_is_nowhere(deployment: Deployment, page: Page, seen: Evidence) -> None:
    """Typed twice above; every answer to the browser, every process, table and file is searched."""
    assert len(deployment.catalog.builds(generator=NAME, limit=9)) == 2
    places = [*seen.answers, *seen.processes.items(), *in_databases(deployment), *in_home(deployment)]
    assert traces(PASSWORD, places) == []
