"""The one network and subnet that every account has from the start."""

from imagesmith.sandbox import config
from imagesmith.sandbox.cloud import Cloud
from imagesmith.sandbox.ec2_actions.port import Action, Answer, Parameters
from imagesmith.sandbox.ec2_query import by_ids, filtered, page

VPC_ID = "vpc-0a5bd0c5a5bd0c5a5"
SUBNET_ID = "subnet-0a5bd0c5a5bd0c5a5"
_CIDR = "172.31.0.0/16"

_VPC = {
    "vpcId": VPC_ID,
    "ownerId": config.OWNER_ID,
    "state": "available",
    "cidrBlock": _CIDR,
    "dhcpOptionsId": "default",
    "instanceTenancy": "default",
    "isDefault": True,
}
_SUBNET = {
    "subnetId": SUBNET_ID,
    "vpcId": VPC_ID,
    "ownerId": config.OWNER_ID,
    "state": "available",
    "cidrBlock": _CIDR,
    "availableIpAddressCount": 65000,
    "availabilityZone": config.ZONE,
    "availabilityZoneId": "use1-az1",
    "defaultForAz": True,
    "mapPublicIpOnLaunch": True,
}


def describe_vpcs(cloud: Cloud, parameters: Parameters) -> Answer:
    """The default network."""
    found = by_ids({VPC_ID: _VPC}, parameters.get("VpcId"), prefix="vpc")
    fields = {
        "vpc-id": lambda vpc: [VPC_ID],
        "isDefault": lambda vpc: ["true"],
        "is-default": lambda vpc: ["true"],
        "state": lambda vpc: ["available"],
        "owner-id": lambda vpc: [config.OWNER_ID],
        "cidr": lambda vpc: [_CIDR],
    }
    shown, token = page(parameters, filtered(found, parameters.get("Filter"), fields))
    return {"vpcSet": shown, "nextToken": token}


def describe_subnets(cloud: Cloud, parameters: Parameters) -> Answer:
    """The default subnet."""
    found = by_ids({SUBNET_ID: _SUBNET}, parameters.get("SubnetId"), prefix="subnet")
    fields = {
        "subnet-id": lambda subnet: [SUBNET_ID],
        "vpc-id": lambda subnet: [VPC_ID],
        "availability-zone": lambda subnet: [config.ZONE],
        "availabilityZone": lambda subnet: [config.ZONE],
        "default-for-az": lambda subnet: ["true"],
        "defaultForAz": lambda subnet: ["true"],
        "state": lambda subnet: ["available"],
        "owner-id": lambda subnet: [config.OWNER_ID],
    }
    shown, token = page(parameters, filtered(found, parameters.get("Filter"), fields))
    return {"subnetSet": shown, "nextToken": token}


ACTIONS: dict[str, Action] = {"DescribeVpcs": describe_vpcs, "DescribeSubnets": describe_subnets}
