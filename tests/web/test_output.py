"""Output in pieces: the last first, older ones on demand, and no more of it read than is new."""

from __future__ import annotations

import re
import tracemalloc

import pytest

from imagesmith.catalog.records import BuildState
from imagesmith.core import TargetState
from imagesmith.web import output
from imagesmith.web.host import Caller
from imagesmith.web.output import Outputs, Task
from imagesmith.web.runs import Run

from .conftest import Web
from .fake_host import ADMIN, VIEWER, FakeHost

TASK = Task(Run("tools", "manual__of_0", ""), "ec2.customize", 1, ended=True)


def host_that_printed(lines: list[str]) -> FakeHost:
    host = FakeHost()
    host.runs["tools", "manual__of_0"] = "success"
    host.printed = lines
    return host


def test_a_log_comes_in_pieces_that_join_to_the_whole() -> None:
    lines = [f"line {number}" for number in range(2_500)]
    host, outputs = host_that_printed(lines), Outputs()
    last = outputs.piece(host, Caller(ADMIN), TASK, None)
    assert (last.number, last.last, last.growing) == (2, 2, False)
    assert last.text.splitlines()[-1] == "line 2499"
    pieces = [outputs.piece(host, Caller(ADMIN), TASK, number).text for number in range(3)]
    assert "".join(pieces).splitlines() == lines
    assert len(host.calls) == 1, "a log that is whole is not asked for again"


def test_a_growing_log_is_read_on_from_where_it_was() -> None:
    host, outputs = host_that_printed(["one"]), Outputs()
    host.task_state = "running"
    going = Task(TASK.run, TASK.task_id, 1, ended=False)
    assert outputs.piece(host, Caller(ADMIN), going, None).growing
    host.printed = ["one", "two"]
    assert outputs.piece(host, Caller(ADMIN), going, None).text == "one\ntwo\n"
    assert "token=1" in host.calls[-1][2]
    host.task_state = "success"
    host.printed.append("three")
    last = outputs.piece(host, Caller(ADMIN), TASK, None)
    assert (last.text, last.growing) == ("one\ntwo\nthree\n", False)


def test_a_task_between_two_of_its_parts_is_not_shown_twice() -> None:
    """Airflow says of a deferred task that waits for a worker that its log is whole."""
    host, outputs = host_that_printed(["one"]), Outputs()
    waiting = Task(TASK.run, TASK.task_id, 1, ended=False)
    outputs.piece(host, Caller(ADMIN), waiting, None)
    host.printed = ["one", "two"]
    assert outputs.piece(host, Caller(ADMIN), waiting, None).text == "one\ntwo\n"


def test_a_hundred_megabytes_are_pages_of_sixty_kibibytes() -> None:
    line = "x" * 1_000
    host, outputs = host_that_printed([line] * 100_000), Outputs()
    outputs.piece(host, Caller(ADMIN), TASK, None)
    tracemalloc.start()
    middle = outputs.piece(host, Caller(ADMIN), TASK, 700)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 60_000 < len(middle.text) < 70_000
    assert middle.last > 1_400
    assert most < 1_000_000, "a piece costs what a piece is"


def test_few_logs_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "MOST_KEPT", 2)
    host, outputs = host_that_printed(["one"]), Outputs()
    for number in (1, 2, 3, 1):
        outputs.piece(host, Caller(ADMIN), Task(TASK.run, TASK.task_id, number, ended=True), None)
    assert len(host.calls) == 4


def test_the_page_of_output(web: Web) -> None:
    build_id = web.built()
    web.host.tries["ec2.customize"] = 2
    web.host.printed = [f"\x1b[31mline\x1b[0m {number} <script>" for number in range(2_500)]
    at = f"/builds/{build_id}/output/ec2/customize"
    last = web.page(at)
    assert '<span class="ansi-front-1">line</span> 2499 &lt;script&gt;' in last.text
    assert f"{at}?piece=1" in last.text and "line</span> 0 " not in last.text
    assert "/logs/2?" in web.host.calls[-1][2]
    first = web.page(f"{at}?piece=0")
    assert "line</span> 0 " in first.text and "Older output" not in first.text
    assert 'hx-trigger="every 2s"' not in last.text
    for wrong in (f"/builds/{build_id}/output/mars/customize", f"/builds/{build_id}/output/ec2/dance"):
        assert web.page(wrong).status_code == 404
    assert web.page(f"/builds/{build_id}/output/ec2/launch").status_code == 404
    assert web.page(f"{at}?piece=-1").status_code == 422


def test_output_that_still_comes_asks_for_itself(web: Web) -> None:
    build_id = web.built(state=BuildState.RUNNING, ec2=TargetState.CUSTOMIZING)
    web.host.tries["ec2.customize"], web.host.task_state = 1, "running"
    web.host.printed = ["first"]
    page = web.page(f"/builds/{build_id}/output/ec2/customize").text
    assert re.search(r'<pre class="piece"[^>]*hx-get="[^"]+\?piece=0"[^>]*hx-trigger="every 2s"', page)


def test_the_tail_is_the_catalogs(web: Web) -> None:
    build_id = web.built(state=BuildState.RUNNING, ec2=TargetState.CUSTOMIZING)
    web.catalog.update_target(build_id, "ec2", output_tail="\x1b[32mok\x1b[0m </pre><img src=x onerror=alert(1)>")
    page = web.page(f"/builds/{build_id}/tail/ec2").text
    assert '<span class="ansi-front-2">ok</span> &lt;/pre&gt;&lt;img' in page
    assert web.host.calls == []


def test_output_is_for_those_who_may_read_logs(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    build_id = web.built()
    web.catalog.update_target(build_id, "ec2", output_tail="what was printed")
    web.host.tries["ec2.customize"] = 1
    monkeypatch.setattr(web.host, "logs_are_for", {ADMIN})
    for path in (f"/builds/{build_id}/tail/ec2", f"/builds/{build_id}/output/ec2/customize"):
        assert web.page(path, user=VIEWER).status_code == 403
        assert web.page(path).status_code == 200
    page = web.page(f"/builds/{build_id}", user=VIEWER)
    assert (page.status_code, "what was printed" in page.text, "whole output" in page.text) == (200, False, False)


@pytest.mark.parametrize("how", ["tools.sh exited 1; the last it printed:\n", "clean-up failed with 1; it said:\n"])
def test_errors_end_before_output_for_those_who_may_not_read_logs(
    web: Web, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    error = f"ec2: {how}what was printed\nand more of it"
    build_id = web.built(state=BuildState.RUNNING, error=error, ec2=TargetState.FAILED)
    web.catalog.end_build(build_id, BuildState.FAILED, f"ec2: failed: {error}")
    monkeypatch.setattr(web.host, "logs_are_for", {ADMIN})
    rest = ("/builds", f"/builds/{build_id}", "/runs/tools/manual__of_0", "/generators", "/generators/tools")
    pages = ("/builds", f"/builds/{build_id}", f"/builds/{build_id}/events?at=0", "/generators", "/generators/tools")
    for text in [web.ask("GET", path, user=VIEWER).text for path in rest]:
        assert how.partition(";")[0] in text and "may read the logs of tools" in text
        assert "what was printed" not in text and "and more of it" not in text
    for text in [web.page(path, user=VIEWER).text for path in pages]:
        assert "what was printed" not in text and "and more of it" not in text
    assert "may read the logs of tools" in web.page(f"/builds/{build_id}", user=VIEWER).text
    for text in [*(web.ask("GET", path).text for path in rest), web.page(f"/builds/{build_id}").text]:
        assert "what was printed" in text and "may read the logs" not in text
    step = web.json(f"/builds/{build_id}")["targets"][0]["steps"][0]
    assert step["error"] == error


def test_a_long_log_shows_its_end_until_airflow_has_put_it_together(web: Web) -> None:
    build_id = web.built()
    web.catalog.update_target(build_id, "ec2", output_tail="x" * 16_000 + "\x1b[32mthe end\x1b[0m <b>")
    web.host.tries["ec2.customize"] = 1
    web.host.printed = [f"line {number}" for number in range(2_500)]
    at = f"/builds/{build_id}/output/ec2/customize"
    first = web.page(at).text
    assert '<span class="ansi-front-2">the end</span> &lt;b&gt;' in first and "line 2499" not in first
    assert not [call for call in web.host.calls if "/logs/" in call[2]]
    assert f'hx-get="/imagesmith{at}?wait=true"' in first
    assert f'href="/imagesmith{at}?wait=true#end"' in first, "also where no script runs"
    assert "line 2499" in web.page(f"{at}?wait=true").text
    assert "line 2499" in web.page(at).text, "at once from now on"
