"""Neutron: networks, subnets, ports and routers as they are, quotas, extensions."""

from collections.abc import Callable, Sequence

from imagesmith.sandbox.openstack import addresses, life
from imagesmith.sandbox.openstack.addresses import Network
from imagesmith.sandbox.openstack.neutron_query import listed
from imagesmith.sandbox.openstack.things import Port
from imagesmith.sandbox.openstack.wire import Call, Document, Problem, Reply, Rule, moment

_BEGINNING = "2026-01-01T00:00:00Z"
_EXTENSIONS = (
    "external-net",
    "router",
    "security-group",
    "port-security",
    "quotas",
    "quota_details",
    "project-id",
    "standard-attr-description",
    "standard-attr-tag",
    "standard-attr-timestamp",
    "filter-validation",
)


def _networks(call: Call) -> list[Document]:
    return [_network(call, each) for each in addresses.networks(call.site)]


def _subnets(call: Call) -> list[Document]:
    return [_subnet(each) for each in addresses.networks(call.site)]


def _ports(call: Call) -> list[Document]:
    return [_port(call, each) for each in call.site.state.ports.values()]


def _routers(call: Call) -> list[Document]:
    public, private = addresses.networks(call.site)
    return [
        {
            **_owned(private.owner),
            "id": call.site.facts.id_of("router"),
            "name": "router",
            "status": "ACTIVE",
            "admin_state_up": True,
            "external_gateway_info": {"network_id": public.id, "enable_snat": True, "external_fixed_ips": []},
            "routes": [],
        }
    ]


_LISTS: dict[str, Callable[[Call], Sequence[Document]]] = {
    "networks": _networks,
    "subnets": _subnets,
    "ports": _ports,
    "routers": _routers,
}


def list_things(call: Call) -> Reply:
    """What the path's last word names."""
    name = call.path.rstrip("/").rsplit("/", 1)[-1]
    return Reply({name: listed(call, _LISTS[name](call))})


def show_thing(call: Call) -> Reply:
    """One of them."""
    name, thing_id = call.path.rstrip("/").rsplit("/", 2)[-2:]
    for document in _LISTS[name](call):
        if document["id"] == thing_id:
            return Reply({name.removesuffix("s"): document})
    raise missing(name.removesuffix("s").title(), thing_id)


def list_extensions(call: Call) -> Reply:
    """What is there beside the core."""
    return Reply({"extensions": [_extension(alias) for alias in _EXTENSIONS]})


def show_extension(call: Call) -> Reply:
    """One extension."""
    if call.parameters["alias"] not in _EXTENSIONS:
        raise Problem(404, f"Extension with alias {call.parameters['alias']} does not exist", kind="ExtensionNotFound")
    return Reply({"extension": _extension(call.parameters["alias"])})


def list_zones(call: Call) -> Reply:
    """None: networks span the site."""
    return Reply({"availability_zones": []})


def show_quota(call: Call) -> Reply:
    """The project's quota; but floating addresses nothing is limited."""
    return Reply({"quota": {name: limit for name, (limit, _) in _quota(call).items()}})


def show_quota_details(call: Call) -> Reply:
    """The same with what is used."""
    return Reply(
        {"quota": {name: {"limit": each[0], "used": each[1], "reserved": 0} for name, each in _quota(call).items()}}
    )


def missing(kind: str, thing_id: str) -> Problem:
    """That there is no such thing."""
    return Problem(404, f"{kind} {thing_id} could not be found.", kind=f"{kind.replace(' ', '')}NotFound")


def _quota(call: Call) -> dict[str, tuple[int, int]]:
    if call.parameters["project_id"] != call.site.facts.project_id:
        raise Problem(403, "The quota of another project is not for this one.", kind="PolicyNotAuthorized")
    state = call.site.state
    rules = sum(len(group.rules) for group in state.security_groups.values())
    return {
        "floatingip": (call.site.settings.floating_ips, len(state.floating_ips)),
        "network": (-1, 1),
        "subnet": (-1, 1),
        "port": (-1, len(state.ports)),
        "router": (-1, 1),
        "security_group": (-1, len(state.security_groups)),
        "security_group_rule": (-1, rules),
    }


def _owned(project: str, *, created: str = _BEGINNING) -> Document:
    """What every resource has."""
    return {
        "tenant_id": project,
        "project_id": project,
        "description": "",
        "tags": [],
        "created_at": created,
        "updated_at": created,
        "revision_number": 1,
    }


def _network(call: Call, network: Network) -> Document:
    return {
        **_owned(network.owner),
        "id": network.id,
        "name": network.name,
        "status": "ACTIVE",
        "admin_state_up": True,
        "shared": network.external and call.site.settings.public_shared,
        "router:external": network.external,
        "is_default": network.external,
        "subnets": [network.subnet_id],
        "mtu": 1450,
        "port_security_enabled": True,
        "availability_zones": ["nova"],
        "availability_zone_hints": [],
        "ipv4_address_scope": None,
        "ipv6_address_scope": None,
    }


def _subnet(network: Network) -> Document:
    return {
        **_owned(network.owner),
        "id": network.subnet_id,
        "name": f"{network.name}4",
        "network_id": network.id,
        "ip_version": 4,
        "cidr": network.cidr,
        "gateway_ip": network.gateway,
        "enable_dhcp": True,
        "allocation_pools": [],
        "dns_nameservers": [],
        "host_routes": [],
        "ipv6_address_mode": None,
        "ipv6_ra_mode": None,
        "subnetpool_id": None,
    }


def _port(call: Call, port: Port) -> Document:
    server = call.site.state.servers.get(port.server_id)
    up = server is not None and life.view(call.site, server).status == "ACTIVE"
    network = addresses.network(call.site, port.network_id)
    return {
        **_owned(call.site.facts.project_id, created=moment(port.created)),
        "id": port.id,
        "name": "",
        "status": "ACTIVE" if up else "DOWN",
        "admin_state_up": True,
        "network_id": port.network_id,
        "mac_address": port.mac,
        "fixed_ips": [{"subnet_id": network.subnet_id if network else "", "ip_address": port.fixed_address}],
        "device_id": port.server_id,
        "device_owner": "compute:nova",
        "security_groups": port.group_ids,
        "port_security_enabled": True,
        "binding:vnic_type": "normal",
        "allowed_address_pairs": [],
        "extra_dhcp_opts": [],
        "tags": list(port.tags),
    }


def _extension(alias: str) -> Document:
    return {"alias": alias, "name": alias, "description": "", "updated": _BEGINNING, "links": []}


RULES = (
    *(Rule("GET", f"/{name}", list_things) for name in _LISTS),
    *(Rule("GET", f"/{name}/{{thing_id}}", show_thing) for name in _LISTS),
    Rule("GET", "/extensions", list_extensions),
    Rule("GET", "/extensions/{alias}", show_extension),
    Rule("GET", "/availability_zones", list_zones),
    Rule("GET", "/quotas/{project_id}", show_quota),
    Rule("GET", "/quotas/{project_id}/details", show_quota_details),
)
