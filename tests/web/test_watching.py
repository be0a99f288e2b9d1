"""Builds and images in a real browser: from the dialog to the image, orange, green, red."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from imagesmith.catalog.records import BuildState
from imagesmith.core import TargetState
from imagesmith.web.pages import events

from .conftest import TOOLS, Web
from .in_browser import NARROW, WIDE, choose_theme, faults, overflow, picture
from .test_browser import Desk
from .test_browser import desk as desk  # the fixture
from .test_build_pages import KEY

if TYPE_CHECKING:
    from playwright.sync_api import Page

ERROR = "tools.sh ended with 1; it said:\nE: Unable to locate package dstat"


@pytest.fixture(autouse=True)
def streams_stay(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Streams as long as in production."""
    with monkeypatch.context() as patch:
        patch.setattr(events, "LIFE_S", 600)
        yield


def look(desk: Desk, path: str) -> Page:
    """The page once it is there; one with an open stream is never idle."""
    desk.page.goto(f"{desk.address}/imagesmith{path}")
    desk.page.wait_for_load_state("load")
    return desk.page


def begun(web: Web, run_id: str) -> str:
    """The build of the run, as if Airflow had begun it."""
    return web.built(state=BuildState.RUNNING, run_id=run_id, ec2=TargetState.LAUNCHING)


def test_a_build_goes_from_its_dialog_to_its_image(desk: Desk) -> None:
    page, web = look(desk, "/generators/tools"), desk.web
    page.get_by_role("link", name="Build…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("hotel", exact=True).uncheck()
    assert not dialog.get_by_label("Password for hotel").is_visible()
    dialog.get_by_label("extra").fill("vim")
    dialog.get_by_role("button", name="Build", exact=True).click()
    page.get_by_text("Airflow has not begun it yet").wait_for()
    run_id = web.host.calls[-1][2].rpartition("/")[2] if "/dagRuns/" in web.host.calls[-1][2] else "manual__0"
    build_id = begun(web, run_id)
    page.get_by_role("heading", name=build_id).wait_for()
    page.locator(".target .badge.orange", has_text="launching").wait_for()
    web.catalog.advance_target(build_id, "ec2", TargetState.CUSTOMIZING)
    page.locator(".target .badge.orange", has_text="customizing").wait_for()
    web.catalog.update_target(build_id, "ec2", output_tail="\x1b[32mok\x1b[0m <b>", output_offset=7)
    page.locator(".ansi-front-2", has_text="ok").wait_for()
    web.catalog.record_image(build_id, "ec2", image_id="ami-1", name="tools-image")
    web.catalog.image_available("ec2", "ami-1")
    web.catalog.advance_target(build_id, "ec2", TargetState.SUCCESSFUL)
    web.catalog.end_build(build_id, BuildState.SUCCESSFUL)
    page.locator("#progress > dl .badge.green", has_text="successful").wait_for()
    page.get_by_role("link", name=f"tools-{build_id}").click()
    page.get_by_role("heading", name="tools-image").wait_for()
    assert page.locator("svg a").count() == 1


def test_a_secret_of_several_lines_arrives_whole_and_is_not_seen(desk: Desk) -> None:
    web = desk.web
    web.file("tools").write_text(TOOLS.replace("  extra: {", "  key: {type: string, secret: true}\n  extra: {"))
    page = look(desk, "/generators/tools/build")
    page.get_by_label("hotel", exact=True).uncheck()
    page.get_by_label("key").focus()
    page.keyboard.insert_text(KEY)  # as a paste does
    hidden = "element => getComputedStyle(element).webkitTextSecurity"
    assert page.get_by_label("key").evaluate(hidden) == "disc"
    assert faults(page) == []
    picture(page, "secret")
    page.get_by_role("button", name="Build", exact=True).click()
    page.get_by_text("Airflow has not begun it yet").wait_for()
    conf = next(call[3]["conf"] for call in web.host.calls if call[1] == "POST")
    assert conf == {"key": KEY, "extra": "", "clouds": ["ec2"]}


def test_the_table_of_builds_moves_by_itself(desk: Desk) -> None:
    web = desk.web
    first = web.built(state=BuildState.RUNNING, ec2=TargetState.LAUNCHING)
    page = look(desk, "/builds")
    row = page.locator(f"#build-{first}")
    row.locator(".badge.orange", has_text="running").wait_for()
    web.catalog.fail_target(first, "ec2", ERROR)
    web.catalog.end_build(first, BuildState.FAILED)
    row.locator(".badge.red", has_text="ec2: failed").wait_for()
    newer = web.built(state=BuildState.RUNNING, ec2=TargetState.LAUNCHING)
    page.locator(f"#build-{newer}").wait_for()
    row.get_by_role("link", name=first).click()
    page.locator(".note.bad", has_text="Unable to locate package dstat").wait_for()
    assert page.get_by_role("button", name="Retry ec2").is_visible()


def test_older_output_comes_when_it_is_asked_for(desk: Desk) -> None:
    desk.web.host.tries["ec2.customize"] = 1
    desk.web.host.printed = [f"line {number}." for number in range(2_500)]
    page = look(desk, f"/builds/{desk.web.built()}/output/ec2/customize")
    assert page.get_by_text("line 1500.").count() == 0
    for piece in (1, 0):
        page.get_by_role("link", name="Older output").click()
        page.locator(f"[aria-label='Piece {piece + 1} of the output']").wait_for()
    text = page.locator("#pieces").text_content() or ""
    places = [text.index(f"line {number}.") for number in (0, 1_500, 2_499)]
    assert places == sorted(places)
    assert page.get_by_role("link", name="Older output").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everybody_can_read_them(desk: Desk, theme: str) -> None:
    web = desk.web
    parent = web.built()
    done = web.built(source=f"img-ec2-{parent}", ec2=TargetState.SUCCESSFUL, hotel=TargetState.SUCCESSFUL)
    failed = web.built(state=BuildState.FAILED, ec2=TargetState.SUCCESSFUL, hotel=TargetState.FAILED)
    coloured = "".join(f"\x1b[{30 + each}mfront\x1b[0m \x1b[{40 + each}mback\x1b[0m\n" for each in range(8))
    web.catalog.update_target(failed, "hotel", output_tail=coloured)
    web.host.tries["ec2.customize"] = 1
    image = f"/images/ec2/img-ec2-{done}"
    paths = ["/builds", f"/builds/{done}", f"/builds/{failed}", f"/builds/{done}/rebuild", "/generators/tools/build"]
    paths += [f"/builds/{done}/output/ec2/customize", "/images", "/images?package=;", image, f"{image}/inside"]
    paths += [f"/compare?before=ec2/img-ec2-{parent}&after=ec2/img-ec2-{done}"]
    look(desk, "/builds")
    choose_theme(desk.page, theme)
    for path in paths:
        page = look(desk, path)
        for size in (WIDE, NARROW):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            assert overflow(page) == 0, (path, size)
        assert faults(page) == [], path
