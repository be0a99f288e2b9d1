"""RunInstances: everything that can be wrong is said before anything is made."""

import hashlib
import json
from typing import Any

from imagesmith.sandbox import config, seed
from imagesmith.sandbox.cloud import Cloud
from imagesmith.sandbox.ec2_actions import key_pairs, networks, security_groups
from imagesmith.sandbox.ec2_actions.instances import reservation
from imagesmith.sandbox.ec2_actions.port import Action, Answer, Parameters
from imagesmith.sandbox.ec2_actions.regions import instance_type
from imagesmith.sandbox.ec2_query import by_id, flag, listed, number, required, tags_for
from imagesmith.sandbox.ec2_wire import EC2Error
from imagesmith.sandbox.launching import Launch
from imagesmith.sandbox.state import Image, Instance

_MAX_USER_DATA_BYTES = 16 * 1024


def run_instances(cloud: Cloud, parameters: Parameters) -> Answer:
    """New instances, or those an earlier request with the same client token made."""
    before = _made_before(cloud, parameters)
    if before:
        return reservation(cloud, before)
    image = usable_image(cloud, required(parameters, "ImageId"))
    count = _count(cloud, parameters, image)
    disk_gib, keep_disk = _root_disk(parameters, image)
    request = Launch(
        image,
        instance_type(parameters.get("InstanceType", "m1.small")).name,
        count=count,
        key_name=_key_name(cloud, parameters),
        group_ids=_group_ids(cloud, parameters),
        user_data=_user_data(parameters),
        disk_gib=disk_gib,
        keep_disk=keep_disk,
        shutdown_behavior=_shutdown_behavior(parameters),
        client_token=parameters.get("ClientToken", ""),
        request_digest=_digest(parameters),
        instance_profile=_instance_profile(parameters),
        instance_tags=tags_for(parameters, "instance"),
        volume_tags=tags_for(parameters, "volume"),
    )
    return reservation(cloud, cloud.launch(request))


def usable_image(cloud: Cloud, image_id: str) -> Image:
    """The image, if it can be launched; raises what EC2 says of one that can't."""
    image = by_id(cloud.state.images, image_id, prefix="ami")
    if image.state != "available":
        message = f"The image ID '{image_id}' is not available: it is {image.state}"
        raise EC2Error("InvalidAMIID.Unavailable", message)
    return image


def _made_before(cloud: Cloud, parameters: Parameters) -> list[Instance]:
    token = parameters.get("ClientToken")
    if not token:
        return []
    before = [each for each in cloud.state.instances.values() if each.client_token == token]
    if before and before[0].request_digest != _digest(parameters):
        message = f"Arguments on this idempotent request ({token}) are inconsistent with the earlier ones"
        raise EC2Error("IdempotentParameterMismatch", message)
    return before


def _digest(parameters: Parameters) -> str:
    return hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()


def _count(cloud: Cloud, parameters: Parameters, image: Image) -> int:
    least = number(parameters, "MinCount", default=1)
    most = number(parameters, "MaxCount", default=1)
    if not 1 <= least <= most:
        raise EC2Error("InvalidParameterValue", f"MinCount {least} and MaxCount {most} are no range")
    if image.kind != "qemu":
        return most
    room = cloud.host.room()
    if room < least:
        message = f"You have requested more instances ({least}) than the {room} that your limit leaves."
        raise EC2Error("InstanceLimitExceeded", message)
    return min(most, room)


def _interfaces(parameters: Parameters) -> list[dict[str, Any]]:
    interfaces = listed(parameters.get("NetworkInterface"))
    if len(interfaces) > 1:
        raise EC2Error("AttachmentLimitExceeded", "The sandbox gives one network interface an instance")
    return interfaces


def _group_ids(cloud: Cloud, parameters: Parameters) -> list[str]:
    interfaces = _interfaces(parameters)
    ids = listed(parameters.get("SecurityGroupId"))
    subnets = listed(parameters.get("SubnetId"))
    if interfaces and (ids or subnets):
        message = "Network interfaces and an instance-level subnet or groups may not be given together"
        raise EC2Error("InvalidParameterCombination", message)
    for interface in interfaces:
        ids += listed(interface.get("SecurityGroupId"))
        subnets += listed(interface.get("SubnetId"))
    for subnet in subnets:
        by_id({networks.SUBNET_ID: subnet}, subnet, prefix="subnet")
    groups = [by_id(cloud.state.groups, group_id, prefix="sg") for group_id in ids]
    groups += [security_groups.named(cloud, name) for name in listed(parameters.get("SecurityGroup"))]
    return [group.id for group in groups or [security_groups.default_group(cloud)]]


def _key_name(cloud: Cloud, parameters: Parameters) -> str:
    name = parameters.get("KeyName", "")
    return key_pairs.named(cloud, name).name if name else ""


def _user_data(parameters: Parameters) -> str:
    text = str(parameters.get("UserData", ""))
    try:
        content = seed.decoded(text)
    except ValueError:
        raise EC2Error("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.") from None
    if len(content) > _MAX_USER_DATA_BYTES:
        raise EC2Error("InvalidParameterValue", f"User data is limited to {_MAX_USER_DATA_BYTES} bytes")
    return text


def _root_disk(parameters: Parameters, image: Image) -> tuple[int, bool]:
    size_gib, keep = image.disk_gib, False
    for mapping in listed(parameters.get("BlockDeviceMapping")):
        disk = mapping.get("Ebs") or {}
        if mapping.get("DeviceName") not in (config.ROOT_DEVICE, "/dev/sda1"):
            message = f"The sandbox has root disks ({config.ROOT_DEVICE}) only"
            raise EC2Error("InvalidBlockDeviceMapping", message)
        size_gib = number(disk, "VolumeSize", default=image.disk_gib)
        keep = not flag(disk.get("DeleteOnTermination"), default=True)
    if size_gib < image.disk_gib:
        message = f"Volume of size {size_gib}GB is smaller than snapshot, expect size >= {image.disk_gib}GB"
        raise EC2Error("InvalidBlockDeviceMapping", message)
    return size_gib, keep


def _shutdown_behavior(parameters: Parameters) -> str:
    behavior = str(parameters.get("InstanceInitiatedShutdownBehavior", "stop"))
    if behavior not in ("stop", "terminate"):
        message = f"Value ({behavior}) for parameter instanceInitiatedShutdownBehavior is invalid."
        raise EC2Error("InvalidParameterValue", message)
    return behavior


def _instance_profile(parameters: Parameters) -> str:
    profile = parameters.get("IamInstanceProfile") or {}
    return str(profile.get("Arn") or profile.get("Name") or "")


ACTIONS: dict[str, Action] = {"RunInstances": run_instances}
