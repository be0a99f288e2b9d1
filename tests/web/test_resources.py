"""What each resource shows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from imagesmith.catalog.records import BuildState
from imagesmith.core import TargetState
from imagesmith.generator import load_all
from imagesmith.plan import freeze
from imagesmith.steps.begin import _content

from .conftest import SCRIPT, TOOLS, Web


def test_clouds(web: Web) -> None:
    listed = web.json("/clouds")
    assert [(cloud["name"], cloud["type"], cloud["asks_password"]) for cloud in listed["items"]] == [
        ("ec2", "ec2", False),
        ("hotel", "openstack", True),
    ]
    assert [cloud["connection"] for cloud in listed["items"]] == [True, False]
    hotel = web.json("/clouds/hotel", user="vic")
    assert (hotel["endpoint"], hotel["connection"]) == ("https://hotel.example:5000/v3", None)
    assert web.json("/clouds/mars", status=404)["detail"].startswith("there is no cloud mars")


def test_a_test_of_a_cloud_is_a_run_whose_result_is_the_answer(web: Web) -> None:
    begun = web.ask("POST", "/clouds/ec2/tests")
    assert begun.status_code == 202
    assert (begun.json()["ended"], begun.json()["reachable"]) == (False, None)
    assert web.host.calls[-1][1:] == (
        "POST",
        "/api/v2/dags/imagesmith_test_cloud/dagRuns",
        {"logical_date": None, "conf": {"cloud": "ec2"}, "note": "asked by ann"},
    )
    run_id = begun.json()["run_id"]
    web.host.runs["imagesmith_test_cloud", run_id] = "success"
    web.host.results[run_id] = {"identity": "arn:ann", "problem": ""}
    at = begun.headers["Location"].removeprefix("/imagesmith/api/v1")
    assert web.json(at) | {"page": ""} == {
        "run_id": run_id,
        "ended": True,
        "reachable": True,
        "identity": "arn:ann",
        "problem": "",
        "page": "",
    }


def test_a_listing_of_a_cloud_is_a_run_whose_result_is_the_answer(web: Web) -> None:
    begun = web.ask("POST", "/clouds/ec2/listings", json={"search": "debian"})
    assert (begun.status_code, begun.json()["ended"], begun.json()["images"]) == (202, False, [])
    assert web.host.calls[-1][1:] == (
        "POST",
        "/api/v2/dags/imagesmith_list_cloud/dagRuns",
        {"logical_date": None, "conf": {"cloud": "ec2", "search": "debian"}, "note": "asked by ann"},
    )
    run_id = begun.json()["run_id"]
    web.host.runs["imagesmith_list_cloud", run_id] = "success"
    image = {"id": "ami-1", "name": "debian-12", "created": "2026-11-01", "own": False}
    web.host.results[run_id] = {"images": [image], "instance_types": ["t3.small"], "problem": ""}
    told = web.json(begun.headers["Location"].removeprefix("/imagesmith/api/v1"))
    assert (told["ended"], told["images"], told["instance_types"]) == (True, [image], ["t3.small"])
    web.host.results[run_id] = {"images": [], "instance_types": [], "problem": "ec2: no; check it"}
    assert web.json(f"/clouds/ec2/listings/{run_id}")["problem"] == "ec2: no; check it"
    assert web.ask("POST", "/clouds/ec2/listings", json={"search": "x" * 101}).status_code == 422


def test_generators_are_listed_with_their_last_build(web: Web) -> None:
    web.built(state=BuildState.FAILED, ec2=TargetState.FAILED)
    last = web.built()
    (web.include / "generators" / "bad.yaml").write_text("name: bad\nscrpt: x\n")
    listed = web.json("/generators")
    assert [each["name"] for each in listed["items"]] == ["bad", "secret-tools", "tools"]
    tools = listed["items"][2]
    assert (tools["last_build"]["build_id"], tools["last_build"]["targets"]) == (last, {"ec2": "successful"})
    assert (listed["items"][0]["version"], listed["items"][0]["mistakes"] > 0) == ("", True)
    assert [each["name"] for each in web.json("/generators?search=TOOL")["items"]] == ["secret-tools", "tools"]


def test_one_generator(web: Web) -> None:
    tools = web.json("/generators/tools")
    assert tools["yaml"].startswith("# What everybody needs.")
    assert tools["document"]["clouds"]["ec2"]["instance_type"] == "t3.small"
    assert [(script["name"], script["text"]) for script in tools["scripts"]] == [("tools.sh", SCRIPT)]
    assert (tools["findings"], tools["read_only_because"]) == ([], "")
    assert tools["may"] == {"build": True, "edit": True, "delete": True}
    assert web.json("/generators/tools", user="vic")["may"] == {"build": False, "edit": False, "delete": False}
    (web.include / "scripts" / "tools.sh").write_text("#!/bin/sh\nfalse\n")
    assert web.json("/generators/tools")["version"] != tools["version"]


def test_a_generator_with_mistakes_shows_each_with_its_line(web: Web) -> None:
    web.file("tools").write_text("name: tools\nscript: tools.sh\nclouds:\n  ec3: {source_image: a, ssh_username: b}\n")
    found = web.json("/generators/tools")
    assert found["findings"] == [
        {
            "file": "include/generators/tools.yaml",
            "line": 4,
            "field": "clouds.ec3",
            "message": "is no cloud in clouds.yaml",
            "cure": "did you mean ec2?",
        }
    ]


def test_a_generator_is_judged_again_when_what_it_rests_on_changes(web: Web) -> None:
    def starting(name: str, parent: str, more: str = "") -> None:
        entry = f"{{source_image: {{generator: {parent}}}, ssh_username: admin, instance_type: t3.small}}"
        web.file(name).write_text(f"script: tools.sh\n{more}clouds:\n  ec2: {entry}\n")

    def messages() -> list[str]:
        return [finding["message"] for finding in web.json("/generators/web")["findings"]]

    test = web.include / "scripts" / "t.sh"
    test.write_text(SCRIPT)
    starting("web", "base", "tests: [t.sh]\n")
    starting("base", "root")
    assert messages() == []
    starting("root", "web")
    assert messages() == ["goes in a circle: web from base from root from web"]
    starting("root", "tools")
    assert messages() == []
    web.file("base").unlink()
    assert messages() == ["there is no generator base"]
    starting("base", "tools")
    assert messages() == []
    test.unlink()
    assert messages() == ["there is no include/scripts/t.sh"]


def test_versions_and_the_difference_of_any_two(web: Web) -> None:
    web.built()
    web.built()
    versions = web.json("/generators/tools/versions")
    assert [(each["version"], each["builds"]) for each in versions["items"]] == [
        ("version00001", 1),
        ("version00000", 1),
    ]
    same = web.json("/generators/tools/diff?old=version00000&new=version00001")
    assert same["differences"] == []
    (web.include / "scripts" / "tools.sh").write_text(SCRIPT.replace("dstat", "pcp"))
    found = web.json("/generators/tools/diff?old=version00000&new=current")
    script = next(each for each in found["differences"] if each["what"] == "script tools.sh")
    assert script["lines"][-2:] == ["-apt-get install dstat", "+apt-get install pcp"]
    assert web.json("/generators/tools/versions/current")["texts"] == {
        "script tools.sh": SCRIPT.replace("dstat", "pcp")
    }
    web.json("/generators/tools/diff?old=nothing", status=404)


def test_a_date_in_a_setting_is_a_difference_and_one_in_a_builds_own_image_name_is_none(web: Web) -> None:
    text = TOOLS.replace(": debian-12", ": debian-12-amd64-20261101").replace(
        "t3.small}", "t3.small, tags: {released: '20261101'}, image_name: '{generator}-{version}-{date}-{build_id}'}"
    )
    web.file("tools").write_text(text)
    web.built(content=content_of_file(web))
    assert web.json("/generators/tools/diff?old=version00000")["differences"] == []
    web.file("tools").write_text(text.replace("20261101", "20261115"))
    found = web.json("/generators/tools/diff?old=version00000")["differences"]
    assert [(each["what"], each["lines"][3:]) for each in found] == [
        (
            "settings",
            [
                "-targets.ec2.tags.released: '20261101'",
                "-targets.hotel.source_image.id: 'debian-12-amd64-20261101'",
                "+targets.ec2.tags.released: '20261115'",
                "+targets.hotel.source_image.id: 'debian-12-amd64-20261115'",
            ],
        )
    ]


def test_of_contents_without_templates_the_image_names_are_compared_but_for_what_is_one_builds(web: Web) -> None:
    for version, name in (
        ("v1", "tools-v1-20261101-20261101-030500-1a2b3c"),
        ("v2", "tools-v2-20261102-20261102-030500-4d5e6f"),
        ("v3", "gear-v3-20261103-20261103-030500-7a8b9c"),
    ):
        web.built(version=version, content={"name": "tools", "targets": {"ec2": {"image_name": name}}})
    assert web.json("/generators/tools/diff?old=v1&new=v2")["differences"] == []
    found = web.json("/generators/tools/diff?old=v1&new=v3")["differences"]
    assert found[0]["lines"][-1] == "+targets.ec2.image_name: 'gear-{version}-…-…'"


def test_what_a_version_that_was_read_back_consisted_of_is_not_known_until_it_is_built(web: Web) -> None:
    web.read_back("versionofold")
    version = "/generators/tools/versions/versionofold"
    assert (web.json(version)["settings"], web.json(version)["texts"]) == (None, None)
    assert web.json("/generators/tools/diff?old=versionofold")["differences"] is None
    web.built(version="versionofold")
    assert web.json(version)["texts"] == {"script tools.sh": SCRIPT}
    found = web.json("/generators/tools/diff?old=versionofold")
    assert {each["what"] for each in found["differences"]} == {"settings"}


def content_of_file(web: Web) -> Mapping[str, Any]:
    """What a build of the file as it is now leaves in the catalog."""
    loaded = load_all(web.include, only="tools")
    created = datetime(2026, 11, 1, 3, 5, tzinfo=UTC)
    plan = freeze(loaded.generators["tools"], loaded.clouds, build_id="20261101-030500-1a2b3c", created=created)
    return _content(plan)


def test_builds_are_listed_and_read(web: Web) -> None:
    failed = web.built(state=BuildState.FAILED, ec2=TargetState.SUCCESSFUL, hotel=TargetState.FAILED)
    last = web.built()
    assert [each["build_id"] for each in web.json("/builds")["items"]] == [last, failed]
    assert [each["build_id"] for each in web.json("/builds?state=failed")["items"]] == [failed]
    assert web.json("/builds?generator=other") == {"items": [], "total": 0}
    build = web.json(f"/builds/{failed}")
    hotel = build["targets"][1]
    assert (hotel["cloud"], hotel["state"], hotel["error"]) == ("hotel", "failed", "no room left; ask for more")
    assert hotel["steps"][0]["error"] == "no room left; ask for more"
    assert build["targets"][0]["image_id"] == f"img-ec2-{failed}"
    assert build["url"] == "http://airflow/dags/tools/runs/manual__of_0"


def test_images_are_filtered_and_read(web: Web) -> None:
    build_id = web.built(ec2=TargetState.SUCCESSFUL, hotel=TargetState.SUCCESSFUL)
    assert {each["cloud"] for each in web.json("/images")["items"]} == {"ec2", "hotel"}
    assert [each["cloud"] for each in web.json("/images?cloud=hotel&generator=tools")["items"]] == ["hotel"]
    assert web.json("/images?older_than_days=1")["total"] == 0
    assert web.json("/images?newer_than_days=1")["total"] == 2
    image = web.json(f"/images/ec2/img-ec2-{build_id}")
    assert (image["build_id"], image["state"]) == (build_id, "available")
    web.catalog.image_deleted("ec2", image["image_id"])
    assert web.json("/images")["total"] == 1
    assert web.json("/images?deleted=true")["total"] == 2
    web.json("/images/ec2/nothing", status=404)


def test_lists_come_in_pages(web: Web) -> None:
    builds = [web.built() for _ in range(5)]
    answer = web.ask("GET", "/builds?limit=2&offset=2&generator=tools")
    assert [each["build_id"] for each in answer.json()["items"]] == builds[::-1][2:4]
    assert answer.json()["total"] == 5
    at = "/imagesmith/api/v1/builds?generator=tools&limit=2&offset="
    links = dict(reversed(link.split("; rel=")) for link in answer.headers["Link"].split(", "))
    assert links == {
        f'"{rel}"': f"<{at}{offset}>" for rel, offset in {"first": 0, "last": 4, "prev": 0, "next": 4}.items()
    }
    for wrong in ("limit=0", "limit=201", "offset=-1", "limit=many"):
        problem = web.json(f"/builds?{wrong}", status=422)
        assert problem["errors"][0]["field"] == wrong.partition("=")[0]
