"""Security groups. One entry is kept per rule and source, as EC2's own rule ids do."""

import ipaddress
from collections.abc import Iterator
from typing import Any

from imagesmith.sandbox import config
from imagesmith.sandbox.cloud import Cloud
from imagesmith.sandbox.ec2_actions.networks import VPC_ID
from imagesmith.sandbox.ec2_actions.port import DONE, Action, Answer, Parameters
from imagesmith.sandbox.ec2_query import by_id, by_ids, filtered, listed, page, required, tag_set, tags_for
from imagesmith.sandbox.ec2_wire import EC2Error
from imagesmith.sandbox.state import SecurityGroup, new_id

Rule = dict[str, Any]

_EVERYTHING: Rule = {"protocol": "-1", "from": None, "to": None, "source": "0.0.0.0/0"}
_FIELDS = {
    "group-id": lambda group: [group.id],
    "group-name": lambda group: [group.name],
    "description": lambda group: [group.description],
    "vpc-id": lambda group: [VPC_ID],
    "owner-id": lambda group: [config.OWNER_ID],
    "ip-permission.cidr": lambda group: [rule["source"] for rule in group.ingress],
    "ip-permission.from-port": lambda group: [str(rule["from"]) for rule in group.ingress],
    "ip-permission.to-port": lambda group: [str(rule["to"]) for rule in group.ingress],
    "ip-permission.protocol": lambda group: [rule["protocol"] for rule in group.ingress],
}


def default_group(cloud: Cloud) -> SecurityGroup:
    """The group of instances that name none; made when first asked for."""
    for group in cloud.state.groups.values():
        if group.name == "default":
            return group
    group = SecurityGroup(
        id=new_id("sg"), name="default", description="default VPC security group", egress=[dict(_EVERYTHING)]
    )
    cloud.state.save(group)
    return group


def describe_security_groups(cloud: Cloud, parameters: Parameters) -> Answer:
    """Groups with their rules."""
    default_group(cloud)
    names = listed(parameters.get("GroupName"))
    found = by_ids(cloud.state.groups, parameters.get("GroupId"), prefix="sg")
    if names:
        found = [named(cloud, name) for name in names]
    shown, token = page(parameters, filtered(found, parameters.get("Filter"), _FIELDS))
    return {"securityGroupInfo": [_shown(group) for group in shown], "nextToken": token}


def create_security_group(cloud: Cloud, parameters: Parameters) -> Answer:
    """An empty group: nothing in, everything out."""
    name = required(parameters, "GroupName")
    description = required(parameters, "GroupDescription")
    if parameters.get("VpcId"):
        by_id({VPC_ID: VPC_ID}, parameters["VpcId"], prefix="vpc")
    default_group(cloud)
    if any(group.name == name for group in cloud.state.groups.values()):
        message = f"The security group '{name}' already exists for VPC '{VPC_ID}'"
        raise EC2Error("InvalidGroup.Duplicate", message)
    group = SecurityGroup(
        id=new_id("sg"),
        name=name,
        description=description,
        egress=[dict(_EVERYTHING)],
        tags=tags_for(parameters, "security-group"),
    )
    cloud.state.save(group)
    return {"return": True, "groupId": group.id, "tagSet": tag_set(group)}


def delete_security_group(cloud: Cloud, parameters: Parameters) -> Answer:
    """Gone, unless an instance has it."""
    group = _asked_for(cloud, parameters)
    if group.name == "default":
        raise EC2Error("CannotDelete", f'the specified group: "{group.id}" name: "default" cannot be deleted')
    for instance in cloud.state.instances.values():
        if group.id in instance.group_ids and instance.state != "terminated":
            raise EC2Error("DependencyViolation", f"resource {group.id} has a dependent object")
    cloud.state.remove(group)
    return {"return": True, "groupId": group.id}


def authorize_ingress(cloud: Cloud, parameters: Parameters) -> Answer:
    """Rules for traffic to the instances."""
    group = _asked_for(cloud, parameters)
    return _authorized(cloud, group, group.ingress, parameters, egress=False)


def authorize_egress(cloud: Cloud, parameters: Parameters) -> Answer:
    """Rules for traffic from the instances."""
    group = _asked_for(cloud, parameters)
    return _authorized(cloud, group, group.egress, parameters, egress=True)


def revoke_ingress(cloud: Cloud, parameters: Parameters) -> Answer:
    """Takes rules for traffic to the instances away."""
    group = _asked_for(cloud, parameters)
    return _revoked(cloud, group, group.ingress, parameters)


def revoke_egress(cloud: Cloud, parameters: Parameters) -> Answer:
    """Takes rules for traffic from the instances away."""
    group = _asked_for(cloud, parameters)
    return _revoked(cloud, group, group.egress, parameters)


def named(cloud: Cloud, name: str) -> SecurityGroup:
    """The group of this name; raises InvalidGroup.NotFound."""
    for group in cloud.state.groups.values():
        if group.name == name:
            return group
    raise EC2Error("InvalidGroup.NotFound", f"The security group '{name}' does not exist")


def _asked_for(cloud: Cloud, parameters: Parameters) -> SecurityGroup:
    if parameters.get("GroupId"):
        return by_id(cloud.state.groups, parameters["GroupId"], prefix="sg")
    return named(cloud, required(parameters, "GroupName"))


def _authorized(
    cloud: Cloud, group: SecurityGroup, rules: list[Rule], parameters: Parameters, *, egress: bool
) -> Answer:
    wanted = list(_rules(parameters))
    for rule in wanted:
        if any(_same(rule, other) for other in rules):
            raise EC2Error("InvalidPermission.Duplicate", f'the specified rule "{rule}" already exists')
    for rule in wanted:
        rule["id"] = new_id("sgr")
    rules.extend(wanted)
    cloud.state.save(group)
    shown = [_shown_rule(rule, group, egress=egress) for rule in wanted]
    return {"return": True, "securityGroupRuleSet": shown}


def _revoked(cloud: Cloud, group: SecurityGroup, rules: list[Rule], parameters: Parameters) -> Answer:
    for rule in list(_rules(parameters)):
        kept = [other for other in rules if not _same(rule, other)]
        if len(kept) == len(rules):
            message = "The specified rule does not exist in this security group."
            raise EC2Error("InvalidPermission.NotFound", message)
        rules[:] = kept
    cloud.state.save(group)
    return DONE


def _rules(parameters: Parameters) -> Iterator[Rule]:
    permissions = listed(parameters.get("IpPermissions"))
    if not permissions and parameters.get("CidrIp"):
        one = {name: parameters.get(name) for name in ("IpProtocol", "FromPort", "ToPort")}
        permissions = [{**one, "IpRanges": [{"CidrIp": parameters["CidrIp"]}]}]
    if not permissions:
        raise EC2Error("MissingParameter", "The request must contain the parameter IpPermissions")
    for permission in permissions:
        ports = [_port(permission.get(end)) for end in ("FromPort", "ToPort")]
        head = {"protocol": permission.get("IpProtocol", "-1"), "from": ports[0], "to": ports[1]}
        for source, description in _sources(permission):
            yield {**head, "source": source, "description": description}


def _sources(permission: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for each in listed(permission.get("IpRanges")):
        yield _network(each.get("CidrIp", "")), each.get("Description", "")
    for each in listed(permission.get("Ipv6Ranges")):
        yield _network(each.get("CidrIpv6", "")), each.get("Description", "")
    for each in listed(permission.get("Groups") or permission.get("UserIdGroupPairs")):
        yield each.get("GroupId", ""), each.get("Description", "")


def _network(cidr: str) -> str:
    try:
        ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        raise EC2Error("InvalidParameterValue", f"CIDR block {cidr} is malformed") from None
    return cidr


def _port(value: Any) -> int | None:
    if value is None:
        return None
    try:
        return int(value)
    except ValueError:
        raise EC2Error("InvalidParameterValue", f"Invalid value '{value}' for portRange.") from None


def _same(rule: Rule, other: Rule) -> bool:
    return all(rule[key] == other[key] for key in ("protocol", "from", "to", "source"))


def _shown(group: SecurityGroup) -> dict[str, Any]:
    return {
        "ownerId": config.OWNER_ID,
        "groupId": group.id,
        "groupName": group.name,
        "groupDescription": group.description,
        "vpcId": VPC_ID,
        "ipPermissions": _permissions(group.ingress),
        "ipPermissionsEgress": _permissions(group.egress),
        "tagSet": tag_set(group),
    }


def _permissions(rules: list[Rule]) -> list[dict[str, Any]]:
    permissions: dict[tuple[Any, ...], dict[str, Any]] = {}
    for rule in rules:
        head = (rule["protocol"], rule["from"], rule["to"])
        shown = permissions.setdefault(
            head,
            {
                **dict(zip(("ipProtocol", "fromPort", "toPort"), head, strict=True)),
                **{kind: [] for kind in ("groups", "ipRanges", "ipv6Ranges", "prefixListIds")},
            },
        )
        kind, key = _kind_of(rule["source"])
        shown[kind].append({key: rule["source"], "description": rule.get("description") or None})
    return list(permissions.values())


def _kind_of(source: str) -> tuple[str, str]:
    if source.startswith("sg-"):
        return "groups", "groupId"
    return ("ipv6Ranges", "cidrIpv6") if ":" in source else ("ipRanges", "cidrIp")


def _shown_rule(rule: Rule, group: SecurityGroup, *, egress: bool) -> dict[str, Any]:
    key = {"groups": "groupId", "ipRanges": "cidrIpv4", "ipv6Ranges": "cidrIpv6"}[_kind_of(rule["source"])[0]]
    return {
        "securityGroupRuleId": rule["id"],
        "groupId": group.id,
        "groupOwnerId": config.OWNER_ID,
        "isEgress": egress,
        "ipProtocol": rule["protocol"],
        "fromPort": rule["from"],
        "toPort": rule["to"],
        key: rule["source"],
        "description": rule["description"] or None,
    }


ACTIONS: dict[str, Action] = {
    "DescribeSecurityGroups": describe_security_groups,
    "CreateSecurityGroup": create_security_group,
    "DeleteSecurityGroup": delete_security_group,
    "AuthorizeSecurityGroupIngress": authorize_ingress,
    "AuthorizeSecurityGroupEgress": authorize_egress,
    "RevokeSecurityGroupIngress": revoke_ingress,
    "RevokeSecurityGroupEgress": revoke_egress,
}
