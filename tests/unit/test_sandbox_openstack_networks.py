"""Networks of the sandbox's sites: floating addresses that lead where they should, and rules that hold."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncssh
import pytest

from imagesmith.sandbox import in_process

from .openstack_client import Stack


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with in_process.sandbox(tmp_path_factory.mktemp("sandbox")) as endpoint:
        yield endpoint


@pytest.fixture
def stack(endpoint: str) -> Stack:
    return Stack(endpoint, "openstack-hotel").start()


@pytest.fixture
def havana(endpoint: str) -> Stack:
    return Stack(endpoint, "openstack-india").start()


FLOATING = "/network/v2.0/floatingips"
GROUPS = "/network/v2.0/security-groups"


def public_id(stack: Stack) -> str:
    return str(stack.get("/network/v2.0/networks?name=public")["networks"][0]["id"])


def allocate(stack: Stack, **said: Any) -> Any:
    wanted = {"floatingip": {"floating_network_id": public_id(stack), **said}}
    return stack.do("POST", FLOATING, wanted)["floatingip"]


def port_of(stack: Stack, server_id: str) -> str:
    return str(stack.get(f"/network/v2.0/ports?device_id={server_id}")["ports"][0]["id"])


def group_for_ssh(stack: Stack, cidr: str = "127.0.0.1/32") -> str:
    group = stack.do("POST", GROUPS, {"security_group": {"name": "ssh"}})["security_group"]
    rule = {
        "security_group_id": group["id"],
        "direction": "ingress",
        "protocol": "tcp",
        "port_range_min": 22,
        "port_range_max": 22,
        "remote_ip_prefix": cidr,
    }
    stack.do("POST", "/network/v2.0/security-group-rules", {"security_group_rule": rule})
    return str(group["id"])


def with_key(stack: Stack) -> asyncssh.SSHKey:
    key = asyncssh.generate_private_key("ssh-ed25519")
    wanted = {"keypair": {"name": "k", "public_key": key.export_public_key().decode()}}
    stack.do("POST", f"{stack.nova}/os-keypairs", wanted)
    return key


def reach(stack: Stack, address: str, key: asyncssh.SSHKey) -> int | None:
    port = stack.told("/health")["ssh_port"]

    async def run() -> int | None:
        async with asyncssh.connect(address, port, username="admin", client_keys=[key], known_hosts=None) as there:
            return (await there.run("true")).exit_status

    return asyncio.run(run())


def unreachable(stack: Stack, address: str, key: asyncssh.SSHKey) -> None:
    with pytest.raises((OSError, asyncssh.ConnectionLost)):
        reach(stack, address, key)


def test_a_floating_address_leads_to_its_server_while_it_has_it(stack: Stack) -> None:
    key, group_id = with_key(stack), group_for_ssh(stack)
    server_id = stack.launch(key_name="k", security_groups=[{"name": "ssh"}])
    stack.becomes(server_id, "ACTIVE")
    floating = allocate(stack, port_id=port_of(stack, server_id))
    assert (floating["status"], floating["port_details"]["device_id"]) == ("ACTIVE", server_id)
    address = floating["floating_ip_address"]
    assert reach(stack, address, key) == 0
    assert stack.server(server_id)["addresses"]["private"][1] == {
        "version": 4,
        "addr": address,
        "OS-EXT-IPS:type": "floating",
        "OS-EXT-IPS-MAC:mac_addr": stack.server(server_id)["addresses"]["private"][0]["OS-EXT-IPS-MAC:mac_addr"],
    }
    stack.do("PUT", f"{FLOATING}/{floating['id']}", {"floatingip": {"port_id": None}})
    unreachable(stack, address, key)
    assert stack.ask("DELETE", f"{GROUPS}/{group_id}").status_code == 409
    stack.do("DELETE", f"{stack.nova}/servers/{server_id}")
    stack.gone(f"{stack.nova}/servers/{server_id}")
    stack.do("DELETE", f"{GROUPS}/{group_id}")


def test_the_default_group_lets_nobody_in(stack: Stack) -> None:
    key = with_key(stack)
    server_id = stack.launch(key_name="k")
    stack.becomes(server_id, "ACTIVE")
    address = allocate(stack, port_id=port_of(stack, server_id))["floating_ip_address"]
    unreachable(stack, address, key)
    default = stack.get(f"{GROUPS}?name=default")["security_groups"][0]["id"]
    elsewhere = {"security_group_id": default, "direction": "ingress", "protocol": "tcp"}
    rules = "/network/v2.0/security-group-rules"
    stack.do("POST", rules, {"security_group_rule": {**elsewhere, "remote_ip_prefix": "10.0.0.0/8"}})
    unreachable(stack, address, key)
    stack.do("POST", rules, {"security_group_rule": elsewhere})
    assert reach(stack, address, key) == 0


def test_a_floating_address_outlives_its_server(stack: Stack) -> None:
    server_id = stack.launch()
    stack.becomes(server_id, "ACTIVE")
    floating = allocate(stack, port_id=port_of(stack, server_id))
    stack.do("DELETE", f"{stack.nova}/servers/{server_id}")
    stack.gone(f"{stack.nova}/servers/{server_id}")
    left = stack.get(f"{FLOATING}/{floating['id']}")["floatingip"]
    assert (left["status"], left["port_id"]) == ("DOWN", None)


def test_floating_addresses_are_all_different(stack: Stack, endpoint: str) -> None:
    sierra = Stack(endpoint, "openstack-sierra").start()
    made = [allocate(each)["floating_ip_address"] for each in (stack, sierra) for _ in range(5)]
    assert len(set(made)) == 10


def test_the_quota_of_floating_addresses(stack: Stack) -> None:
    stack.set(floating_ips=1)
    floating = allocate(stack)
    wanted = {"floatingip": {"floating_network_id": public_id(stack)}}
    answer = stack.ask("POST", FLOATING, wanted)
    assert answer.status_code == 409
    assert answer.json()["NeutronError"]["type"] == "OverQuota"
    assert answer.json()["NeutronError"]["message"] == "Quota exceeded for resources: ['floatingip']."
    stack.do("DELETE", f"{FLOATING}/{floating['id']}")
    assert stack.ask("POST", FLOATING, wanted).status_code == 201


@pytest.mark.parametrize(
    ("said", "status", "kind"),
    [
        ({"floating_network_id": "none"}, 404, "NetworkNotFound"),
        ({"port_id": "none"}, 404, "PortNotFound"),
        ({"tags": ["a"]}, 400, "HTTPBadRequest"),
    ],
)
def test_floating_addresses_that_cannot_be(stack: Stack, said: Any, status: int, kind: str) -> None:
    answer = stack.ask("POST", FLOATING, {"floatingip": {"floating_network_id": public_id(stack), **said}})
    assert (answer.status_code, answer.json()["NeutronError"]["type"]) == (status, kind)
    assert stack.get(FLOATING)["floatingips"] == []


def test_a_port_has_one_floating_address(stack: Stack) -> None:
    server_id = stack.launch()
    stack.becomes(server_id, "ACTIVE")
    allocate(stack, port_id=port_of(stack, server_id))
    wanted = {"floatingip": {"floating_network_id": public_id(stack), "port_id": port_of(stack, server_id)}}
    assert stack.ask("POST", FLOATING, wanted).status_code == 409
    assert len(stack.get(FLOATING)["floatingips"]) == 1


def test_tags(stack: Stack) -> None:
    first, second = allocate(stack)["id"], allocate(stack)["id"]
    stack.do("PUT", f"{FLOATING}/{first}/tags/build=b1")
    stack.do("PUT", f"{FLOATING}/{first}/tags/both")
    stack.do("PUT", f"{FLOATING}/{second}/tags", {"tags": ["both"]})
    assert [each["id"] for each in stack.get(f"{FLOATING}?tags=build=b1,both")["floatingips"]] == [first]
    assert len(stack.get(f"{FLOATING}?tags=both")["floatingips"]) == 2
    group_id = group_for_ssh(stack)
    assert stack.ask("PUT", f"{GROUPS}/{group_id}/tags/build=b1").status_code == 201
    assert [each["id"] for each in stack.get(f"{GROUPS}?tags=build=b1")["security_groups"]] == [group_id]
    assert stack.ask("DELETE", f"{GROUPS}/{group_id}/tags/none").status_code == 404


def test_rules_are_checked(stack: Stack) -> None:
    group_id = group_for_ssh(stack)
    rule = {"security_group_id": group_id, "direction": "ingress", "protocol": "tcp"}
    ssh = {**rule, "port_range_min": 22, "port_range_max": 22, "remote_ip_prefix": "127.0.0.1/32"}
    for said, kind in (
        (ssh, "SecurityGroupRuleExists"),
        ({**rule, "protocol": "smoke"}, "SecurityGroupRuleInvalidProtocol"),
        ({**rule, "port_range_min": 9, "port_range_max": 8}, "SecurityGroupInvalidPortRange"),
        ({**rule, "remote_ip_prefix": "here"}, "HTTPBadRequest"),
        ({**rule, "security_group_id": "none"}, "SecurityGroupNotFound"),
    ):
        answer = stack.ask("POST", "/network/v2.0/security-group-rules", {"security_group_rule": said})
        assert answer.json()["NeutronError"]["type"] == kind
    assert stack.ask("DELETE", f"{GROUPS}/{group_id}").status_code == 204
    default = stack.get(f"{GROUPS}?name=default")["security_groups"][0]["id"]
    assert stack.ask("DELETE", f"{GROUPS}/{default}").status_code == 409


def test_lists_are_filtered(stack: Stack) -> None:
    assert len(stack.get("/network/v2.0/networks?router:external=True")["networks"]) == 1
    assert stack.get("/network/v2.0/networks?fields=name&name=private")["networks"] == [{"name": "private"}]
    assert stack.ask("GET", "/network/v2.0/networks?mood=bad").status_code == 400
    private = stack.get("/network/v2.0/networks?name=private")["networks"][0]
    subnets = stack.get(f"/network/v2.0/subnets?network_id={private['id']}")["subnets"]
    assert [each["cidr"] for each in subnets] == ["198.18.16.0/20"]
    quota = stack.get(f"/network/v2.0/quotas/{stack.facts.project_id}")["quota"]
    assert quota["floatingip"] == 10


def test_names_of_groups_are_not_unique(stack: Stack) -> None:
    for _ in range(2):
        stack.do("POST", GROUPS, {"security_group": {"name": "twice"}})
    assert stack.refused(security_groups=[{"name": "twice"}])[0] == 409


def test_havana_has_its_addresses_and_groups_in_nova(havana: Stack) -> None:
    nova, key = havana.nova, with_key(havana)
    group = havana.do("POST", f"{nova}/os-security-groups", {"security_group": {"name": "g", "description": "d"}})
    rule = {"parent_group_id": group["security_group"]["id"], "ip_protocol": "tcp", "cidr": "127.0.0.1/32"}
    wanted = {"security_group_rule": {**rule, "from_port": 22, "to_port": 22}}
    havana.do("POST", f"{nova}/os-security-group-rules", wanted)
    server_id = havana.launch(key_name="k", security_groups=[{"name": "g"}])
    havana.becomes(server_id, "ACTIVE")
    floating = havana.do("POST", f"{nova}/os-floating-ips", {"pool": "public"})["floating_ip"]
    assert havana.act(server_id, "addFloatingIp", {"address": floating["ip"]}).status_code == 202
    assert reach(havana, floating["ip"], key) == 0
    assert havana.get(f"{nova}/os-floating-ips")["floating_ips"][0]["instance_id"] == server_id
    assert havana.act(server_id, "removeFloatingIp", {"address": floating["ip"]}).status_code == 202
    unreachable(havana, floating["ip"], key)
    assert havana.ask("DELETE", f"{nova}/os-floating-ips/{floating['id']}").status_code == 202
    assert [each["label"] for each in havana.get(f"{nova}/os-tenant-networks")["networks"]] == ["private"]
    havana.set(floating_ips=0)
    refusal = havana.ask("POST", f"{nova}/os-floating-ips", {"pool": "public"})
    assert (refusal.status_code, "Quota exceeded" in refusal.text) == (413, True)
