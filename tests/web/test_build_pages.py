"""Builds on pages: started, listed, looked at, ended, begun again."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import pytest

from imagesmith.catalog.records import BuildState
from imagesmith.core import TargetState
from imagesmith.inventory import Package
from imagesmith.plan import REBUILD_PARAM
from imagesmith.steps.runner import Step
from imagesmith.web import runs

from .conftest import INVENTORY, TOOLS, Web, answer
from .fake_host import STRANGER, VIEWER
from .forms import form_in

BOTH = {"ec2": TargetState.SUCCESSFUL, "hotel": TargetState.SUCCESSFUL}
SECRET = "hunter22"
KEY = "-----BEGIN KEY-----\nAAAA\nBBBB\n-----END KEY-----\n"
HOSTILE = '"><script>alert(1)</script>{{7*7}}\r\nSet-Cookie: a=b'


def post(web: Web, path: str, user: str = "ann", **fields: str) -> Any:
    """What a browser sends for a form of ours."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return web.page(path, method="POST", user=user, content=urlencode(fields), headers=headers)


def start(web: Web, **fields: str) -> Any:
    return post(web, "/generators/tools/build", **fields)


def test_the_form_asks_for_clouds_parameters_and_passwords(web: Web) -> None:
    page = web.page("/generators/tools/build").text
    assert re.findall(r'name="cloud:(\w+)" value="on" checked', page) == ["ec2", "hotel"]
    assert re.findall(r'type="password" name="password:(\w+)"', page) == ["hotel"]
    assert 'name="parameter:extra"' in page
    assert 'href="/imagesmith/generators/tools/build"' in web.page("/generators/tools").text
    assert web.page("/generators/tools/build", user=VIEWER).status_code == 403
    assert "tools/build" not in web.page("/generators/tools", user=VIEWER).text
    assert web.page("/generators/secret-tools/build", user=VIEWER).status_code == 404


def test_a_build_is_the_run_that_airflow_would_start(web: Web) -> None:
    begun = start(web, **{"cloud:ec2": "on", "cloud:hotel": "on", "parameter:extra": "vim", "password:hotel": SECRET})
    assert web.host.calls[-1] == (
        "ann",
        "POST",
        "/api/v2/dags/tools/dagRuns",
        {
            "logical_date": None,
            "conf": {"extra": "vim", "clouds": ["ec2", "hotel"], "password_hotel": SECRET},
            "note": None,
        },
    )
    assert (begun.status_code, SECRET in begun.text + str(begun.headers)) == (303, False)
    waiting = web.page(begun.headers["location"].removeprefix("/imagesmith"))
    assert "Airflow has not begun it yet" in waiting.text and 'hx-trigger="load delay:1s"' in waiting.text


def test_of_a_cloud_that_is_not_chosen_no_password_goes_anywhere(web: Web) -> None:
    start(web, **{"cloud:ec2": "on", "parameter:extra": "", "password:hotel": SECRET})
    assert web.host.calls[-1][3]["conf"] == {"extra": "", "clouds": ["ec2"]}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"password:hotel": SECRET}, "no cloud is chosen"),
        ({"cloud:ec2": "on", "parameter:nothing": "x", "password:hotel": SECRET}, "nothing"),
        ({"cloud:ec2": "on", "parameter:clouds": "x", "password:hotel": SECRET}, "clouds"),
    ],
)
def test_a_form_that_is_wrong_comes_back_without_its_passwords(web: Web, fields: dict[str, str], says: str) -> None:
    refused = start(web, **fields)
    assert (refused.status_code, SECRET in refused.text, web.host.calls) == (422, False, [])
    assert says in refused.text[refused.text.index('role="alert"') :]


def test_what_airflow_or_the_gate_refuses_stands_above_the_form(web: Web) -> None:
    web.host.refusal = answer(422, "hotel: Keystone says 401: wrong password; no build was started")
    refused = start(web, **{"cloud:hotel": "on", "parameter:extra": "kept <b>", "password:hotel": SECRET})
    assert (refused.status_code, SECRET in refused.text) == (422, False)
    assert "wrong password" in refused.text
    assert ">\nkept &lt;b&gt;</textarea>" in refused.text and 'name="cloud:ec2" value="on">' in refused.text


def test_secret_parameters_and_types(web: Web) -> None:
    parameters = """parameters:
  token: {type: string, secret: true}
  count: {type: integer, default: 3}
  slow: {type: boolean, default: false}
  kind: {type: string, default: a, choices: [a, b]}
"""
    text = re.sub(r"parameters:\n.*?\n(?=clouds)", parameters, TOOLS, flags=re.S)
    web.file("tools").write_text(text)
    page = web.page("/generators/tools/build").text
    assert re.search(r'<textarea class="masked [^>]* name="secret:token"', page) and 'type="number"' in page
    assert '<option value="false" selected>false</option>' in page
    start(web, **{"cloud:ec2": "on", "secret:token": SECRET, "parameter:count": "4", "parameter:slow": "true"})
    assert web.host.calls[-1][3]["conf"] == {"token": SECRET, "count": 4, "slow": True, "clouds": ["ec2"]}
    refused = start(web, **{"cloud:ec2": "on", "secret:token": SECRET, "parameter:count": "many"})
    assert (refused.status_code, SECRET in refused.text, "whole number" in refused.text) == (422, False, True)
    refused = start(web, **{"cloud:ec2": "on", "parameter:token": SECRET})
    assert (refused.status_code, SECRET in refused.text) == (422, False)


def test_texts_of_several_lines_reach_the_build(web: Web) -> None:
    parameters = """parameters:
  greeting: {type: string, default: "\\na 1\\nb 2\\n"}
  kind: {type: string, default: "a  1\\nb", choices: ["a  1\\nb", c]}
  key: {type: string, secret: true}
"""
    web.file("tools").write_text(re.sub(r"parameters:\n.*?\n(?=clouds)", lambda _: parameters, TOOLS, flags=re.S))
    fields = form_in(web.page("/generators/tools/build").text)
    del fields["cloud:hotel"]
    start(web, **{**fields, "secret:key": KEY.replace("\n", "\r\n")})
    wanted = {"greeting": "\na 1\nb 2\n", "kind": "a  1\nb", "key": KEY}
    assert web.host.calls[-1][3]["conf"] == {**wanted, "clouds": ["ec2"]}
    start(web, **{**fields, "secret:key": f"{SECRET}\r\n"})
    assert web.host.calls[-1][3]["conf"]["key"] == SECRET, "as from a password field, where Enter is no text"


def test_a_run_becomes_its_build(web: Web) -> None:
    build_id = web.built()
    there = web.page("/runs/tools/manual__of_0")
    assert (there.status_code, there.headers["location"]) == (303, f"/imagesmith/builds/{build_id}")
    web.host.runs["tools", "manual__lost"] = "failed"
    lost = web.page("/runs/tools/manual__lost").text
    assert "before its build began" in lost and "http://airflow/dags/tools/runs/manual__lost" in lost
    assert web.page("/runs/tools/manual__none").status_code == 404
    assert web.page("/runs/imagesmith_test_cloud/x").status_code == 404


def test_builds_are_listed_with_the_states_of_their_clouds(web: Web) -> None:
    web.built()
    web.built(state=BuildState.FAILED, ec2=TargetState.SUCCESSFUL, hotel=TargetState.FAILED)
    web.built(state=BuildState.CANCELLED, ec2=TargetState.CANCELLED)
    web.built(state=BuildState.RUNNING, ec2=TargetState.CUSTOMIZING)
    page = web.page("/builds").text
    for colour, text in (
        ("orange", "running"),
        ("orange", "ec2: customizing"),
        ("green", "ec2: successful"),
        ("red", "hotel: failed"),
        ("grey", "cancelled"),
    ):
        assert f'<span class="badge {colour}">{text}</span>' in page
    failed = web.page("/builds?state=failed&generator=tools")
    assert failed.text.count('<tr id="build-') == 1 and "1 build<" in failed.text
    assert "No build is like that" in web.page("/builds?generator=other").text
    assert "state=failed&amp;limit=1&amp;offset=1" not in failed.text
    paged = web.page("/builds?limit=2&offset=2").text
    assert paged.count('<tr id="build-') == 2 and "3–4 of 4" in paged
    assert "nothing that you may see" in web.page("/builds", user=STRANGER).text


def test_one_build_shows_each_cloud_with_its_steps_and_the_error(web: Web) -> None:
    build_id = web.built(state=BuildState.FAILED, ec2=TargetState.SUCCESSFUL, hotel=TargetState.FAILED)
    page = web.page(f"/builds/{build_id}").text
    assert "no room left; ask for more" in page
    assert f'href="/imagesmith/images/ec2/img-ec2-{build_id}"' in page
    assert 'href="http://airflow/dags/tools/runs/manual__of_0" target="_top"' in page
    assert 'href="http://airflow/dags/tools/runs/manual__of_0/tasks/hotel.launch_vm" target="_top"' in page
    assert f'action="/imagesmith/builds/{build_id}/retry"' in page and "Retry hotel" in page
    viewers = web.page(f"/builds/{build_id}", user=VIEWER).text
    assert "/retry" not in viewers and "/rebuild" not in viewers
    assert web.page("/builds/nothing").status_code == 404


def test_of_a_build_that_was_read_back_nothing_is_said_that_is_not_known(web: Web) -> None:
    build_id = web.read_back(clouds=["ec2", "hotel"])
    page = web.page(f"/builds/{build_id}").text
    assert "Whether they are is not known" in page and "There are not two images" not in page
    assert "read-back__" not in page, "there is no such run"
    assert f"/builds/{build_id}/rebuild" not in page
    assert web.json(f"/builds/{build_id}")["url"] == ""


def test_the_verdict_stands_with_its_table(web: Web) -> None:
    same = web.page(f"/builds/{web.built(**BOTH)}").text
    assert '<span class="badge green">identical</span> 2 images hold the same' in same
    odd = INVENTORY.model_copy(
        update={"packages": (Package(manager="dpkg", name="<b>odd", version="1"), *INVENTORY.packages)}
    )
    page = web.page(f"/builds/{web.built(inside=INVENTORY, others={'hotel': odd}, **BOTH)}").text
    assert '<span class="badge red">different</span>' in page
    assert '<th scope="row">&lt;b&gt;odd</th><td class="mono">-</td><td class="mono">1</td>' in page


def test_a_build_is_cancelled_retried_and_built_again(web: Web) -> None:
    running = web.built(state=BuildState.RUNNING, ec2=TargetState.LAUNCHING)
    assert "Cancel this build" in web.page(f"/builds/{running}").text
    done = post(web, f"/builds/{running}/cancel")
    assert done.headers["location"] == f"/imagesmith/builds/{running}?done=cancelled"
    assert web.host.calls[-1][1] == "PATCH"
    failed = web.built(state=BuildState.FAILED, ec2=TargetState.FAILED)
    web.host.tasks = ["begin", "ec2.launch_vm", "publish"]
    assert post(web, f"/builds/{failed}/retry").status_code == 303
    assert web.host.calls[-1][2].endswith("/clearTaskInstances")
    assert post(web, f"/builds/{running}/retry").status_code == 409
    for what in ("cancel", "retry", "rebuild"):
        assert post(web, f"/builds/{failed}/{what}", user=VIEWER).status_code == 403


def test_a_rebuild_asks_for_what_is_stored_nowhere(web: Web) -> None:
    build_id = web.built(**BOTH)
    page = web.page(f"/builds/{build_id}/rebuild").text
    assert re.findall(r'type="password" name="(\S+)"', page) == ["password:hotel"]
    begun = post(web, f"/builds/{build_id}/rebuild", **{"password:hotel": SECRET})
    assert (begun.status_code, SECRET in str(begun.headers)) == (303, False)
    conf = web.host.calls[-1][3]["conf"]
    assert conf == {"clouds": ["ec2", "hotel"], REBUILD_PARAM: build_id, "password_hotel": SECRET}
    web.host.refusal = answer(422, "hotel: wrong password")
    refused = post(web, f"/builds/{build_id}/rebuild", **{"password:hotel": SECRET})
    assert (refused.status_code, SECRET in refused.text, "wrong password" in refused.text) == (422, False, True)


def test_a_rebuild_takes_secrets_of_several_lines(web: Web) -> None:
    web.file("tools").write_text(TOOLS.replace("  extra: {", "  key: {type: string, secret: true}\n  extra: {"))
    build_id = web.built(secrets=("key",))
    page = web.page(f"/builds/{build_id}/rebuild").text
    assert re.findall(r'<textarea class="masked [^>]* name="(\S+)"', page) == ["secret:key"]
    fields = {**form_in(page), "secret:key": KEY.replace("\n", "\r\n")}
    assert post(web, f"/builds/{build_id}/rebuild", **fields).status_code == 303
    assert web.host.calls[-1][3]["conf"]["key"] == KEY


def test_what_others_wrote_is_text_on_every_page(web: Web) -> None:
    build_id = web.built(state=BuildState.RUNNING, image_name=HOSTILE, ec2=TargetState.LAUNCHING)
    web.catalog.update_target(build_id, "ec2", source_image_name=HOSTILE, output_tail=HOSTILE, address=HOSTILE)
    web.catalog.fail_target(build_id, "ec2", HOSTILE)
    web.catalog.end_build(build_id, BuildState.FAILED, HOSTILE)
    for path in (
        "/builds",
        f"/builds/{build_id}",
        f"/builds/{build_id}/tail/ec2",
        f"/builds/{build_id}/rebuild",
        f"/builds?{urlencode({'generator': HOSTILE[:90]})}",
        f"/builds/{build_id}/events?at=0",
    ):
        answered = web.page(path)
        assert answered.status_code == 200, path
        assert "<script>alert" not in answered.text and "49" not in re.sub(r"\d{2,}", "", answered.text)
        assert "set-cookie" not in answered.headers


@pytest.mark.parametrize("path", ["/builds", "/builds/x", "/images", "/images/ec2/x", "/compare"])
def test_odd_questions_have_an_answer(web: Web, path: str) -> None:
    for query in (
        "limit=0",
        "offset=-1",
        "state=%00",
        "older=x&newer=-1",
        "package=%3B",
        "before=%00&after=%ff",
        "at=1",
    ):
        assert web.page(f"{path}?{query}").status_code in (200, 404, 422), query


def test_every_step_has_its_log(web: Web) -> None:
    assert tuple(Step) == runs.TASKS
    build_id = web.built()
    for step in list(Step)[1:]:
        web.catalog.start_step(build_id, "ec2", step)
        web.catalog.end_step(build_id, "ec2", step)
    page = web.page(f"/builds/{build_id}").text
    for step in Step:
        assert f'href="/imagesmith/builds/{build_id}/output/ec2/{step}#end"' in page
        assert f'href="http://airflow/dags/tools/runs/manual__of_0/tasks/ec2.{step}" target="_top"' in page


def test_an_error_shows_a_scripts_colours_and_no_control_characters(web: Web) -> None:
    build_id = web.built(state=BuildState.RUNNING, ec2=TargetState.LAUNCHING)
    web.catalog.fail_target(build_id, "ec2", "tools.sh exited 1; it printed:\n\x1b[31mno <b>\x1b[0m")
    page = web.page(f"/builds/{build_id}").text
    assert '<span class="ansi-front-1">no &lt;b&gt;</span>' in page and "\x1b" not in page


def test_many_clouds_to_retry_are_counted(web: Web) -> None:
    """Beside each other their names are wider than a narrow window."""
    build_id = web.built(state=BuildState.FAILED, **dict.fromkeys(BOTH, TargetState.FAILED))
    assert ">Retry ec2, hotel<" in web.page(f"/builds/{build_id}").text
    build_id = web.built(state=BuildState.FAILED, **dict.fromkeys((*BOTH, "sierra"), TargetState.FAILED))
    assert ">Retry 3 clouds<" in web.page(f"/builds/{build_id}").text
