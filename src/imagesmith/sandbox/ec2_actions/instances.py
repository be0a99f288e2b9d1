"""Instances: what they look like, and their way through their states."""

import base64
from collections.abc import Callable, Sequence
from typing import Any

from imagesmith.sandbox import config
from imagesmith.sandbox.cloud import Cloud
from imagesmith.sandbox.ec2_actions.networks import SUBNET_ID, VPC_ID
from imagesmith.sandbox.ec2_actions.port import DONE, Action, Answer, Parameters
from imagesmith.sandbox.ec2_actions.regions import instance_type
from imagesmith.sandbox.ec2_query import by_id, by_ids, filtered, flag, listed, page, required, tag_set
from imagesmith.sandbox.ec2_wire import EC2Error
from imagesmith.sandbox.state import Instance, now

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
_ID = ("InstanceId", "i")
_FIELDS: dict[str, Callable[[Any], list[str]]] = {
    "instance-id": lambda each: [each.id],
    "image-id": lambda each: [each.image_id],
    "instance-type": lambda each: [each.instance_type],
    "instance-state-name": lambda each: [state_of(each)],
    "instance-state-code": lambda each: [str(CODES[state_of(each)])],
    "key-name": lambda each: [each.key_name],
    "client-token": lambda each: [each.client_token],
    "reservation-id": lambda each: [each.reservation_id],
    "launch-time": lambda each: [each.created],
    "ip-address": lambda each: [each.address],
    "private-ip-address": lambda each: [each.private_address],
    "instance.group-id": lambda each: each.group_ids,
    "group-id": lambda each: each.group_ids,
    "vpc-id": lambda each: [VPC_ID],
    "subnet-id": lambda each: [SUBNET_ID],
    "availability-zone": lambda each: [config.ZONE],
    "owner-id": lambda each: [config.OWNER_ID],
    "architecture": lambda each: ["x86_64"],
    "root-device-type": lambda each: ["ebs"],
    "block-device-mapping.volume-id": lambda each: [each.volume_id],
}


def state_of(instance: Instance) -> str:
    """The state in EC2's words: while an image of it is saved, a rebooting instance is running."""
    return "running" if instance.state == "rebooting" else instance.state


def describe_instances(cloud: Cloud, parameters: Parameters) -> Answer:
    """Instances in their reservations."""
    found = by_ids(cloud.state.instances, parameters.get("InstanceId"), prefix="i")
    shown, token = page(parameters, filtered(found, parameters.get("Filter"), _FIELDS))
    by_reservation: dict[str, list[Instance]] = {}
    for instance in shown:
        by_reservation.setdefault(instance.reservation_id, []).append(instance)
    return {
        "reservationSet": [reservation(cloud, together) for together in by_reservation.values()],
        "nextToken": token,
    }


def reservation(cloud: Cloud, instances: Sequence[Instance]) -> dict[str, Any]:
    """The instances of one launch."""
    return {
        "reservationId": instances[0].reservation_id,
        "ownerId": config.OWNER_ID,
        "groupSet": [],
        "instancesSet": [_shown(cloud, instance) for instance in instances],
    }


def describe_instance_status(cloud: Cloud, parameters: Parameters) -> Answer:
    """Running instances, or all when asked, with checks that are passed as soon as they run."""
    found = by_ids(cloud.state.instances, parameters.get("InstanceId"), prefix="i")
    if not flag(parameters.get("IncludeAllInstances")):
        found = [instance for instance in found if state_of(instance) == "running"]
    shown, token = page(parameters, filtered(found, parameters.get("Filter"), _FIELDS))
    return {"instanceStatusSet": [_status(instance) for instance in shown], "nextToken": token}


def stop_instances(cloud: Cloud, parameters: Parameters) -> Answer:
    """Begins to power off."""
    force = flag(parameters.get("Force"))
    return _changed(cloud, parameters, lambda instance: cloud.stop(instance, force=force))


def start_instances(cloud: Cloud, parameters: Parameters) -> Answer:
    """Begins to boot what is stopped."""
    for instance in _asked_for(cloud, parameters):
        if instance.state == "stopping":
            raise _wrong_state(instance, "started")
    return _changed(cloud, parameters, cloud.start)


def reboot_instances(cloud: Cloud, parameters: Parameters) -> Answer:
    """Tells the machines to boot again."""
    for instance in _asked_for(cloud, parameters):
        if state_of(instance) != "running":
            raise _wrong_state(instance, "rebooted")
        cloud.reboot(instance)
    return DONE


def terminate_instances(cloud: Cloud, parameters: Parameters) -> Answer:
    """Begins to remove; an instance that is gone already is no error."""
    instances = _asked_for(cloud, parameters)
    for instance in instances:
        if instance.termination_protected:
            message = f"The instance '{instance.id}' may not be terminated: disableApiTermination is set"
            raise EC2Error("OperationNotPermitted", message)
    return _moved(instances, cloud.terminate)


def get_console_output(cloud: Cloud, parameters: Parameters) -> Answer:
    """The end of the console, in base64."""
    instance = by_id(cloud.state.instances, str(required(parameters, "InstanceId")), prefix="i")
    if flag(parameters.get("Latest")) and instance.instance_type.startswith(("m1", "t2")):
        message = "The latest output is for instance types of the nitro hypervisor only"
        raise EC2Error("UnsupportedOperation", message)
    output = base64.b64encode(cloud.console(instance)).decode()
    return {"instanceId": instance.id, "timestamp": now(), "output": output}


def describe_instance_attribute(cloud: Cloud, parameters: Parameters) -> Answer:
    """One attribute."""
    instance = by_id(cloud.state.instances, str(required(parameters, "InstanceId")), prefix="i")
    name = required(parameters, "Attribute")
    attributes: dict[str, Any] = {
        "userData": {"value": instance.user_data or None},
        "instanceType": {"value": instance.instance_type},
        "instanceInitiatedShutdownBehavior": {"value": instance.shutdown_behavior},
        "disableApiTermination": {"value": instance.termination_protected},
        "rootDeviceName": {"value": config.ROOT_DEVICE},
        "blockDeviceMapping": _disks(cloud, instance),
        "groupSet": [{"groupId": group_id} for group_id in instance.group_ids],
        "sourceDestCheck": {"value": True},
        "ebsOptimized": {"value": False},
        "enaSupport": {"value": True},
        "sriovNetSupport": {},
    }
    if name not in attributes:
        raise EC2Error("InvalidParameterValue", f"Value ({name}) for parameter attribute is invalid.")
    return {"instanceId": instance.id, name: attributes[name]}


def modify_instance_attribute(cloud: Cloud, parameters: Parameters) -> Answer:
    """Changes what can be changed; type and user data of stopped instances only."""
    instance = by_id(cloud.state.instances, str(required(parameters, "InstanceId")), prefix="i")
    wanted = dict(parameters)
    if parameters.get("Attribute"):  # the older form: Attribute=instanceType&Value=t3.small
        name = str(parameters["Attribute"])
        wanted[name[0].upper() + name[1:]] = {"Value": parameters.get("Value", "")}
    if "InstanceInitiatedShutdownBehavior" in wanted:
        instance.shutdown_behavior = wanted["InstanceInitiatedShutdownBehavior"]["Value"]
    if "DisableApiTermination" in wanted:
        instance.termination_protected = flag(wanted["DisableApiTermination"]["Value"])
    if "GroupId" in wanted:
        groups = [by_id(cloud.state.groups, each, prefix="sg") for each in listed(wanted["GroupId"])]
        instance.group_ids = [group.id for group in groups]
    if "InstanceType" in wanted or "UserData" in wanted:
        if instance.state != "stopped":
            raise _wrong_state(instance, "modified")
        instance.instance_type = instance_type(wanted.get("InstanceType", {}).get("Value", instance.instance_type)).name
        instance.user_data = wanted.get("UserData", {}).get("Value", instance.user_data)
    cloud.state.save(instance)
    return DONE


def _asked_for(cloud: Cloud, parameters: Parameters) -> list[Instance]:
    return by_ids(cloud.state.instances, required(parameters, _ID[0]), prefix=_ID[1])


def _changed(cloud: Cloud, parameters: Parameters, change: Callable[[Instance], None]) -> Answer:
    instances = _asked_for(cloud, parameters)
    for instance in instances:
        if instance.state in ("shutting-down", "terminated"):
            raise _wrong_state(instance, "stopped or started")
    return _moved(instances, change)


def _moved(instances: Sequence[Instance], change: Callable[[Instance], None]) -> Answer:
    changes = []
    for instance in instances:
        before = state_of(instance)
        change(instance)
        changes.append(
            {
                "instanceId": instance.id,
                "currentState": _state(state_of(instance)),
                "previousState": _state(before),
            }
        )
    return {"instancesSet": changes}


def _wrong_state(instance: Instance, verb: str) -> EC2Error:
    message = f"The instance '{instance.id}' is not in a state from which it can be {verb}: {instance.state}"
    return EC2Error("IncorrectInstanceState", message)


def _state(name: str) -> dict[str, Any]:
    return {"code": CODES[name], "name": name}


def _status(instance: Instance) -> dict[str, Any]:
    running = state_of(instance) == "running"
    check = {
        "status": "ok" if running else "not-applicable",
        "details": [{"name": "reachability", "status": "passed"}] if running else [],
    }
    return {
        "instanceId": instance.id,
        "availabilityZone": config.ZONE,
        "instanceState": _state(state_of(instance)),
        "systemStatus": check,
        "instanceStatus": check,
    }


def _shown(cloud: Cloud, instance: Instance) -> dict[str, Any]:
    gone = instance.state == "terminated"
    reason = instance.state_reason
    return {
        "instanceId": instance.id,
        "imageId": instance.image_id,
        "instanceState": _state(state_of(instance)),
        "stateReason": {"code": reason[0], "message": reason[1]} if reason else None,
        "reason": reason[1] if reason else "",
        "privateDnsName": "",
        "dnsName": "",
        "keyName": instance.key_name or None,
        "amiLaunchIndex": instance.launch_index,
        "productCodes": [],
        "instanceType": instance.instance_type,
        "launchTime": instance.created,
        "placement": {"availabilityZone": config.ZONE, "groupName": "", "tenancy": "default"},
        "monitoring": {"state": "disabled"},
        **({} if gone else _network(cloud, instance)),
        "architecture": "x86_64",
        "rootDeviceType": "ebs",
        "rootDeviceName": config.ROOT_DEVICE,
        "blockDeviceMapping": _disks(cloud, instance),
        "virtualizationType": "hvm",
        "clientToken": instance.client_token,
        "tagSet": tag_set(instance),
        "hypervisor": "xen",
        "ebsOptimized": False,
        "enaSupport": True,
        "iamInstanceProfile": {"arn": instance.instance_profile} if instance.instance_profile else None,
    }


def _network(cloud: Cloud, instance: Instance) -> dict[str, Any]:
    on = instance.state != "stopped"
    groups = [
        {"groupId": each, "groupName": cloud.state.groups[each].name if each in cloud.state.groups else ""}
        for each in instance.group_ids
    ]
    return {
        "subnetId": SUBNET_ID,
        "vpcId": VPC_ID,
        "privateIpAddress": instance.private_address,
        "ipAddress": instance.address if on else None,
        "sourceDestCheck": True,
        "groupSet": groups,
        "networkInterfaceSet": [_interface(instance, groups, on=on)],
    }


def _interface(instance: Instance, groups: list[dict[str, str]], *, on: bool) -> dict[str, Any]:
    suffix = instance.id.removeprefix("i-")
    return {
        "networkInterfaceId": f"eni-{suffix}",
        "subnetId": SUBNET_ID,
        "vpcId": VPC_ID,
        "ownerId": config.OWNER_ID,
        "status": "in-use",
        "privateIpAddress": instance.private_address,
        "groupSet": groups,
        "attachment": {
            "attachmentId": f"eni-attach-{suffix}",
            "deviceIndex": 0,
            "status": "attached",
            "deleteOnTermination": True,
        },
        "association": {"publicIp": instance.address, "ipOwnerId": "amazon"} if on else None,
    }


def _disks(cloud: Cloud, instance: Instance) -> list[dict[str, Any]]:
    volume = cloud.state.volumes.get(instance.volume_id)
    if volume is None or volume.instance_id != instance.id:
        return []
    return [
        {
            "deviceName": config.ROOT_DEVICE,
            "ebs": {
                "volumeId": volume.id,
                "status": "attached",
                "attachTime": instance.created,
                "deleteOnTermination": volume.delete_on_termination,
            },
        }
    ]


ACTIONS: dict[str, Action] = {
    "DescribeInstances": describe_instances,
    "DescribeInstanceStatus": describe_instance_status,
    "DescribeInstanceAttribute": describe_instance_attribute,
    "ModifyInstanceAttribute": modify_instance_attribute,
    "StopInstances": stop_instances,
    "StartInstances": start_instances,
    "RebootInstances": reboot_instances,
    "TerminateInstances": terminate_instances,
    "GetConsoleOutput": get_console_output,
}
