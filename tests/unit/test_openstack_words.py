"""OpenStack's documents in our words and ours in OpenStack's."""

from __future__ import annotations

import base64

import pytest

from imagesmith.clouds.openstack_words import (
    TAG_NAME,
    OpenStackSettings,
    address_of,
    all_tags,
    choices,
    described,
    image_of,
    instance_of,
    properties_of,
    server_body,
    tags_in,
    tags_of,
)
from imagesmith.core import (
    TAG_BUILD,
    TAG_CLOUD,
    TAG_GENERATOR,
    TAG_SCRIPT,
    TAG_SOURCE,
    TAG_VERSION,
    ImageState,
    InstanceState,
    LaunchRequest,
)

TAGS = {
    TAG_BUILD: "20261122-120000-abcdef",
    TAG_CLOUD: "openstack-hotel",
    TAG_GENERATOR: "dstat",
    TAG_VERSION: "0123456789ab",
    TAG_SCRIPT: "0" * 64,
    TAG_SOURCE: "6e5959e9-f349-420f-b77c-5485306fdc25",
    TAG_NAME: "imagesmith-20261122-120000-abcdef-openstack-hotel-1",
}


def server(status: str = "ACTIVE", **more) -> dict:
    return {"id": "s1", "name": "n", "status": status, **more}


@pytest.mark.parametrize(
    ("document", "state"),
    [
        (server("BUILD"), InstanceState.PENDING),
        (server(), InstanceState.RUNNING),
        (server("REBOOT"), InstanceState.RUNNING),
        (server("SHUTOFF"), InstanceState.STOPPED),
        (server("DELETED"), InstanceState.GONE),
        (server("ERROR"), InstanceState.FAILED),
        (server("SUSPENDED"), InstanceState.FAILED),
        (server(**{"OS-EXT-STS:task_state": "deleting"}), InstanceState.GONE),
        (server(**{"OS-EXT-STS:task_state": "powering-off"}), InstanceState.STOPPING),
        (server("SHUTOFF", **{"OS-EXT-STS:task_state": "image_uploading"}), InstanceState.STOPPING),
        (server(**{"OS-EXT-STS:power_state": 4}), InstanceState.STOPPED),
        (server(**{"OS-EXT-STS:power_state": 4, "OS-EXT-STS:task_state": "powering-off"}), InstanceState.STOPPING),
        (server(**{"OS-EXT-STS:power_state": 1, "OS-EXT-STS:task_state": None}), InstanceState.RUNNING),
    ],
)
def test_states(document, state):
    assert instance_of(document, OpenStackSettings()).state is state


def test_a_failed_server_has_its_fault():
    fault = {"message": "No valid host was found.", "code": 500}
    assert instance_of(server("ERROR", fault=fault), OpenStackSettings()).reason == "No valid host was found."
    assert "ERROR" in instance_of(server("ERROR"), OpenStackSettings()).reason


ADDRESSES = {
    "private": [
        {"addr": "fd00::5", "version": 6, "OS-EXT-IPS:type": "fixed"},
        {"addr": "10.0.0.5", "version": 4, "OS-EXT-IPS:type": "fixed"},
        {"addr": "192.0.2.7", "version": 4, "OS-EXT-IPS:type": "floating"},
    ]
}


@pytest.mark.parametrize(
    ("settings", "addresses", "expected"),
    [
        (OpenStackSettings(), ADDRESSES, "10.0.0.5"),
        (OpenStackSettings(floating_ip_network="public"), ADDRESSES, "192.0.2.7"),
        (OpenStackSettings(floating_ip_network="public"), {"private": ADDRESSES["private"][:2]}, ""),
        (OpenStackSettings(), {"v6": ADDRESSES["private"][:1]}, "fd00::5"),
        (OpenStackSettings(), {"old": [{"addr": "10.0.0.9", "version": 4}]}, "10.0.0.9"),
        (OpenStackSettings(), {}, ""),
    ],
)
def test_where_ssh_answers(settings, addresses, expected):
    assert address_of(server(addresses=addresses), settings) == expected


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("queued", ImageState.PENDING),
        ("saving", ImageState.PENDING),
        ("active", ImageState.AVAILABLE),
        ("killed", ImageState.FAILED),
        ("deactivated", ImageState.FAILED),
        ("deleted", ImageState.GONE),
        ("a word of tomorrow", ImageState.PENDING),
    ],
)
def test_image_states(status, state):
    image = image_of({"id": "i", "name": "n", "status": status})
    assert image.state is state
    assert bool(image.reason) is (state in (ImageState.FAILED, ImageState.GONE))


def test_tags_survive_as_properties_of_any_age():
    properties = properties_of({**TAGS, "team": "physics", "Name": "dropped"})
    assert tags_of(properties) == {**TAGS, "team": "physics"}
    for key in properties:  # as a header of HTTP, where Havana's Glance takes them
        assert key.replace("_", "").isalnum()
    assert tags_of({"name": "n", "status": "active", "min_disk": 3, "os_distro": "debian"}) == {"os_distro": "debian"}


def test_tags_survive_in_a_description():
    text = described({**TAGS, "team": "physics"})
    assert len(text) <= 255
    found = tags_in(text)
    assert {key: found[key] for key in (TAG_BUILD, TAG_CLOUD, TAG_NAME, TAG_GENERATOR)} == {
        key: TAGS[key] for key in (TAG_BUILD, TAG_CLOUD, TAG_NAME, TAG_GENERATOR)
    }
    assert tags_in("somebody's group with a=b") == {}
    assert tags_in(None) == {}


def test_no_tag_can_pose_as_another():
    tags = all_tags("c", "b", name="n", tags={TAG_BUILD: "other", TAG_CLOUD: "other", "x": "y"})
    assert (tags[TAG_BUILD], tags[TAG_CLOUD], tags[TAG_NAME], tags["x"]) == ("b", "c", "n", "y")
    spoofed = described({**TAGS, TAG_GENERATOR: f"x {TAG_BUILD}=other"})
    assert tags_in(spoofed)[TAG_BUILD] == TAGS[TAG_BUILD]


def request(**changes) -> LaunchRequest:
    values = {
        "name": "imagesmith-b-c-1",
        "build_id": "b",
        "source_image_id": "img",
        "instance_type": "m1.small",
        "public_key": "ssh-ed25519 AAAA",
        "user_data": "#cloud-config\n",
        "tags": {},
    }
    return LaunchRequest(**{**values, **changes})


def body(settings: OpenStackSettings, *, network_id: str = "net", disk_gib: int = 0, **changes) -> dict:
    words = {"flavor_id": "2", "group": "sg", "tags": {TAG_BUILD: "b"}}
    return server_body(request(**changes), settings, network_id=network_id, disk_gib=disk_gib, **words)


def test_a_server_from_an_image():
    made = body(OpenStackSettings(availability_zone="nova"))
    assert (made["imageRef"], made["flavorRef"], made["networks"]) == ("img", "2", [{"uuid": "net"}])
    assert base64.b64decode(made["user_data"]) == b"#cloud-config\n"
    assert made["metadata"] == {"imagesmith_build": "b"}
    assert made["security_groups"] == [{"name": "sg"}]
    assert made["availability_zone"] == "nova"
    assert "block_device_mapping_v2" not in made


def test_a_server_from_a_volume_takes_it_along():
    made = body(OpenStackSettings(), disk_gib=8, network_id="", user_data="")
    disk = made["block_device_mapping_v2"][0]
    assert (disk["volume_size"], disk["delete_on_termination"], disk["uuid"]) == (8, True, "img")
    assert not {"imageRef", "networks", "user_data"} & set(made)


def test_choices_are_listed_and_not_too_many():
    assert choices([{"name": "b"}, {"label": "a"}, {"id": "c"}]) == "a, b, c"
    assert choices([]) == "none"
    assert choices([{"name": f"n{number:02}"} for number in range(25)]).endswith("n19, …")
