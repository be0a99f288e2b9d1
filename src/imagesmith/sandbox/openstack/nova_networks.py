"""Havana's Nova did the networks itself: floating addresses, security groups and networks under its own paths."""

from typing import Any

from imagesmith.sandbox.openstack import addresses, groups
from imagesmith.sandbox.openstack.things import FloatingIP, Group
from imagesmith.sandbox.openstack.wire import Call, Document, Problem, Reply, Rule

_POOL = "public"


def list_floating_ips(call: Call) -> Reply:
    """The project's addresses."""
    return Reply({"floating_ips": [_floating(call, each) for each in call.site.state.floating_ips.values()]})


def create_floating_ip(call: Call) -> Reply:
    """A new address of the one pool."""
    pool = (call.body or {}).get("pool")
    if pool not in (None, _POOL):
        raise Problem(404, f"Floating ip pool {pool} not found.")
    floating = addresses.allocate(call.site)
    if floating is None:
        raise Problem(413, "Quota exceeded: Maximum number of floating ips exceeded")
    return Reply({"floating_ip": _floating(call, floating)})


def show_floating_ip(call: Call) -> Reply:
    """One address."""
    return Reply({"floating_ip": _floating(call, _asked_floating(call))})


def delete_floating_ip(call: Call) -> Reply:
    """Given back."""
    addresses.release(call.site, _asked_floating(call))
    return Reply(status=202)


def list_pools(call: Call) -> Reply:
    """One."""
    return Reply({"floating_ip_pools": [{"name": _POOL}]})


def list_networks(call: Call) -> Reply:
    """What a server can be put on."""
    return Reply({"networks": [_network(each) for each in addresses.usable_networks(call.site)]})


def show_network(call: Call) -> Reply:
    """One network."""
    network = addresses.network(call.site, call.parameters["network_id"])
    if network is None or network not in addresses.usable_networks(call.site):
        raise Problem(404, "Network not found")
    return Reply({"network": _network(network)})


def list_groups(call: Call) -> Reply:
    """Groups with their rules."""
    groups.default_group(call.site)
    return Reply({"security_groups": [_group(call, each) for each in call.site.state.security_groups.values()]})


def create_group(call: Call) -> Reply:
    """A group that lets nothing in."""
    wanted = call.document("security_group")
    name = str(wanted.get("name") or "").strip()
    groups.default_group(call.site)
    if not name or any(each.name == name for each in call.site.state.security_groups.values()):
        raise Problem(400, f"Security group {name} already exists" if name else "Security group name is missing")
    made = groups.new_group(call.site, name, str(wanted.get("description") or ""))
    return Reply({"security_group": _group(call, made)})


def show_group(call: Call) -> Reply:
    """One group."""
    return Reply({"security_group": _group(call, _asked_group(call.site.state.security_groups, call))})


def delete_group(call: Call) -> Reply:
    """Gone, unless a server has it."""
    group = _asked_group(call.site.state.security_groups, call)
    if group.name == "default" or groups.in_use(call.site, group):
        raise Problem(400, f"Security group {group.id} is in use or may not be deleted")
    call.site.state.remove(group)
    return Reply(status=202)


def create_rule(call: Call) -> Reply:
    """One more rule for what comes in."""
    wanted = call.document("security_group_rule")
    group = call.site.state.security_groups.get(str(wanted.get("parent_group_id")))
    if group is None:
        raise Problem(404, f"Security group {wanted.get('parent_group_id')} not found.")
    group_id, cidr = wanted.get("group_id"), wanted.get("cidr")
    rule = groups.new_rule(
        call.site,
        group,
        direction="ingress",
        protocol=str(wanted.get("ip_protocol") or "tcp").lower(),
        port_range_min=groups.checked_port(wanted.get("from_port")),
        port_range_max=groups.checked_port(wanted.get("to_port")),
        remote_ip_prefix=None if group_id else groups.checked_prefix(cidr or "0.0.0.0/0"),
        remote_group_id=group_id,
    )
    if any(groups.same(rule, other) for other in group.rules):
        raise Problem(400, f"This rule already exists in group {group.id}")
    group.rules.append(rule)
    call.site.state.save(group)
    return Reply({"security_group_rule": _rule(call, rule)})


def delete_rule(call: Call) -> Reply:
    """One less."""
    for group in call.site.state.security_groups.values():
        for rule in group.rules:
            if rule["id"] == call.parameters["rule_id"]:
                group.rules.remove(rule)
                call.site.state.save(group)
                return Reply(status=202)
    raise Problem(404, f"Rule ({call.parameters['rule_id']}) not found")


def _asked_floating(call: Call) -> FloatingIP:
    try:
        return call.site.state.floating_ips[call.parameters["floating_id"]]
    except KeyError:
        raise Problem(404, f"Floating ip not found for id {call.parameters['floating_id']}") from None


def _asked_group(known: dict[str, Group], call: Call) -> Group:
    try:
        return known[call.parameters["group_id"]]
    except KeyError:
        raise Problem(404, f"Security group {call.parameters['group_id']} not found.") from None


def _floating(call: Call, floating: FloatingIP) -> Document:
    port = call.site.state.ports.get(floating.port_id)
    return {
        "id": floating.id,
        "ip": floating.address,
        "pool": _POOL,
        "instance_id": port.server_id if port else None,
        "fixed_ip": port.fixed_address if port else None,
    }


def _network(network: addresses.Network) -> Document:
    return {"id": network.id, "label": network.name, "cidr": network.cidr}


def _group(call: Call, group: Group) -> Document:
    incoming = [_rule(call, rule) for rule in group.rules if rule["direction"] == "ingress"]
    return {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "tenant_id": call.site.facts.project_id,
        "rules": incoming,
    }


def _rule(call: Call, rule: dict[str, Any]) -> Document:
    source = call.site.state.security_groups.get(str(rule["remote_group_id"]))
    named = {"name": source.name, "tenant_id": call.site.facts.project_id} if source else {}
    return {
        "id": rule["id"],
        "parent_group_id": rule["security_group_id"],
        "ip_protocol": rule["protocol"],
        "from_port": rule["port_range_min"],
        "to_port": rule["port_range_max"],
        "ip_range": {"cidr": rule["remote_ip_prefix"]} if rule["remote_ip_prefix"] else {},
        "group": named,
    }


RULES = (
    Rule("GET", "/os-floating-ips", list_floating_ips),
    Rule("POST", "/os-floating-ips", create_floating_ip),
    Rule("GET", "/os-floating-ips/{floating_id}", show_floating_ip),
    Rule("DELETE", "/os-floating-ips/{floating_id}", delete_floating_ip),
    Rule("GET", "/os-floating-ip-pools", list_pools),
    Rule("GET", "/os-networks", list_networks),
    Rule("GET", "/os-networks/{network_id}", show_network),
    Rule("GET", "/os-tenant-networks", list_networks),
    Rule("GET", "/os-tenant-networks/{network_id}", show_network),
    Rule("GET", "/os-security-groups", list_groups),
    Rule("POST", "/os-security-groups", create_group),
    Rule("GET", "/os-security-groups/{group_id}", show_group),
    Rule("DELETE", "/os-security-groups/{group_id}", delete_group),
    Rule("POST", "/os-security-group-rules", create_rule),
    Rule("DELETE", "/os-security-group-rules/{rule_id}", delete_rule),
)
