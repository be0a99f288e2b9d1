"""Security groups and floating addresses: Neutron's, or Nova's own on clouds of the time before Neutron."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from imagesmith.clouds.openstack_api import Api
from imagesmith.clouds.openstack_errors import NETWORK, status_of
from imagesmith.clouds.openstack_words import PREFIX, TAG_NAME, OpenStackSettings, all_tags, choices, described, tags_in
from imagesmith.core import AddressRequest, Ledger, Resource, ResourceKind
from imagesmith.errors import DefinitionError, ImagesmithError


class Network(ABC):
    """What an instance needs beside itself to be reached, on one cloud."""

    def __init__(self, api: Api, settings: OpenStackSettings) -> None:
        self._api = api
        self._settings = settings

    @abstractmethod
    def network_id(self) -> str:
        """The network instances get their fixed address in; "" where Nova chooses. Raises DefinitionError."""

    @abstractmethod
    def ensure_group(self, name: str, tags: Mapping[str, str], *, cidr: str, retried: bool) -> tuple[str, str, bool]:
        """The security group of that name with SSH open for `cidr`: its id, its name for Nova, whether it is new.

        Unless `retried` there can't be one yet.
        """

    @abstractmethod
    def groups(self) -> list[Resource]:
        """Our security groups."""

    @abstractmethod
    def give_address(self, request: AddressRequest, ledger: Ledger) -> bool:
        """A floating IP of its own for the instance, unless it has one; False while it has no port yet."""

    @abstractmethod
    def floating_ips(self, instances: Iterable[Resource]) -> list[Resource]:
        """Our floating IPs; `instances` are ours."""

    @abstractmethod
    def delete(self, resource: Resource) -> None:
        """Delete a group or a floating IP."""

    def _one_of(self, networks: list[Mapping[str, Any]], wanted: str, *, key: str) -> str:
        """The id of the network of that name or id; without one, of the only one there is."""
        fitting = [each for each in networks if not wanted or wanted in (each["id"], _name_of(each))]
        if len(fitting) == 1:
            return str(fitting[0]["id"])
        what = f"no network {wanted}" if wanted and not fitting else f"{len(fitting) or 'no'} networks to choose from"
        raise DefinitionError(
            f"{self._api.cloud}: {what}; set {key} of {self._api.cloud} in include/clouds.yaml to one of: "
            f"{choices(networks)}"
        )


def _name_of(network: Mapping[str, Any]) -> str:
    return str(network.get("name") or network.get("label") or "")


class Neutron(Network):
    """Neutron's API v2.0. Things bear our tags in their description, which is set in the call that makes them."""

    _networks: Sequence[Mapping[str, Any]] = ()

    def network_id(self) -> str:
        """The network named in the settings, or the only one that is not there for floating IPs."""
        self._networks = found = list(self._list("networks", "look up networks"))
        inner = [each for each in found if not each.get("router:external")]
        return self._one_of(found if self._settings.network else inner, self._settings.network, key="network")

    def ensure_group(self, name: str, tags: Mapping[str, str], *, cidr: str, retried: bool) -> tuple[str, str, bool]:
        """The group of that name, found or made, with its one rule."""
        found = list(self._list("security-groups", f"look for security group {name}", name=name)) if retried else []
        if found:
            group_id = str(found[0]["id"])
        else:
            body = {"security_group": {"name": name, "description": described(tags)}}
            made = self._post(f"create security group {name}", "security-groups", body)
            group_id = str(made["security_group"]["id"])
        rule = {
            "security_group_id": group_id,
            "direction": "ingress",
            "ethertype": "IPv6" if ":" in cidr else "IPv4",
            "protocol": "tcp",
            "port_range_min": self._settings.ssh_port,
            "port_range_max": self._settings.ssh_port,
            "remote_ip_prefix": cidr,
        }
        try:
            tried = f"open port {self._settings.ssh_port} of {group_id} for {cidr}"
            self._post(tried, "security-group-rules", {"security_group_rule": rule})
        except ImagesmithError as error:
            if status_of(error) != 409 or "quota" in str(error).lower():  # 409: an earlier try has made it
                raise
        return group_id, group_id, not found

    def groups(self) -> list[Resource]:
        """The groups that bear our name and tags."""
        found = self._list("security-groups", "list security groups of ours")
        return [_resource(ResourceKind.SECURITY_GROUP, group) for group in found if _ours(group)]

    def give_address(self, request: AddressRequest, ledger: Ledger) -> bool:
        """Allocate and associate in one call; one that an earlier try left is taken up."""
        tried = f"give {request.instance_id} a floating IP"
        ports = list(self._list("ports", tried, device_id=request.instance_id))
        if not ports:
            return False
        for each in self._list("floatingips", tried):
            if each["id"] in request.known_ids or tags_in(each.get("description")).get(TAG_NAME) == request.name:
                ledger.made(ResourceKind.FLOATING_IP, request.name, str(each["id"]))
                if each.get("port_id") != ports[0]["id"]:
                    body = {"floatingip": {"port_id": ports[0]["id"]}}
                    self._ask(tried, "PUT", f"floatingips/{each['id']}", json=body)
                return True
        tags = all_tags(self._api.cloud, request.build_id, name=request.name, tags=request.tags)
        body = {
            "floatingip": {
                "floating_network_id": self._outer_network(),
                "port_id": ports[0]["id"],
                "description": described(tags),
            }
        }
        ledger.intend(ResourceKind.FLOATING_IP, request.name)
        made = self._post(tried, "floatingips", body)
        ledger.made(ResourceKind.FLOATING_IP, request.name, str(made["floatingip"]["id"]))
        return True

    def floating_ips(self, instances: Iterable[Resource]) -> list[Resource]:
        """The floating IPs that bear our tags."""
        found = self._list("floatingips", "list floating IPs of ours")
        return [_resource(ResourceKind.FLOATING_IP, each) for each in found if tags_in(each.get("description"))]

    def delete(self, resource: Resource) -> None:
        """Delete a group or a floating IP; a group in use is refused with 409."""
        path = "security-groups" if resource.kind is ResourceKind.SECURITY_GROUP else "floatingips"
        self._ask(f"delete {resource.kind} {resource.id}", "DELETE", f"{path}/{resource.id}")

    def _outer_network(self) -> str:
        # Those of this process's launch, if it was in this process.
        known = self._networks or list(self._list("networks", "look up networks"))
        found = [each for each in known if each.get("router:external")]
        return self._one_of(found, self._settings.floating_ip_network, key="floating_ip_network")

    def _list(self, what: str, tried: str, **wanted: str) -> Iterable[Mapping[str, Any]]:
        key = what.replace("-", "_")
        return self._api.pages(tried, f"/{what}", key, service="network", params=wanted)

    def _post(self, tried: str, what: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._ask(tried, "POST", what, json=body)

    def _ask(self, tried: str, method: str, path: str, **more: Any) -> Mapping[str, Any]:
        special = {404: NETWORK} if method in ("POST", "PUT") else {}
        return self._api.ask(tried, method, f"/{path}", service="network", special=special, **more).document


class NovaNetwork(Network):
    """Nova's own groups and floating IPs, as in releases up to Havana and beyond.

    Groups bear our tags in their description; floating IPs can bear nothing and are known by the instance they are on,
    and by the catalog.
    """

    def network_id(self) -> str:
        """The network named in the settings; without one Nova gives an address in each of the project's."""
        if not self._settings.network:
            return ""
        found = list(self._api.pages("look up networks", "/os-tenant-networks", "networks"))
        return self._one_of(found, self._settings.network, key="network")

    def ensure_group(self, name: str, tags: Mapping[str, str], *, cidr: str, retried: bool) -> tuple[str, str, bool]:
        """The group of that name, found or made, with its one rule."""
        known = self._groups(f"look for security group {name}") if retried else []
        found = [group for group in known if group["name"] == name]
        if found:
            group_id = found[0]["id"]
        else:
            body = {"security_group": {"name": name, "description": described(tags)}}
            made = self._api.post(f"create security group {name}", "/os-security-groups", body)
            group_id = made.document["security_group"]["id"]
        rule = {
            "parent_group_id": group_id,
            "ip_protocol": "tcp",
            "from_port": self._settings.ssh_port,
            "to_port": self._settings.ssh_port,
            "cidr": cidr,
        }
        try:
            tried = f"open port {self._settings.ssh_port} of {name} for {cidr}"
            self._api.post(tried, "/os-security-group-rules", {"security_group_rule": rule})
        except ImagesmithError as error:
            if "already exists" not in str(error):
                raise
        return str(group_id), name, not found

    def groups(self) -> list[Resource]:
        """The groups that bear our name and tags."""
        found = self._groups("list security groups of ours")
        return [_resource(ResourceKind.SECURITY_GROUP, group) for group in found if _ours(group)]

    def give_address(self, request: AddressRequest, ledger: Ledger) -> bool:
        """Allocate, write down, associate; one that an earlier try left is taken up where the catalog knows it."""
        tried = f"give {request.instance_id} a floating IP"
        found = list(self._api.pages(tried, "/os-floating-ips", "floating_ips"))
        if any(each.get("instance_id") == request.instance_id for each in found):
            return True
        own = [each for each in found if str(each["id"]) in request.known_ids]
        if not own:
            ledger.intend(ResourceKind.FLOATING_IP, request.name)
            pool = {"pool": self._settings.floating_ip_network}
            made = self._api.post(tried, "/os-floating-ips", pool, special={404: NETWORK})
            own = [made.document["floating_ip"]]
            ledger.made(ResourceKind.FLOATING_IP, request.name, str(own[0]["id"]))
        body = {"addFloatingIp": {"address": own[0]["ip"]}}
        self._api.post(tried, f"/servers/{request.instance_id}/action", body)
        return True

    def floating_ips(self, instances: Iterable[Resource]) -> list[Resource]:
        """The floating IPs on our instances."""
        by_id = {instance.id: instance for instance in instances}
        return [
            Resource(ResourceKind.FLOATING_IP, str(each["id"]), name=on.name, tags=on.tags)
            for each in self._api.pages("list floating IPs of ours", "/os-floating-ips", "floating_ips")
            if (on := by_id.get(str(each.get("instance_id"))))
        ]

    def delete(self, resource: Resource) -> None:
        """Delete a group or a floating IP; a group in use is refused with 400."""
        path = "os-security-groups" if resource.kind is ResourceKind.SECURITY_GROUP else "os-floating-ips"
        self._api.ask(f"delete {resource.kind} {resource.id}", "DELETE", f"/{path}/{resource.id}")

    def _groups(self, tried: str) -> Iterable[Mapping[str, Any]]:
        return self._api.pages(tried, "/os-security-groups", "security_groups")


def _ours(group: Mapping[str, Any]) -> bool:
    return str(group.get("name", "")).startswith(PREFIX) and bool(tags_in(group.get("description")))


def _resource(kind: ResourceKind, document: Mapping[str, Any]) -> Resource:
    tags = tags_in(document.get("description"))
    return Resource(
        kind,
        str(document["id"]),
        name=tags.get(TAG_NAME) or str(document.get("name") or ""),
        tags=tags,
        created=str(document.get("created_at") or ""),
        state=str(document.get("status") or ""),
    )
