"""Neutron: security groups and their rules."""

from typing import Any

from imagesmith.sandbox.openstack import groups
from imagesmith.sandbox.openstack.neutron import missing
from imagesmith.sandbox.openstack.neutron_query import listed
from imagesmith.sandbox.openstack.things import Group
from imagesmith.sandbox.openstack.wire import Call, Document, Problem, Reply, Rule, moment

_PROTOCOLS = (None, "any", "tcp", "udp", "icmp", "icmpv6", "ipv6-icmp", *map(str, range(256)))


def list_groups(call: Call) -> Reply:
    """Groups with their rules."""
    groups.default_group(call.site)
    found = [_shown(call, group) for group in call.site.state.security_groups.values()]
    return Reply({"security_groups": listed(call, found)})


def create_group(call: Call) -> Reply:
    """A group that lets everything out and nothing in; names need not be unique."""
    wanted = call.document("security_group")
    name = str(wanted.get("name") or "")
    groups.default_group(call.site)
    if name.lower() == "default":
        message = "Default security group already exists."
        raise Problem(409, message, kind="SecurityGroupDefaultAlreadyExists")
    _refuse_unknown(wanted, ("name", "description", "stateful", "tenant_id", "project_id"))
    group = groups.new_group(call.site, name, str(wanted.get("description") or ""))
    return Reply({"security_group": _shown(call, group)}, 201)


def show_group(call: Call) -> Reply:
    """One group."""
    return Reply({"security_group": _shown(call, _group_of(call, call.parameters["group_id"]))})


def update_group(call: Call) -> Reply:
    """A new name or description."""
    group, wanted = _group_of(call, call.parameters["group_id"]), call.document("security_group")
    group.name = str(wanted.get("name", group.name))
    group.description = str(wanted.get("description", group.description))
    call.site.state.save(group)
    return Reply({"security_group": _shown(call, group)})


def delete_group(call: Call) -> Reply:
    """Gone, unless a port has it."""
    group = _group_of(call, call.parameters["group_id"])
    if group.name == "default":
        message = "Insufficient rights for removing default security group."
        raise Problem(409, message, kind="SecurityGroupCannotRemoveDefault")
    if groups.in_use(call.site, group):
        raise Problem(409, f"Security Group {group.id} in use.", kind="SecurityGroupInUse")
    call.site.state.remove(group)
    return Reply(status=204)


def list_rules(call: Call) -> Reply:
    """The rules of all groups."""
    found = [rule for group in call.site.state.security_groups.values() for rule in group.rules]
    return Reply({"security_group_rules": listed(call, found)})


def create_rule(call: Call) -> Reply:
    """One more rule."""
    wanted = call.document("security_group_rule")
    _refuse_unknown(wanted, (*groups.FIELDS, "security_group_id", "tenant_id", "project_id"))
    group = _group_of(call, str(wanted.get("security_group_id")))
    rule = groups.new_rule(call.site, group, **_said(call, wanted))
    for other in group.rules:
        if groups.same(rule, other):
            message = f"Security group rule already exists. Rule id is {other['id']}."
            raise Problem(409, message, kind="SecurityGroupRuleExists")
    group.rules.append(rule)
    call.site.state.save(group)
    return Reply({"security_group_rule": rule}, 201)


def show_rule(call: Call) -> Reply:
    """One rule."""
    return Reply({"security_group_rule": _rule_of(call)[1]})


def delete_rule(call: Call) -> Reply:
    """One less."""
    group, rule = _rule_of(call)
    group.rules.remove(rule)
    call.site.state.save(group)
    return Reply(status=204)


def _said(call: Call, wanted: Document) -> Document:
    """The rule's own words, checked as Neutron checks them."""
    direction, protocol = wanted.get("direction"), wanted.get("protocol")
    if direction not in ("ingress", "egress"):
        raise Problem(400, f"Invalid input for direction. Reason: '{direction}' is not in ['ingress', 'egress'].")
    if (protocol if protocol is None else str(protocol).lower()) not in _PROTOCOLS:
        message = f"Security group rule protocol {protocol} not supported."
        raise Problem(400, message, kind="SecurityGroupRuleInvalidProtocol")
    least, most = (groups.checked_port(wanted.get(f"port_range_{end}")) for end in ("min", "max"))
    if (least is None) != (most is None) or (least is not None and most is not None and least > most):
        message = "For TCP/UDP protocols, port_range_min must be <= port_range_max"
        raise Problem(400, message, kind="SecurityGroupInvalidPortRange")
    if least is not None and protocol is None:
        message = "Must also specify protocol if port range is given."
        raise Problem(400, message, kind="SecurityGroupProtocolRequiredWithPorts")
    prefix, source = wanted.get("remote_ip_prefix"), wanted.get("remote_group_id")
    if prefix and source:
        message = "Only remote_ip_prefix or remote_group_id may be provided."
        raise Problem(400, message, kind="SecurityGroupRemoteGroupAndRemoteIpPrefix")
    return {
        "direction": direction,
        "ethertype": wanted.get("ethertype") or "IPv4",
        "protocol": protocol,
        "port_range_min": least,
        "port_range_max": most,
        "remote_ip_prefix": groups.checked_prefix(prefix) if prefix else None,
        "remote_group_id": _group_of(call, str(source)).id if source else None,
        "description": wanted.get("description") or "",
    }


def _refuse_unknown(wanted: Document, known: tuple[str, ...]) -> None:
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise Problem(400, f"Unrecognized attribute(s) '{', '.join(unknown)}'", kind="HTTPBadRequest")


def _group_of(call: Call, group_id: str) -> Group:
    groups.default_group(call.site)
    try:
        return call.site.state.security_groups[group_id]
    except KeyError:
        message = f"Security group {group_id} does not exist"
        raise Problem(404, message, kind="SecurityGroupNotFound") from None


def _rule_of(call: Call) -> tuple[Group, dict[str, Any]]:
    for group in call.site.state.security_groups.values():
        for rule in group.rules:
            if rule["id"] == call.parameters["rule_id"]:
                return group, rule
    raise missing("Security Group Rule", call.parameters["rule_id"])


def _shown(call: Call, group: Group) -> Document:
    project = call.site.facts.project_id
    return {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "stateful": True,
        "shared": False,
        "tenant_id": project,
        "project_id": project,
        "tags": list(group.tags),
        "created_at": moment(group.created),
        "updated_at": moment(group.created),
        "revision_number": 1,
        "security_group_rules": group.rules,
    }


RULES = (
    Rule("GET", "/security-groups", list_groups),
    Rule("POST", "/security-groups", create_group),
    Rule("GET", "/security-groups/{group_id}", show_group),
    Rule("PUT", "/security-groups/{group_id}", update_group),
    Rule("DELETE", "/security-groups/{group_id}", delete_group),
    Rule("GET", "/security-group-rules", list_rules),
    Rule("POST", "/security-group-rules", create_rule),
    Rule("GET", "/security-group-rules/{rule_id}", show_rule),
    Rule("DELETE", "/security-group-rules/{rule_id}", delete_rule),
)
