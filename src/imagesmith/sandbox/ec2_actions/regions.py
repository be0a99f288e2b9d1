"""Regions, zones, account attributes and instance types: what never changes."""

from typing import Any

from imagesmith.sandbox import config
from imagesmith.sandbox.cloud import Cloud
from imagesmith.sandbox.config import InstanceType
from imagesmith.sandbox.ec2_actions.port import Action, Answer, Parameters
from imagesmith.sandbox.ec2_query import filtered, listed, page
from imagesmith.sandbox.ec2_wire import EC2Error

_ACCOUNT = {
    "supported-platforms": "VPC",
    "default-vpc": "vpc-0a5bd0c5a5bd0c5a5",
    "max-instances": "20",
    "vpc-max-security-groups-per-interface": "5",
}


def describe_regions(cloud: Cloud, parameters: Parameters) -> Answer:
    """One region."""
    names = listed(parameters.get("RegionName")) or [config.REGION]
    for name in names:
        if name != config.REGION:
            raise EC2Error("InvalidParameterValue", f"Invalid region name: {name}")
    fields = {
        "region-name": lambda name: [name],
        "endpoint": lambda name: [cloud.endpoint],
        "opt-in-status": lambda name: ["opt-in-not-required"],
    }
    found = filtered(names, parameters.get("Filter"), fields)
    return {
        "regionInfo": [
            {"regionName": name, "regionEndpoint": cloud.endpoint, "optInStatus": "opt-in-not-required"}
            for name in found
        ]
    }


def describe_availability_zones(cloud: Cloud, parameters: Parameters) -> Answer:
    """One zone."""
    names = listed(parameters.get("ZoneName")) or [config.ZONE]
    for name in names:
        if name != config.ZONE:
            raise EC2Error("InvalidParameterValue", f"Invalid availability zone: [{name}]")
    fields = {
        "zone-name": lambda name: [name],
        "region-name": lambda name: [config.REGION],
        "state": lambda name: ["available"],
    }
    found = filtered(names, parameters.get("Filter"), fields)
    zone = {"zoneState": "available", "regionName": config.REGION, "zoneId": "use1-az1", "messageSet": []}
    return {"availabilityZoneInfo": [{"zoneName": name, **zone} for name in found]}


def describe_account_attributes(cloud: Cloud, parameters: Parameters) -> Answer:
    """What kind of account this is."""
    wanted = listed(parameters.get("AttributeName")) or list(_ACCOUNT)
    return {
        "accountAttributeSet": [
            {"attributeName": name, "attributeValueSet": [{"attributeValue": _ACCOUNT[name]}]}
            for name in wanted
            if name in _ACCOUNT
        ]
    }


def instance_type(name: str) -> InstanceType:
    """The type of this name; raises as EC2 does."""
    try:
        return config.INSTANCE_TYPES[name]
    except KeyError:
        known = ", ".join(config.INSTANCE_TYPES)
        raise EC2Error(
            "InvalidParameterValue", f"Invalid value '{name}' for InstanceType. The sandbox has {known}."
        ) from None


def describe_instance_types(cloud: Cloud, parameters: Parameters) -> Answer:
    """The types the sandbox offers."""
    names = listed(parameters.get("InstanceType")) or list(config.INSTANCE_TYPES)
    for name in names:
        if name not in config.INSTANCE_TYPES:
            raise EC2Error("InvalidInstanceType", f"The following supplied instance type does not exist: [{name}]")
    fields = {
        "instance-type": lambda each: [each.name],
        "processor-info.supported-architecture": lambda each: ["x86_64"],
        "current-generation": lambda each: ["true"],
        "vcpu-info.default-vcpus": lambda each: [str(each.vcpus)],
        "memory-info.size-in-mib": lambda each: [str(each.memory_mib)],
    }
    found = filtered([instance_type(name) for name in names], parameters.get("Filter"), fields)
    shown, token = page(parameters, found)
    return {"instanceTypeSet": [_type(each) for each in shown], "nextToken": token}


def describe_instance_type_offerings(cloud: Cloud, parameters: Parameters) -> Answer:
    """Every type is offered everywhere."""
    kind = parameters.get("LocationType", "region")
    place = config.ZONE if kind == "availability-zone" else config.REGION
    fields = {"instance-type": lambda each: [each.name], "location": lambda each: [place]}
    found = filtered(config.INSTANCE_TYPES.values(), parameters.get("Filter"), fields)
    shown, token = page(parameters, found)
    offers = [{"instanceType": each.name, "locationType": kind, "location": place} for each in shown]
    return {"instanceTypeOfferingSet": offers, "nextToken": token}


def _type(each: InstanceType) -> dict[str, Any]:
    return {
        "instanceType": each.name,
        "currentGeneration": True,
        "freeTierEligible": False,
        "supportedUsageClasses": ["on-demand"],
        "supportedRootDeviceTypes": ["ebs"],
        "supportedVirtualizationTypes": ["hvm"],
        "bareMetal": False,
        "hypervisor": "xen" if each.name.startswith(("m1", "t2")) else "nitro",
        "processorInfo": {"supportedArchitectures": ["x86_64"]},
        "vCpuInfo": {"defaultVCpus": each.vcpus, "defaultCores": each.vcpus, "defaultThreadsPerCore": 1},
        "memoryInfo": {"sizeInMiB": each.memory_mib},
        "networkInfo": {"maximumNetworkInterfaces": 1, "enaSupport": "supported"},
        "burstablePerformanceSupported": each.name.startswith("t"),
        "supportedBootModes": ["legacy-bios"],
    }


ACTIONS: dict[str, Action] = {
    "DescribeRegions": describe_regions,
    "DescribeAvailabilityZones": describe_availability_zones,
    "DescribeAccountAttributes": describe_account_attributes,
    "DescribeInstanceTypes": describe_instance_types,
    "DescribeInstanceTypeOfferings": describe_instance_type_offerings,
}
