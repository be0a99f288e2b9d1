"""Nova of the sandbox's sites over simulated machines: what is refused, what fails later, states, and a restart."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import httpx
import pytest

from imagesmith.sandbox import in_process
from imagesmith.sandbox.openstack.sites import PASSWORD

from .openstack_client import Stack, eventually


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


def import_key(stack: Stack, name: str = "k") -> asyncssh.SSHKey:
    key = asyncssh.generate_private_key("ssh-ed25519")
    wanted = {"keypair": {"name": name, "public_key": key.export_public_key().decode()}}
    stack.do("POST", f"{stack.nova}/os-keypairs", wanted)
    return key


def test_a_server_is_built_stopped_and_deleted(any_stack: Stack) -> None:
    stack = any_stack
    answer = stack.ask(
        "POST", f"{stack.nova}/servers", {"server": {"name": "s", "imageRef": stack.image(), "flavorRef": "1"}}
    )
    made = answer.json()["server"]
    assert answer.status_code == 202
    assert set(made) == {"id", "links", "adminPass", "OS-DCF:diskConfig", "security_groups"}
    assert stack.server(made["id"])["addresses"] == {}
    seen = stack.becomes(made["id"], "ACTIVE")
    assert [each["OS-EXT-IPS:type"] for each in seen["addresses"]["private"]] == ["fixed"]
    assert (seen["OS-EXT-STS:power_state"], seen["OS-EXT-STS:vm_state"]) == (1, "active")
    assert stack.act(made["id"], "os-stop").status_code == 202
    assert stack.becomes(made["id"], "SHUTOFF")["OS-EXT-STS:power_state"] == 4
    assert stack.act(made["id"], "os-stop").status_code == 409
    assert stack.act(made["id"], "os-start").status_code == 202
    stack.becomes(made["id"], "ACTIVE")
    assert stack.ask("DELETE", f"{stack.nova}/servers/{made['id']}").status_code == 204
    stack.gone(f"{stack.nova}/servers/{made['id']}")
    assert stack.ask("DELETE", f"{stack.nova}/servers/{made['id']}").status_code == 404


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        ({"imageRef": "6e5959e9-f349-420f-b77c-5485306fdc25"}, 400, "Image"),
        ({"imageRef": ""}, 400, "imageRef"),
        ({"flavorRef": "77"}, 400, "Flavor"),
        ({"key_name": "none"}, 400, "Invalid key_name"),
        ({"security_groups": [{"name": "none"}]}, 400, "security_group"),
        ({"networks": [{"uuid": "6e5959e9-f349-420f-b77c-5485306fdc25"}]}, 400, "Network"),
        ({"networks": [{"port": "6e5959e9-f349-420f-b77c-5485306fdc25"}]}, 501, "network"),
        ({"user_data": "not base64!"}, 400, "Userdata"),
        ({"user_data": base64.b64encode(b"x" * 60_000).decode()}, 400, "is too long"),
        ({"availability_zone": "none"}, 400, "availability zone"),
        ({"metadata": {"a": 1}}, 400, "metadata"),
        ({"min_count": 3, "max_count": 2}, 400, "min_count"),
        ({"tags": ["a"]}, 400, "tags"),
        ({"name": ""}, 400, "name"),
    ],
)
def test_what_is_refused(stack: Stack, said: dict[str, Any], status: int, words: str) -> None:
    refusal = stack.refused(**said)
    assert refusal[0] == status
    assert words in refusal[1]
    assert stack.get("/compute/v2.1/servers")["servers"] == []


def test_the_quota_is_told(any_stack: Stack) -> None:
    any_stack.set(instances=1)
    any_stack.launch()
    status, message = any_stack.refused()
    assert status == (413 if any_stack.facts.havana else 403)
    assert message.startswith("Quota exceeded for instances")


def test_the_public_network_is_not_for_servers_unless_it_is_shared(stack: Stack) -> None:
    networks = {each["name"]: each for each in stack.get("/network/v2.0/networks")["networks"]}
    on_public = {"networks": [{"uuid": networks["public"]["id"]}]}
    assert stack.refused(**on_public)[0] == 403
    stack.set(public_shared=True)
    assert stack.refused()[0] == 409, "two networks, and none was named"
    seen = stack.becomes(stack.launch(**on_public), "ACTIVE")
    assert seen["addresses"]["public"][0]["addr"].startswith("127.")


def test_a_disk_that_is_too_small_is_found_out_later(stack: Stack) -> None:
    seen = stack.becomes(stack.launch(flavorRef="42"), "ERROR")
    assert "disk is too small" in seen["fault"]["message"]
    stack.do("DELETE", f"/compute/v2.1/servers/{seen['id']}")
    stack.gone(f"/compute/v2.1/servers/{seen['id']}")


def test_a_doomed_server_goes_wrong_and_the_next_does_not(any_stack: Stack) -> None:
    any_stack.set(doom="No valid host was found.")
    seen = any_stack.becomes(any_stack.launch(), "ERROR")
    assert seen["fault"]["message"] == "No valid host was found."
    assert any_stack.act(seen["id"], "createImage", {"name": "x"}).status_code == 409
    any_stack.becomes(any_stack.launch(), "ACTIVE")


def test_microversions(stack: Stack) -> None:
    stack.version = "2.52"
    server_id = stack.launch(tags=["a", "b"])
    seen = stack.server(server_id)
    assert (sorted(seen["tags"]), seen["flavor"]["original_name"]) == (["a", "b"], "m1.tiny")
    assert stack.ask("GET", "/compute/v2.1/servers").headers["openstack-api-version"] == "compute 2.52"
    assert [each["id"] for each in stack.get("/compute/v2.1/servers?tags=a,b")["servers"]] == [server_id]
    assert stack.get("/compute/v2.1/servers?tags=a,c")["servers"] == []
    assert stack.refused()[0] == 400, "networks must be named from 2.37 on"
    stack.version = "2.94"
    assert stack.ask("GET", "/compute/v2.1/servers").status_code == 406
    stack.version = ""
    assert "tags" not in stack.server(server_id)
    assert stack.ask("GET", f"/compute/v2.1/servers/{server_id}/tags").status_code == 404


def test_lists_are_filtered_and_paged(stack: Stack) -> None:
    ids = [stack.launch(name=f"build-{number}") for number in range(3)]
    stack.launch(name="other")
    for server_id in ids:
        stack.becomes(server_id, "ACTIVE")
    first = stack.get("/compute/v2.1/servers/detail?name=build&limit=2")
    assert [each["id"] for each in first["servers"]] == ids[:0:-1]
    next_page = first["servers_links"][0]["href"].split("?")[1]
    assert [each["id"] for each in stack.get(f"/compute/v2.1/servers?name=build&{next_page}")["servers"]] == ids[:1]
    assert stack.get("/compute/v2.1/servers?name=build&status=SHUTOFF")["servers"] == []
    assert stack.ask("GET", "/compute/v2.1/servers?marker=none").status_code == 400


def test_metadata(any_stack: Stack) -> None:
    server_id = any_stack.launch(metadata={"build": "b1"})
    path = f"{any_stack.nova}/servers/{server_id}/metadata"
    assert any_stack.do("POST", path, {"metadata": {"more": "m"}})["metadata"] == {"build": "b1", "more": "m"}
    any_stack.do("DELETE", f"{path}/more")
    assert any_stack.server(server_id)["metadata"] == {"build": "b1"}


def test_key_pairs(stack: Stack) -> None:
    import_key(stack)
    again = {
        "keypair": {
            "name": "k",
            "public_key": asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode(),
        }
    }
    assert stack.ask("POST", "/compute/v2.1/os-keypairs", again).status_code == 409
    bad = {"keypair": {"name": "bad", "public_key": "junk"}}
    assert stack.ask("POST", "/compute/v2.1/os-keypairs", bad).status_code == 400
    made = stack.do("POST", "/compute/v2.1/os-keypairs", {"keypair": {"name": "made"}})["keypair"]
    asyncssh.import_private_key(made["private_key"])
    stack.version = "2.92"
    assert stack.ask("POST", "/compute/v2.1/os-keypairs", {"keypair": {"name": "none"}}).status_code == 400
    assert stack.ask("DELETE", "/compute/v2.1/os-keypairs/made").status_code == 204
    assert stack.ask("GET", "/compute/v2.1/os-keypairs/made").status_code == 404


def test_several_at_once(stack: Stack) -> None:
    stack.launch(name="many", min_count=3, max_count=3)
    names = [each["name"] for each in stack.get("/compute/v2.1/servers")["servers"]]
    assert sorted(names) == ["many-1", "many-2", "many-3"]


def test_user_data_reaches_the_console(any_stack: Stack) -> None:
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    config = {"ssh_keys": {"ed25519_private": host_key.export_private_key().decode()}}
    user_data = base64.b64encode(f"#cloud-config\n{json.dumps(config)}".encode()).decode()
    any_stack.set(boot_s=2)
    server_id = any_stack.launch(user_data=user_data, config_drive=True)
    assert any_stack.act(server_id, "os-getConsoleOutput", {}).status_code == 409
    any_stack.becomes(server_id, "ACTIVE")
    output = any_stack.act(server_id, "os-getConsoleOutput", {}).json()["output"]
    assert host_key.export_public_key().decode().split()[1] in output


def test_a_guest_that_powers_itself_off_is_shut_off(stack: Stack) -> None:
    key = import_key(stack)
    server_id = stack.launch(key_name="k")
    stack.becomes(server_id, "ACTIVE")
    listed = stack.told("/list")
    assert listed["accounts"][stack.name]["servers"][0]["status"] == "ACTIVE"
    group = stack.get("/network/v2.0/security-groups?name=default")["security_groups"][0]["id"]
    rule = {"security_group_id": group, "direction": "ingress", "protocol": "tcp"}
    stack.do("POST", "/network/v2.0/security-group-rules", {"security_group_rule": rule})
    address = floating_of(stack, server_id)
    asyncio.run(power_off(stack, address, key))
    stack.becomes(server_id, "SHUTOFF")


def floating_of(stack: Stack, server_id: str) -> str:
    port = stack.get(f"/network/v2.0/ports?device_id={server_id}")["ports"][0]
    public = stack.get("/network/v2.0/networks?router:external=true")["networks"][0]
    wanted = {"floatingip": {"floating_network_id": public["id"], "port_id": port["id"]}}
    return str(stack.do("POST", "/network/v2.0/floatingips", wanted)["floatingip"]["floating_ip_address"])


async def power_off(stack: Stack, address: str, key: asyncssh.SSHKey) -> None:
    port = stack.told("/health")["ssh_port"]
    async with asyncssh.connect(address, port, username="admin", client_keys=[key], known_hosts=None) as there:
        await there.run("sudo poweroff")


def test_boot_from_a_volume(stack: Stack) -> None:
    disk = {"boot_index": 0, "uuid": stack.image(), "source_type": "image", "destination_type": "volume"}
    volumes = f"/volume/v3/{stack.facts.project_id}/volumes"
    server_id = stack.launch(imageRef="", block_device_mapping_v2=[{**disk, "volume_size": 9}])
    seen = stack.becomes(server_id, "ACTIVE")
    volume_id = seen["os-extended-volumes:volumes_attached"][0]["id"]
    assert (seen["image"], stack.get(f"{volumes}/{volume_id}")["volume"]["size"]) == ("", 9)
    assert stack.ask("DELETE", f"{volumes}/{volume_id}").status_code == 400
    stack.do("DELETE", f"/compute/v2.1/servers/{server_id}")
    stack.gone(f"/compute/v2.1/servers/{server_id}")
    assert stack.get(f"{volumes}/{volume_id}")["volume"]["status"] == "available", "left behind, as asked"
    from_volume = {"boot_index": 0, "uuid": volume_id, "source_type": "volume", "destination_type": "volume"}
    mapping = [{**from_volume, "delete_on_termination": True}]
    server_id = stack.launch(imageRef="", block_device_mapping_v2=mapping)
    stack.becomes(server_id, "ACTIVE")
    stack.do("DELETE", f"/compute/v2.1/servers/{server_id}")
    stack.gone(f"{volumes}/{volume_id}")
    assert stack.refused(imageRef="", block_device_mapping_v2=[{**disk, "volume_size": 1}])[0] == 400


def test_calls_that_fail_as_planned(stack: Stack) -> None:
    stack.set(fault={"service": "compute", "method": "GET", "path": "/servers$", "status": 503, "message": "busy"})
    assert stack.ask("GET", "/compute/v2.1/servers").json()["serviceUnavailable"]["message"] == "busy"
    assert stack.ask("GET", "/compute/v2.1/servers").status_code == 200
    stack.set(fault={"method": "POST", "path": "/servers$", "status": 0, "after_effect": True})
    with pytest.raises(httpx.RemoteProtocolError):
        stack.launch()
    assert len(stack.get("/compute/v2.1/servers")["servers"]) == 1, "the answer was lost, not the server"
    assert "error" in stack.set(fault={"mood": "bad"})
    assert "error" in stack.set(moods=1)
    assert "error" in stack.control("/settings", account="openstack-nowhere")


def test_calls_are_counted_by_account(stack: Stack) -> None:
    server_id = stack.launch()
    stack.becomes(server_id, "ACTIVE")
    stack.act(server_id, "os-stop")
    counted = stack.told("/calls")["accounts"][stack.name]["actions"]
    assert counted["compute POST /servers"] == 1
    assert counted["compute POST /servers/{server_id}/action os-stop"] == 1


def test_sites_do_not_see_each_other(stack: Stack, endpoint: str) -> None:
    sierra = Stack(endpoint, "openstack-sierra").start()
    import_key(stack, "mine")
    server_id = stack.launch()
    assert sierra.get("/compute/v2.1/servers")["servers"] == []
    assert sierra.get("/compute/v2.1/os-keypairs")["keypairs"] == []
    assert sierra.ask("GET", f"/compute/v2.1/servers/{server_id}").status_code == 404
    sierra.control("/reset", account=sierra.name)
    assert stack.server(server_id)["id"] == server_id


def test_limits_and_what_else_clients_ask(stack: Stack) -> None:
    stack.launch()
    assert stack.get("/compute/v2.1/limits")["limits"]["absolute"]["totalInstancesUsed"] == 1
    assert stack.get("/compute/v2.1/os-availability-zone")["availabilityZoneInfo"][0]["zoneName"] == "nova"
    assert stack.get("/compute/v2.1/flavors/2")["flavor"]["name"] == "m1.small"
    assert stack.ask("GET", "/compute/v2.1/flavors/m1.small").status_code == 404
    assert stack.ask("GET", "/compute/v2.1/os-hypervisors").status_code == 404


def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    with in_process.sandbox(tmp_path) as endpoint:
        first = Stack(endpoint, "openstack-hotel").start()
        import_key(first)
        server_id = first.launch(key_name="k", metadata={"build": "b1"})
        first.becomes(server_id, "ACTIVE")
        address = floating_of(first, server_id)
        image_id = first.save(server_id)
        first.saved(image_id)
    with in_process.sandbox(tmp_path) as endpoint:
        second = Stack(endpoint, "openstack-hotel")
        second.token = second.log_in()
        seen = second.server(server_id)
        assert (seen["status"], seen["metadata"], seen["key_name"]) == ("SHUTOFF", {"build": "b1"}, "k")
        assert seen["addresses"]["private"][1]["addr"] == address
        assert second.get(f"/image/v2/images/{image_id}")["status"] == "active"
        second.act(server_id, "os-start")
        second.becomes(server_id, "ACTIVE")


def test_a_password_is_never_shown(stack: Stack) -> None:
    shown = stack.told("/list")["accounts"][stack.name]
    shown.pop("environment")  # says how to log in, which is its purpose
    assert PASSWORD not in json.dumps(shown)


def test_deleting_while_building(stack: Stack) -> None:
    stack.set(boot_s=4)
    server_id = stack.launch()
    begin = time.monotonic()
    stack.do("DELETE", f"/compute/v2.1/servers/{server_id}")
    stack.gone(f"/compute/v2.1/servers/{server_id}")
    assert time.monotonic() - begin < 4
    eventually(lambda: stack.get("/network/v2.0/ports")["ports"], lambda ports: ports == [])
