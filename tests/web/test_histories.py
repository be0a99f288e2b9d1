"""One image's history over REST, and who sees how much of it."""

from __future__ import annotations

import json

import pytest

from imagesmith.core import TargetState
from imagesmith.inventory import Package

from .conftest import INVENTORY, SCRIPT, Web
from .fake_host import VIEWER

NEWER = INVENTORY.model_copy(
    update={"packages": (Package(manager="dpkg", name="openssl", version="3.0.15-1", architecture="amd64"),)}
)


def image_of(build_id: str, cloud: str = "ec2") -> str:
    return f"img-{cloud}-{build_id}"


def test_what_is_inside_an_image(web: Web) -> None:
    at = f"/images/ec2/{image_of(web.built())}/inventory"
    assert web.json(at) == INVENTORY.model_dump(mode="json")
    blind = image_of(web.built(inside=None))
    assert "nobody knows what is inside" in web.json(f"/images/ec2/{blind}/inventory", status=409)["detail"]


def test_the_story_of_an_image(web: Web) -> None:
    parent = image_of(web.built())
    build_id = web.built(source=parent)
    story = web.json(f"/images/ec2/{image_of(build_id)}/story")
    assert (story["parent"]["image_id"], story["build"]["requested_by"]) == (parent, "ann")
    assert [script["text"] for script in story["scripts"]] == [SCRIPT]
    assert story["build"]["log"] == "http://airflow/dags/tools/runs/manual__of_1/tasks/ec2.customize"
    assert len(story["build"]["inputs_sha256"]) == 64


@pytest.mark.parametrize(
    ("form", "media_type", "mark"),
    [
        ("spdx", "application/spdx+json", '"spdxVersion": "SPDX-2.3"'),
        ("cyclonedx", "application/vnd.cyclonedx+json", '"bomFormat": "CycloneDX"'),
        ("inventory", "application/json", '"kernel":"6.1.0-28"'),
    ],
)
def test_a_bill_of_materials_is_a_file(web: Web, form: str, media_type: str, mark: str) -> None:
    build_id = web.built()
    answer = web.ask("GET", f"/images/ec2/{image_of(build_id)}/sbom?format={form}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert answer.headers["content-disposition"] == f'attachment; filename="an-image.{form}.json"'
    assert mark in answer.text and "openssl" in answer.text
    assert json.loads(answer.text)


def test_the_name_of_a_file_is_a_name(web: Web) -> None:
    build_id = web.built(image_name='../../x"\r\nSet-Cookie: a=b')
    answer = web.ask("GET", f"/images/ec2/{image_of(build_id)}/sbom?format=inventory")
    assert answer.headers["content-disposition"] == 'attachment; filename="x-Set-Cookie-a-b.inventory.json"'
    assert "set-cookie" not in answer.headers


def test_the_lineage_as_data_and_as_a_graph(web: Web) -> None:
    first = image_of(web.built())
    second = image_of(web.built(source=first))
    third = image_of(web.built(source=second))
    lineage = web.json(f"/images/ec2/{second}/lineage")
    assert [each["image_id"] for each in lineage["clouds"]["ec2"]] == [first, second, third]
    assert lineage["source_images"] == [{"cloud": "ec2", "image_id": "ami-12345678", "name": ""}]
    graph = web.ask("GET", f"/images/ec2/{second}/lineage?format=dot")
    assert graph.headers["content-type"].startswith("text/vnd.graphviz")
    assert f'"ec2/{first}" -> "ec2/{second}";' in graph.text


def test_two_images_are_compared(web: Web) -> None:
    before, after = web.built(ec2=TargetState.SUCCESSFUL), web.built(inside=NEWER, hotel=TargetState.SUCCESSFUL)
    found = web.json(f"/diff?before=ec2/{image_of(before)}&after={image_of(after, 'hotel')}")
    assert (found["before"]["build_id"], found["after"]["cloud"]) == (before, "hotel")
    assert {(each["name"], each["how"]) for each in found["inside"] if each["kind"] == "package"} == {
        ("dstat", "removed"),
        ("openssl", "changed"),
    }
    web.json("/diff?before=nothing&after=nothing", status=404)
    ambiguous = web.json("/diff?before=an image&after=an image", status=422)
    assert (ambiguous["errors"][0]["field"], "name one of" in ambiguous["detail"]) == ("before", True)


def test_beside_an_image_that_was_read_back_its_making_is_not_known(web: Web) -> None:
    found = web.json(f"/diff?before={image_of(web.read_back())}&after={image_of(web.built())}")
    assert (found["scripts"], found["files"], found["parameters"]) == (None, None, None)


def test_a_search_for_a_package(web: Web) -> None:
    old, new = image_of(web.built()), image_of(web.built(inside=NEWER))
    hits = web.json("/search?package=openssl<3.0.15")
    assert [(each["image_id"], each["package"]["version"]) for each in hits["items"]] == [(old, "3.0.14-1")]
    assert [each["image_id"] for each in web.json("/search?package=openssl")["items"]] == [new, old]
    page = web.ask("GET", "/search?package=openssl&limit=1&offset=1")
    assert (page.json()["total"], page.json()["items"][0]["image_id"]) == (2, old)
    assert 'rel="prev"' in page.headers["Link"]
    web.catalog.image_deleted("ec2", new)
    assert web.json("/search?package=openssl")["total"] == 1
    assert web.json("/search?package=openssl&deleted=true")["total"] == 2
    assert [each["image_id"] for each in web.json("/images?package=openssl<9")["items"]] == [old]
    assert web.json("/images?package=nothing")["total"] == 0
    for path in ("/search", "/images"):
        assert web.json(f"{path}?package=%3B rm", status=422)["errors"][0]["field"] == "package"


def test_images_that_are_not_for_all_are_nowhere_for_others(web: Web) -> None:
    """An ancestor, a descendant, a hit and a side of a diff: for the viewer they are not there."""
    hidden_parent = image_of(web.built("secret-tools", inside=NEWER))
    own = image_of(web.built(source=hidden_parent))
    hidden_child = image_of(web.built("secret-tools", source=own))
    grandchild = image_of(web.built(source=hidden_child))

    def said(path: str) -> str:
        return str(web.ask("GET", path, user=VIEWER).text)

    story = web.json(f"/images/ec2/{own}/story", user=VIEWER)
    assert (story["parent"], "secret" in json.dumps(story)) == (None, False)
    lineage = web.json(f"/images/ec2/{own}/lineage", user=VIEWER)
    assert [each["image_id"] for each in lineage["clouds"]["ec2"]] == [own, grandchild]
    assert "secret" not in said(f"/images/ec2/{own}/lineage") + said(f"/images/ec2/{own}/lineage?format=dot")
    assert len(web.json(f"/images/ec2/{own}/lineage")["clouds"]["ec2"]) == 4
    hits = web.json("/search?package=openssl", user=VIEWER)
    assert {each["image_id"] for each in hits["items"]} == {own, grandchild}
    assert (hits["total"], web.json("/search?package=openssl")["total"]) == (2, 4)
    assert web.json("/search?package=openssl>3.0.14-1", user=VIEWER)["total"] == 0
    for path in (f"/diff?before={own}&after={hidden_parent}", f"/diff?before={hidden_child}&after={own}"):
        assert web.ask("GET", path).status_code == 200
        assert web.ask("GET", path, user=VIEWER).status_code == 404
    for part in ("inventory", "story", "sbom", "lineage"):
        web.json(f"/images/ec2/{hidden_parent}/{part}", user=VIEWER, status=404)


def test_versions_of_hidden_images_are_not_told_either(web: Web) -> None:
    odd = INVENTORY.model_copy(update={"packages": (Package(manager="pip", name="inhouse", version="not a version"),)})
    web.built("secret-tools", inside=odd)
    assert "not a version" in web.json("/search?package=inhouse<1", status=422)["detail"]
    assert web.json("/search?package=inhouse<1", user=VIEWER) == {"items": [], "total": 0, "uncompared": []}
