"""Images."""

import re
from collections.abc import Callable
from typing import Any

from imagesmith.sandbox import config
from imagesmith.sandbox.cloud import Cloud
from imagesmith.sandbox.ec2_actions.port import DONE, Action, Answer, Parameters
from imagesmith.sandbox.ec2_query import (
    by_id,
    by_ids,
    filtered,
    flag,
    listed,
    page,
    required,
    tag_set,
    tags_for,
)
from imagesmith.sandbox.ec2_wire import EC2Error
from imagesmith.sandbox.state import Image

# EC2's own words: 3-128 alphanumerics, parentheses, brackets, space, period, slash, dash, quote, @, underscore.
_NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}")
_FIELDS: dict[str, Callable[[Any], list[str]]] = {
    "image-id": lambda image: [image.id],
    "name": lambda image: [image.name],
    "description": lambda image: [image.description],
    "state": lambda image: [image.state],
    "owner-id": lambda image: [image.owner],
    "is-public": lambda image: [str(image.public).lower()],
    "creation-date": lambda image: [image.created],
    "architecture": lambda image: ["x86_64"],
    "image-type": lambda image: ["machine"],
    "root-device-type": lambda image: ["ebs"],
    "root-device-name": lambda image: [config.ROOT_DEVICE],
    "virtualization-type": lambda image: ["hvm"],
    "hypervisor": lambda image: ["xen"],
    "ena-support": lambda image: ["true"],
    "block-device-mapping.snapshot-id": lambda image: [image.snapshot_id],
    "source-instance-id": lambda image: [image.source_instance_id],
}


def create_image(cloud: Cloud, parameters: Parameters) -> Answer:
    """An image in state pending; its name must be free in the account."""
    instance = by_id(cloud.state.instances, str(required(parameters, "InstanceId")), prefix="i")
    name = str(required(parameters, "Name"))
    if not _NAME.fullmatch(name):
        message = "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, "
        raise EC2Error("InvalidAMIName.Malformed", message + "'(', ')', '.', '-', '/' and '_'")
    for image in cloud.state.images.values():
        if image.name == name and image.owner == config.OWNER_ID:
            message = f"AMI name {name} is already in use by AMI {image.id}"
            raise EC2Error("InvalidAMIName.Duplicate", message)
    if instance.state not in ("running", "stopped", "stopping"):
        message = f"The instance '{instance.id}' is not in a state from which it can be saved: {instance.state}"
        raise EC2Error("IncorrectState", message)
    image = cloud.create_image(
        instance,
        name,
        description=parameters.get("Description", ""),
        reboot=not flag(parameters.get("NoReboot")),
        image_tags=tags_for(parameters, "image"),
        snapshot_tags=tags_for(parameters, "snapshot"),
    )
    return {"imageId": image.id}


def describe_images(cloud: Cloud, parameters: Parameters) -> Answer:
    """The account's images, public ones, and those it may launch."""
    found = by_ids(cloud.state.images, parameters.get("ImageId"), prefix="ami")
    owners = [config.OWNER_ID if owner == "self" else owner for owner in listed(parameters.get("Owner"))]
    if owners:
        found = [image for image in found if image.owner in owners]
    for who in listed(parameters.get("ExecutableBy")):
        found = [image for image in found if _executable(image, who)]
    shown, token = page(parameters, filtered(found, parameters.get("Filter"), _FIELDS), least=1)
    return {"imagesSet": [_shown(image) for image in shown], "nextToken": token}


def deregister_image(cloud: Cloud, parameters: Parameters) -> Answer:
    """Gone; its snapshot stays unless the request has it deleted too."""
    image = _own(cloud, parameters)
    cloud.deregister(image)
    snapshot = cloud.state.snapshots.get(image.snapshot_id)
    if flag(parameters.get("DeleteAssociatedSnapshots")) and snapshot is not None:
        cloud.delete_snapshot(snapshot)
    return DONE


def describe_image_attribute(cloud: Cloud, parameters: Parameters) -> Answer:
    """Launch permissions or description."""
    image = _own(cloud, parameters)
    name = required(parameters, "Attribute")
    everybody = [{"group": "all"}] if image.public else []
    attributes: dict[str, Any] = {
        "launchPermission": everybody + [{"userId": user} for user in image.launch_users],
        "description": {"value": image.description},
        "blockDeviceMapping": _disks(image),
    }
    if name not in attributes:
        raise EC2Error("InvalidParameterValue", f"Value ({name}) for parameter attribute is invalid.")
    return {"imageId": image.id, name: attributes[name]}


def modify_image_attribute(cloud: Cloud, parameters: Parameters) -> Answer:
    """Who may launch the image, and its description."""
    image = _own(cloud, parameters)
    permission = dict(parameters.get("LaunchPermission") or {})
    if parameters.get("OperationType"):  # the older form
        operation = str(parameters["OperationType"]).capitalize()
        entries = [{"Group": group} for group in listed(parameters.get("UserGroup"))]
        permission[operation] = entries + [{"UserId": user} for user in listed(parameters.get("UserId"))]
    for entry in listed(permission.get("Add")):
        _permit(image, entry, allowed=True)
    for entry in listed(permission.get("Remove")):
        _permit(image, entry, allowed=False)
    if parameters.get("Description"):
        described = parameters["Description"]
        image.description = described["Value"] if isinstance(described, dict) else described
    cloud.state.save(image)
    return DONE


def _permit(image: Image, entry: dict[str, str], *, allowed: bool) -> None:
    group, user = entry.get("Group"), entry.get("UserId", "")
    if group is not None:
        if group != "all":
            raise EC2Error("InvalidParameterValue", f"Value ({group}) for parameter group is invalid.")
        image.public = allowed
    elif allowed:
        if not re.fullmatch(r"\d{12}", user):
            raise EC2Error("InvalidUserID.Malformed", f"Invalid user id: {user}")
        image.launch_users = sorted({*image.launch_users, user})
    else:
        image.launch_users = [each for each in image.launch_users if each != user]


def _own(cloud: Cloud, parameters: Parameters) -> Image:
    image = by_id(cloud.state.images, str(required(parameters, "ImageId")), prefix="ami")
    if image.owner != config.OWNER_ID:
        raise EC2Error("AuthFailure", f"Not authorized for image:{image.id}", status=403)
    return image


def _executable(image: Image, who: str) -> bool:
    if who == "all":
        return image.public
    user = config.OWNER_ID if who == "self" else who
    return user in image.launch_users


def _shown(image: Image) -> dict[str, Any]:
    return {
        "imageId": image.id,
        "imageLocation": f"{image.owner}/{image.name}",
        "imageState": image.state,
        "imageOwnerId": image.owner,
        "isPublic": image.public,
        "architecture": "x86_64",
        "imageType": "machine",
        "name": image.name,
        "description": image.description or None,
        "creationDate": image.created,
        "platformDetails": "Linux/UNIX",
        "usageOperation": "RunInstances",
        "rootDeviceType": "ebs",
        "rootDeviceName": config.ROOT_DEVICE,
        "blockDeviceMapping": _disks(image),
        "virtualizationType": "hvm",
        "hypervisor": "xen",
        "enaSupport": True,
        "sourceInstanceId": image.source_instance_id or None,
        "sourceImageId": image.source_image_id or None,
        "stateReason": {"code": "Client.InternalError", "message": image.reason} if image.reason else None,
        "tagSet": tag_set(image),
    }


def _disks(image: Image) -> list[dict[str, Any]]:
    disk = {
        "snapshotId": image.snapshot_id,
        "volumeSize": image.disk_gib,
        "deleteOnTermination": True,
        "volumeType": "gp3",
        "encrypted": False,
    }
    return [{"deviceName": config.ROOT_DEVICE, "ebs": disk}]


ACTIONS: dict[str, Action] = {
    "CreateImage": create_image,
    "DescribeImages": describe_images,
    "DeregisterImage": deregister_image,
    "DescribeImageAttribute": describe_image_attribute,
    "ModifyImageAttribute": modify_image_attribute,
}
