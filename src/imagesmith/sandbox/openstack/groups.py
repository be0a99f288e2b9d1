"""Security groups. Their rules hold: a floating address passes SSH on only where a rule lets its caller in."""

import ipaddress
from typing import TYPE_CHECKING, Any

from imagesmith.sandbox.openstack.things import Group, Port
from imagesmith.sandbox.openstack.wire import Problem, moment, new_uuid
from imagesmith.sandbox.state import now

if TYPE_CHECKING:
    from imagesmith.sandbox.openstack.site import Site

Rule = dict[str, Any]

# What a client may say of a rule; all else is the service's own.
FIELDS = (
    "direction",
    "ethertype",
    "protocol",
    "port_range_min",
    "port_range_max",
    "remote_ip_prefix",
    "remote_group_id",
    "description",
)
_SSH_PORT = 22
_LAST_PORT = 65535
_ANY = (None, "any", "0", 0)


def default_group(site: "Site") -> Group:
    """The project's default group, which lets nobody in but its own members; made when first asked for."""
    for group in site.state.security_groups.values():
        if group.name == "default":
            return group
    group = Group(id=new_uuid(), name="default", description="Default security group")
    for ethertype in ("IPv4", "IPv6"):
        group.rules.append(new_rule(site, group, direction="egress", ethertype=ethertype))
        inside = {"direction": "ingress", "remote_group_id": group.id}
        group.rules.append(new_rule(site, group, ethertype=ethertype, **inside))
    site.state.save(group)
    return group


def new_group(site: "Site", name: str, description: str) -> Group:
    """A group that lets everything out and nothing in."""
    group = Group(id=new_uuid(), name=name, description=description)
    for ethertype in ("IPv4", "IPv6"):
        group.rules.append(new_rule(site, group, direction="egress", ethertype=ethertype))
    site.state.save(group)
    return group


def new_rule(site: "Site", group: Group, **said: Any) -> Rule:
    """A rule as Neutron shows it, not yet in the group."""
    moment_now = moment(now())
    return {
        "id": new_uuid(),
        **dict.fromkeys(FIELDS),
        "ethertype": "IPv4",
        "description": "",
        **said,
        "security_group_id": group.id,
        "tenant_id": site.facts.project_id,
        "project_id": site.facts.project_id,
        "remote_address_group_id": None,
        "created_at": moment_now,
        "updated_at": moment_now,
        "revision_number": 0,
        "tags": [],
    }


def checked_prefix(prefix: Any) -> str:
    """The network's address; raises Problem 400."""
    try:
        ipaddress.ip_network(str(prefix), strict=False)
    except ValueError:
        message = f"Invalid input for remote_ip_prefix. Reason: '{prefix}' is not a valid IP subnet."
        raise Problem(400, message, kind="HTTPBadRequest") from None
    return str(prefix)


def checked_port(port: Any) -> int | None:
    """A port's number, None for all; raises Problem 400."""
    if port is None or str(port) == "-1":
        return None
    if not str(port).isdigit() or int(port) > _LAST_PORT:
        raise Problem(400, f"Invalid value for port {port}", kind="SecurityGroupInvalidPortValue")
    return int(port)


def same(rule: Rule, other: Rule) -> bool:
    """True if the two let the same through."""
    return all(rule[name] == other[name] for name in FIELDS if name != "description")


def in_use(site: "Site", group: Group) -> bool:
    """True if a port has the group."""
    return any(group.id in port.group_ids for port in site.state.ports.values())


def permit_ssh(site: "Site", port: Port, caller: str) -> bool:
    """True if a rule of the port's groups lets the caller's address in to port 22."""
    groups = [site.state.security_groups.get(group_id) for group_id in port.group_ids]
    return any(_lets_in(rule, caller) for group in groups if group for rule in group.rules)


def _lets_in(rule: Rule, caller: str) -> bool:
    if rule["direction"] != "ingress" or rule["remote_group_id"]:
        return False
    if rule["protocol"] not in _ANY:
        if str(rule["protocol"]).lower() not in ("tcp", "6"):
            return False
        least, most = rule["port_range_min"], rule["port_range_max"]
        if least is not None and not int(least) <= _SSH_PORT <= int(most):
            return False
    network = ipaddress.ip_network(rule["remote_ip_prefix"] or "0.0.0.0/0", strict=False)
    return ipaddress.ip_address(caller) in network
