"""Glance of the sandbox's sites, and the way of a snapshot: its states, its properties, and how it vanishes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagesmith.sandbox import in_process

from .openstack_client import Stack, eventually

PATCH = "application/openstack-images-v2.1-json-patch"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with in_process.sandbox(tmp_path_factory.mktemp("sandbox")) as endpoint:
        yield endpoint


@pytest.fixture(params=["openstack-hotel", "openstack-india"])
def any_stack(request: pytest.FixtureRequest, endpoint: str) -> Stack:
    return Stack(endpoint, request.param).start()


@pytest.fixture
def stack(endpoint: str) -> Stack:
    return Stack(endpoint, "openstack-hotel").start()


@pytest.fixture
def server_id(stack: Stack) -> str:
    server_id = stack.launch()
    stack.becomes(server_id, "ACTIVE")
    return server_id


def patch(stack: Stack, image_id: str, *changes: Any, kind: str = PATCH) -> Any:
    return stack.ask("PATCH", f"/image/v2/images/{image_id}", list(changes), Content_Type=kind)


def test_a_snapshot_has_what_it_inherits_and_what_it_is_given(any_stack: Stack) -> None:
    server_id = any_stack.launch()
    any_stack.becomes(server_id, "ACTIVE")
    image = any_stack.saved(any_stack.save(server_id, "mine", generator="dstat"))
    assert (image["name"], image["visibility"], image["min_disk"]) == ("mine", "private", 8)
    assert (image["generator"], image["os_type"]) == ("dstat", "linux")
    assert (image["image_type"], image["instance_uuid"]) == ("snapshot", server_id)
    assert image["base_image_ref"] == any_stack.image()
    again = any_stack.launch(imageRef=image["id"])
    any_stack.becomes(again, "ACTIVE")


def test_the_states_of_a_snapshot(stack: Stack, server_id: str) -> None:
    stack.set(image_s=2)
    image_id = stack.save(server_id)
    seen: list[tuple[str, Any]] = []

    def look() -> bool:
        pair = stack.get(f"/image/v2/images/{image_id}")["status"], stack.server(server_id)["OS-EXT-STS:task_state"]
        if pair not in seen:
            seen.append(pair)
        return pair == ("active", None)

    eventually(look, bool)
    states, tasks = [dict.fromkeys(column) for column in zip(*seen, strict=True)]
    assert list(states) == ["queued", "saving", "active"]
    assert [task for task in tasks if task] == ["image_snapshot", "image_pending_upload", "image_uploading"]


def test_one_snapshot_at_a_time(stack: Stack, server_id: str) -> None:
    stack.set(image_s=2)
    stack.save(server_id)
    answer = stack.act(server_id, "createImage", {"name": "another"})
    assert answer.status_code == 409
    assert "task_state image_" in answer.json()["conflictingRequest"]["message"]
    assert stack.act(server_id, "os-stop").status_code == 409


@pytest.mark.parametrize("setting", ["image_s", "image_late_s", "task_late_s"])
def test_an_image_vanishes_with_its_server(any_stack: Stack, setting: str) -> None:
    stack, server_id = any_stack, any_stack.launch()
    stack.becomes(server_id, "ACTIVE")
    stack.set(**{setting: 2})
    image_id = stack.save(server_id)
    time.sleep(0.1)
    assert stack.ask("DELETE", f"{stack.nova}/servers/{server_id}").status_code == 204
    stack.gone(f"/image/v2/images/{image_id}")
    time.sleep(2)
    assert stack.ask("GET", f"/image/v2/images/{image_id}").status_code == 404


def test_an_image_may_be_late(stack: Stack, server_id: str) -> None:
    stack.set(image_late_s=0.2)
    image_id = stack.save(server_id)
    eventually(lambda: stack.server(server_id)["OS-EXT-STS:task_state"], lambda task: task is None)
    assert stack.get(f"/image/v2/images/{image_id}")["status"] == "saving"
    stack.saved(image_id)


def test_a_task_state_may_be_late(stack: Stack, server_id: str) -> None:
    stack.set(task_late_s=0.2)
    stack.saved(stack.save(server_id))
    assert stack.server(server_id)["OS-EXT-STS:task_state"] == "image_uploading"
    stack.becomes(server_id, "ACTIVE")


def test_the_id_is_in_the_body_or_in_the_header(stack: Stack, server_id: str) -> None:
    answer = stack.act(server_id, "createImage", {"name": "a"})
    assert (answer.content, answer.headers["location"].rsplit("/", 2)[1]) == (b"", "images")
    stack.becomes(server_id, "ACTIVE")
    stack.version = "2.45"
    assert set(stack.act(server_id, "createImage", {"name": "a"}).json()) == {"image_id"}
    assert len(stack.get("/image/v2/images?name=a")["images"]) == 2, "names are not unique"


def test_changes(stack: Stack, server_id: str) -> None:
    image_id = stack.save(server_id)
    stack.saved(image_id)
    changes = [
        {"op": "replace", "path": "/visibility", "value": "public"},
        {"op": "replace", "path": "/name", "value": "renamed"},
        {"op": "add", "path": "/imagesmith_build", "value": "b1"},
        {"op": "replace", "path": "/min_disk", "value": 9},
        {"op": "remove", "path": "/image_state"},
    ]
    changed = patch(stack, image_id, *changes).json()
    assert (changed["visibility"], changed["name"], changed["min_disk"]) == ("public", "renamed", 9)
    assert changed["imagesmith_build"] == "b1"
    assert "image_state" not in changed
    assert patch(stack, image_id, kind="application/json").status_code == 415
    assert patch(stack, image_id, {"op": "replace", "path": "/status", "value": "queued"}).status_code == 403
    assert patch(stack, image_id, {"op": "remove", "path": "/none"}).status_code == 409
    assert patch(stack, image_id, {"op": "add", "path": "/number", "value": 1}).status_code == 400
    assert stack.refused(imageRef=image_id)[0] == 400, "its minimum disk is larger than the flavor's"


def test_tags_and_filters(stack: Stack, server_id: str) -> None:
    image_id = stack.save(server_id, "tagged", generator="dstat")
    stack.saved(image_id)
    stack.do("PUT", f"/image/v2/images/{image_id}/tags/one")
    for query, found in {
        "tag=one": 1,
        "tag=two": 0,
        "generator=dstat": 1,
        "generator=other": 0,
        "visibility=public": 1,
        "visibility=private": 1,
        "status=active": 2,
        "status=queued": 0,
        f"owner={stack.facts.project_id}": 1,
        "name=in:tagged,simulated-1": 2,
        "protected=false": 2,
    }.items():
        assert len(stack.get(f"/image/v2/images?{query}")["images"]) == found, query
    stack.do("DELETE", f"/image/v2/images/{image_id}/tags/one")
    assert stack.ask("DELETE", f"/image/v2/images/{image_id}/tags/one").status_code == 404


def test_pages(stack: Stack, server_id: str) -> None:
    for name in ("b", "a"):
        stack.save(server_id, name)
        stack.becomes(server_id, "ACTIVE")
    first = stack.get("/image/v2/images?limit=2&sort=name:asc")
    assert [each["name"] for each in first["images"]] == ["a", "b"]
    second = stack.get("/image" + first["next"])
    assert [each["name"] for each in second["images"]] == ["simulated-1"]
    assert "next" not in second
    assert stack.ask("GET", "/image/v2/images?sort=mood:asc").status_code == 400


def test_deleting(stack: Stack, server_id: str) -> None:
    image_id = stack.save(server_id)
    stack.saved(image_id)
    path = f"/image/v2/images/{image_id}"
    patch(stack, image_id, {"op": "replace", "path": "/protected", "value": True})
    assert stack.ask("DELETE", path).status_code == 403
    patch(stack, image_id, {"op": "replace", "path": "/protected", "value": False})
    assert stack.ask("DELETE", path).status_code == 204
    assert stack.ask("DELETE", path).status_code == 404
    assert stack.ask("DELETE", f"/image/v2/images/{stack.image()}").status_code == 403, "somebody else's"
    assert stack.ask("GET", f"/image/v2/images/{stack.image()}/file").status_code == 501


def test_a_client_may_delete_what_is_being_saved(stack: Stack, server_id: str) -> None:
    stack.set(image_s=2)
    image_id = stack.save(server_id)
    stack.do("DELETE", f"/image/v2/images/{image_id}")
    stack.becomes(server_id, "ACTIVE")
    assert stack.ask("GET", f"/image/v2/images/{image_id}").status_code == 404


def test_an_image_of_a_volume_names_its_snapshot(stack: Stack) -> None:
    disk = {"boot_index": 0, "uuid": stack.image(), "source_type": "image", "destination_type": "volume"}
    mapping = [{**disk, "volume_size": 8, "delete_on_termination": True}]
    server_id = stack.launch(imageRef="", block_device_mapping_v2=mapping)
    stack.becomes(server_id, "ACTIVE")
    image = stack.saved(stack.save(server_id))
    assert (image["size"], "block_device_mapping" in image) == (0, True)
    stack.becomes(server_id, "ACTIVE")
    stack.do("DELETE", f"/compute/v2.1/servers/{server_id}")
    second = stack.launch(imageRef=image["id"])
    assert stack.becomes(second, "ACTIVE")["os-extended-volumes:volumes_attached"]
    stack.do("DELETE", f"/image/v2/images/{image['id']}")
    snapshots = f"/volume/v3/{stack.facts.project_id}/snapshots"
    left = stack.get(snapshots)["snapshots"]
    assert [each["status"] for each in left] == ["available"], "the volume's snapshot outlives the image"
    stack.do("DELETE", f"{snapshots}/{left[0]['id']}")


def test_a_volume_is_uploaded(stack: Stack) -> None:
    volumes = f"/volume/v3/{stack.facts.project_id}/volumes"
    made = stack.do("POST", volumes, {"volume": {"size": 8, "imageRef": stack.image(), "name": "v"}})["volume"]
    upload = {"os-volume_upload_image": {"image_name": "of a volume", "disk_format": "qcow2"}}
    told = stack.do("POST", f"{volumes}/{made['id']}/action", upload)["os-volume_upload_image"]
    stack.saved(told["image_id"])
    eventually(lambda: stack.get(f"{volumes}/{made['id']}")["volume"]["status"], lambda seen: seen == "available")
    stack.do("DELETE", f"{volumes}/{made['id']}")
    stack.becomes(stack.launch(imageRef=told["image_id"]), "ACTIVE")


def test_a_volume_is_taken_from_a_server_that_is_off(stack: Stack) -> None:
    volumes = f"/volume/v3/{stack.facts.project_id}/volumes"
    path = f"{volumes}/{stack.do('POST', volumes, {'volume': {'size': 8, 'imageRef': stack.image()}})['volume']['id']}"
    disk = {"uuid": path.rsplit("/", 1)[-1], "source_type": "volume", "destination_type": "volume", "boot_index": 0}
    server_id = stack.launch(imageRef="", block_device_mapping_v2=[{**disk, "delete_on_termination": True}])
    stack.becomes(server_id, "ACTIVE")
    assert stack.ask("POST", f"{path}/action", {"os-detach": {}}).status_code == 501
    stack.act(server_id, "os-stop")
    stack.becomes(server_id, "SHUTOFF")
    assert stack.ask("POST", f"{path}/action", {"os-detach": {}}).status_code == 202
    assert stack.get(path)["volume"]["status"] == "available"
    assert stack.ask("DELETE", path).status_code == 400, "a server still stands on it"
    stack.do("DELETE", f"/compute/v2.1/servers/{server_id}")
    stack.gone(f"/compute/v2.1/servers/{server_id}")
    assert stack.ask("DELETE", path).status_code == 202


def test_glance_v1_speaks_in_headers(endpoint: str) -> None:
    stack = Stack(endpoint, "openstack-india").start()
    server_id = stack.launch()
    stack.becomes(server_id, "ACTIVE")
    image_id = stack.save(server_id)
    stack.saved(image_id)
    path = f"/image/v1/images/{image_id}"
    head = stack.ask("HEAD", path).headers
    assert (head["x-image-meta-status"], head["x-image-meta-property-image_type"]) == ("active", "snapshot")
    changes = {"x-image-meta-is_public": "True", "x-image-meta-name": "new"}
    stack.do("PUT", path, **changes, x_glance_registry_purge_props="false")
    found = stack.get("/image/v1/images/detail?name=new")["images"][0]
    assert (found["is_public"], found["properties"]["image_type"]) == (True, "snapshot")
    assert stack.ask("DELETE", path).status_code == 200
    assert stack.ask("HEAD", path).status_code == 404


def test_a_snapshot_that_a_restart_interrupts_is_lost_and_says_so(tmp_path: Path) -> None:
    with in_process.sandbox(tmp_path) as endpoint:
        first = Stack(endpoint, "openstack-hotel").start()
        server_id = first.launch()
        first.becomes(server_id, "ACTIVE")
        first.set(image_s=30.0)
        image_id = first.save(server_id)
    with in_process.sandbox(tmp_path) as endpoint:
        second = Stack(endpoint, "openstack-hotel")
        second.token = second.log_in()
        assert second.get(f"/image/v2/images/{image_id}")["status"] == "killed"
        assert second.server(server_id)["OS-EXT-STS:task_state"] is None
