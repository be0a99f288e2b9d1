"""What is proven of a build over REST, and the same build once more."""

from __future__ import annotations

import pytest

from imagesmith.catalog.records import BuildState
from imagesmith.core import TargetState
from imagesmith.plan import REBUILD_PARAM

from .conftest import TOOLS, Web

BOTH = {"ec2": TargetState.SUCCESSFUL, "hotel": TargetState.SUCCESSFUL}


def test_the_verdict_on_a_builds_images(web: Web) -> None:
    found = web.json(f"/builds/{web.built(**BOTH)}/consistency")
    assert (found["verdict"], found["told"]) == ("identical", "identical: 2 images hold the same")
    assert found["comparison"]["clouds"] == ["ec2", "hotel"]
    alone = web.json(f"/builds/{web.built()}/consistency")
    assert alone == {"verdict": "", "told": "", "comparison": None}


def test_the_signed_statement_is_a_file(web: Web) -> None:
    build_id = web.built()
    answer = web.ask("GET", f"/builds/{build_id}/provenance")
    assert (answer.text, answer.headers["content-type"]) == (
        web.catalog.build(build_id).provenance,
        "application/vnd.dsse.envelope.v1+json",
    )
    assert answer.headers["content-disposition"] == f'attachment; filename="{build_id}.dsse.json"'
    none = web.json(f"/builds/{web.built(inside=None)}/provenance", status=409)
    assert "none of its new images has an inventory" in none["detail"]
    going = web.built(state=BuildState.RUNNING, ec2=TargetState.LAUNCHING)
    assert "it has not ended" in web.json(f"/builds/{going}/provenance", status=409)["detail"]


def test_a_build_once_more(web: Web) -> None:
    build_id = web.built()
    begun = web.ask("POST", f"/builds/{build_id}/rebuild", json={"note": "again"})
    assert begun.status_code == 202, begun.text
    assert web.host.calls[-1] == (
        "ann",
        "POST",
        "/api/v2/dags/tools/dagRuns",
        {"logical_date": None, "conf": {"clouds": ["ec2"], REBUILD_PARAM: build_id}, "note": "again"},
    )
    assert begun.headers["Location"].startswith("/imagesmith/api/v1/runs/tools/")
    assert web.ask("POST", f"/builds/{build_id}/rebuild").status_code == 202


def test_a_password_is_given_anew(web: Web) -> None:
    build_id = web.built(**BOTH)
    begun = web.ask("POST", f"/builds/{build_id}/rebuild", json={"passwords": {"hotel": "hunter2"}})
    assert web.host.calls[-1][3]["conf"]["password_hotel"] == "hunter2"
    assert "hunter2" not in begun.text


@pytest.mark.parametrize("name", ["extra", "clouds", "rebuild", "password_hotel"])
def test_what_is_stored_is_not_given_anew(web: Web, name: str) -> None:
    refused = web.ask("POST", f"/builds/{web.built()}/rebuild", json={"parameters": {name: "x"}})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, f"parameters.{name}")
    assert web.host.calls == []


GAINED = """\
parameters:
  token: {type: string, secret: true}
  mirror: {type: string}
  strict: {type: boolean}
  size: {type: integer, choices: [4, 8]}
  extra: {type: integer}
  weight: {type: number}
"""


def test_what_the_generator_has_gained_since_hinders_no_rebuild(web: Web) -> None:
    """The new secret is not asked for, and what Airflow asks for gets a value that nothing reads."""
    build_id = web.built(parameters={"weight": 1.5, "extra": "vim"})
    web.file("tools").write_text(TOOLS.replace(TOOLS[TOOLS.index("parameters:") : TOOLS.index("clouds:")], GAINED))
    page = web.page(f"/builds/{build_id}/rebuild").text
    assert "token" not in page
    begun = web.ask("POST", f"/builds/{build_id}/rebuild")
    assert begun.status_code == 202, begun.text
    assert web.host.calls[-1][3]["conf"] == {
        **{"mirror": "", "strict": False, "size": 4, "extra": 0, "weight": 1.5},
        **{"clouds": ["ec2"], REBUILD_PARAM: build_id},
    }


def test_a_secret_of_the_old_build_is_given_anew(web: Web) -> None:
    build_id = web.built(secrets=("token",))
    web.file("tools").write_text(TOOLS.replace("parameters:\n", "parameters:\n  token: {type: string, secret: true}\n"))
    refused = web.ask("POST", f"/builds/{build_id}/rebuild")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "parameters.token")
    assert web.host.calls == []
    assert web.ask("POST", f"/builds/{build_id}/rebuild", json={"parameters": {"token": "hunter22"}}).status_code == 202
    assert web.host.calls[-1][3]["conf"]["token"] == "hunter22"


def test_a_build_that_cannot_be_built_again(web: Web) -> None:
    build_id = web.built(**BOTH)
    web.file("tools").write_text(TOOLS.partition("  hotel:")[0])
    refused = web.ask("POST", f"/builds/{build_id}/rebuild")
    assert (refused.status_code, "add hotel to its clouds again" in refused.json()["detail"]) == (422, True)
    web.file("tools").unlink()
    refused = web.ask("POST", f"/builds/{build_id}/rebuild")
    assert (refused.status_code, "put it back" in refused.json()["detail"]) == (409, True)
    assert web.host.calls == []
