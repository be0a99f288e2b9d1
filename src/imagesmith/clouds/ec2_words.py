"""EC2's documents in our words and ours in EC2's: settings, states, tags, requests. No call is made here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from imagesmith.core import (
    TAG_BUILD,
    TAG_CLOUD,
    TAG_DEPLOYMENT,
    Image,
    ImageState,
    Instance,
    InstanceState,
    LaunchRequest,
    Resource,
    ResourceKind,
)
from imagesmith.errors import DefinitionError

AUTO = "auto"

# Build and cloud in one: a single listing tells what many targets have left. Beside it stand the tags of core.py.
TAG_TARGET = "imagesmith:target"


@dataclass(frozen=True)
class Ec2Settings:
    """The non-secret settings of a cloud of type `ec2`, as in include/clouds.yaml.

    Without `region` the connection's counts. `ssh_cidr` is who may reach SSH on the instances: a CIDR, or
    `auto` for the caller's own address.
    `caller_address_url` answers with that address; it is asked only where the endpoint is AWS's own.
    """

    region: str = ""
    endpoint_url: str = ""
    subnet_id: str = ""
    vpc_id: str = ""
    ssh_cidr: str = AUTO
    ssh_port: int = 22
    public_ip: bool | None = None
    use_private_address: bool = False
    instance_profile: str = ""
    caller_address_url: str = "https://checkip.amazonaws.com"

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> Ec2Settings:
        """The settings out of a plain mapping; keys that are not the driver's, and empty values, left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in settings.items() if key in known and value is not None})


# What EC2 calls a thing → what we call it. Network interfaces are not in it: the only one an instance of ours
# has is made with it and goes with it.
KINDS: Mapping[str, ResourceKind] = {
    "instance": ResourceKind.INSTANCE,
    "key-pair": ResourceKind.KEY_PAIR,
    "security-group": ResourceKind.SECURITY_GROUP,
    "volume": ResourceKind.VOLUME,
    "snapshot": ResourceKind.SNAPSHOT,
    "image": ResourceKind.IMAGE,
}

_INSTANCE_STATES: Mapping[str, InstanceState] = {
    "pending": InstanceState.PENDING,
    "running": InstanceState.RUNNING,
    "stopping": InstanceState.STOPPING,
    "stopped": InstanceState.STOPPED,
    "shutting-down": InstanceState.GONE,
    "terminated": InstanceState.GONE,
}
ENDED = frozenset({"terminated"})
ENDING = frozenset({"shutting-down", "terminated"})
# The reasons of an end somebody asked for; after every other reason the instance has failed.
_ASKED_FOR = frozenset({"Client.UserInitiatedShutdown", "Client.InstanceInitiatedShutdown"})

_IMAGE_STATES: Mapping[str, ImageState] = {
    "pending": ImageState.PENDING,
    "transient": ImageState.PENDING,
    "available": ImageState.AVAILABLE,
    "deregistered": ImageState.GONE,
}


def pairs_of(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as EC2 writes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tags_of(document: Mapping[str, Any]) -> dict[str, str]:
    """The tags of any of EC2's documents."""
    return {tag["Key"]: tag["Value"] for tag in document.get("Tags", [])}


def specifications(tags: Mapping[str, str], *kinds: str) -> list[dict[str, Any]]:
    """`TagSpecifications` that give the same tags to each kind of thing a call makes."""
    return [{"ResourceType": kind, "Tags": pairs_of(tags)} for kind in kinds]


def all_tags(cloud: str, build_id: str, *, name: str, tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of a request and those without which nothing could be found again."""
    return {"Name": name, **tags, TAG_BUILD: build_id, TAG_CLOUD: cloud, TAG_TARGET: target_of(cloud, build_id)}


def target_of(cloud: str, build_id: str) -> str:
    """The value of the tag of one cloud's part of a build."""
    return f"{build_id}/{cloud}"


def shared_tags(cloud: str, name: str, tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of what no single build owns: whose it is, and of no build."""
    return {"Name": name, TAG_CLOUD: cloud, TAG_DEPLOYMENT: tags.get(TAG_DEPLOYMENT, "")}


def group_name(cloud: str, settings: Ec2Settings, *, cidr: str, network: str, deployment: str) -> str:
    """The name of the security group that all builds with the same rule in the same network use together."""
    content = "\0".join((deployment, cloud, network, cidr, str(settings.ssh_port)))
    return f"imagesmith-ssh-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def token_of(name: str) -> str:
    """The client token for a name: at most 64 ASCII characters, the same for the same name."""
    if len(name) <= 64 and name.isascii():
        return name
    return hashlib.sha256(name.encode()).hexdigest()


def utc(moment: Any) -> str:
    """A moment of EC2's, which botocore may have parsed, as ISO 8601; "" for none."""
    if not moment:
        return ""
    return str(moment.isoformat() if hasattr(moment, "isoformat") else moment)


def address_of(document: Mapping[str, Any], settings: Ec2Settings) -> str:
    """Where SSH of the instance answers; "" as long as it has no such address."""
    private = str(document.get("PrivateIpAddress") or "")
    if settings.use_private_address:
        return private
    public = str(document.get("PublicIpAddress") or "")
    # A subnet that gives no public addresses leaves only the private one; that is certain once it runs.
    running = document.get("State", {}).get("Name") == "running"
    return public or (private if running and settings.public_ip is not True else "")


def instance_of(document: Mapping[str, Any], settings: Ec2Settings) -> Instance:
    """One look at an instance, from its document in `DescribeInstances`."""
    word = document["State"]["Name"]
    reason = document.get("StateReason") or {}
    words = str(reason.get("Message") or document.get("StateTransitionReason") or "")
    state = _INSTANCE_STATES.get(word, InstanceState.PENDING)
    if word in ENDING and reason.get("Code") and reason["Code"] not in _ASKED_FOR:
        state = InstanceState.FAILED
    return Instance(document["InstanceId"], state, address=address_of(document, settings), reason=words)


def snapshots_of(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The snapshots behind an image, from its document in `DescribeImages`."""
    mappings = document.get("BlockDeviceMappings", [])
    found = (mapping.get("Ebs", {}).get("SnapshotId") for mapping in mappings)
    return tuple(snapshot for snapshot in found if snapshot)


def volumes_taken_along(document: Mapping[str, Any]) -> list[str]:
    """The volumes that end with an instance, from its document in `DescribeInstances`."""
    disks = [mapping.get("Ebs", {}) for mapping in document.get("BlockDeviceMappings", [])]
    return [disk["VolumeId"] for disk in disks if disk.get("DeleteOnTermination") and disk.get("VolumeId")]


def image_of(document: Mapping[str, Any]) -> Image:
    """One look at an image, from its document in `DescribeImages`."""
    return Image(
        document["ImageId"],
        _IMAGE_STATES.get(document.get("State", ""), ImageState.FAILED),
        name=document.get("Name", ""),
        reason=str((document.get("StateReason") or {}).get("Message") or ""),
        snapshot_ids=snapshots_of(document),
        tags=tags_of(document),
        public=bool(document.get("Public")),
    )


_LAUNCH_DETAILS = ("ImageId", "RootDeviceType", "RootDeviceName", "BlockDeviceMappings")


def launch_details(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a launch needs to know of its source image, out of its document in `DescribeImages`."""
    return {key: document[key] for key in _LAUNCH_DETAILS if key in document}


_ID_KEYS: Mapping[ResourceKind, str] = {
    ResourceKind.INSTANCE: "InstanceId",
    ResourceKind.KEY_PAIR: "KeyPairId",
    ResourceKind.SECURITY_GROUP: "GroupId",
    ResourceKind.VOLUME: "VolumeId",
    ResourceKind.SNAPSHOT: "SnapshotId",
    ResourceKind.IMAGE: "ImageId",
}
_CREATED_KEYS = ("LaunchTime", "CreationDate", "StartTime", "CreateTime")


def resource_of(kind: ResourceKind, document: Mapping[str, Any]) -> Resource:
    """A thing with its tags, from its document in the `Describe…` call of its kind."""
    state = document.get("State", "")
    tags = tags_of(document)
    created = next((document[key] for key in _CREATED_KEYS if document.get(key)), "")
    return Resource(
        kind,
        document[_ID_KEYS[kind]],
        name=document.get("Name") or document.get("KeyName") or document.get("GroupName") or tags.get("Name", ""),
        tags=tags,
        created=utc(created),
        state=str(state.get("Name", "") if isinstance(state, Mapping) else state),
    )


def resources_of(rows: Iterable[Mapping[str, str]]) -> list[Resource]:
    """The things that the rows of `DescribeTags` speak of, each with its tags."""
    tags: dict[tuple[ResourceKind, str], dict[str, str]] = {}
    for row in rows:
        kind = KINDS.get(row["ResourceType"])
        if kind is not None:
            tags.setdefault((kind, row["ResourceId"]), {})[row["Key"]] = row.get("Value", "")
    return [Resource(kind, id_, name=own.get("Name", ""), tags=own) for (kind, id_), own in tags.items()]


def root_disk(image: Mapping[str, Any], disk_gib: int | None) -> list[dict[str, Any]]:
    """The mapping of the root disk: of the wanted size, gone with its instance; none if the image's does."""
    device = image.get("RootDeviceName") or "/dev/xvda"
    mappings = image.get("BlockDeviceMappings", [])
    disks: dict[str, dict[str, Any]] = {m["DeviceName"]: m.get("Ebs", {}) for m in mappings if "DeviceName" in m}
    if disk_gib is None and disks.get(device, {}).get("DeleteOnTermination"):
        return []
    size = {} if disk_gib is None else {"VolumeSize": disk_gib}
    return [{"DeviceName": device, "Ebs": {"DeleteOnTermination": True, **size}}]


def run_arguments(
    request: LaunchRequest,
    settings: Ec2Settings,
    group_id: str,
    *,
    image: Mapping[str, Any],
    tags: Mapping[str, str],
) -> dict[str, Any]:
    """The arguments of `RunInstances` for one instance."""
    arguments: dict[str, Any] = {
        "ImageId": request.source_image_id,
        "InstanceType": request.instance_type,
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": token_of(request.name),
        # A guest that powers itself off must stay, for it is saved then.
        "InstanceInitiatedShutdownBehavior": "stop",
        "TagSpecifications": specifications(tags, "instance", "volume"),
        **_network(settings, group_id),
    }
    disks = root_disk(image, request.disk_gib)
    if disks:
        arguments["BlockDeviceMappings"] = disks
    if request.user_data:
        arguments["UserData"] = request.user_data
    if settings.instance_profile:
        key = "Arn" if settings.instance_profile.startswith("arn:") else "Name"
        arguments["IamInstanceProfile"] = {key: settings.instance_profile}
    return arguments


def _network(settings: Ec2Settings, group_id: str) -> dict[str, Any]:
    subnet = {"SubnetId": settings.subnet_id} if settings.subnet_id else {}
    if settings.public_ip is None:
        return {"SecurityGroupIds": [group_id], **subnet}
    interface = {
        "DeviceIndex": 0,
        "AssociatePublicIpAddress": settings.public_ip,
        "DeleteOnTermination": True,
        "Groups": [group_id],
        **subnet,
    }
    return {"NetworkInterfaces": [interface]}


def ssh_permission(settings: Ec2Settings, cidr: str) -> dict[str, Any]:
    """The one rule of a build's security group: SSH from `cidr`."""
    ranges = {"Ipv6Ranges": [{"CidrIpv6": cidr}]} if ":" in cidr else {"IpRanges": [{"CidrIp": cidr}]}
    return {"IpProtocol": "tcp", "FromPort": settings.ssh_port, "ToPort": settings.ssh_port, **ranges}


def refuse_instance_store(cloud: str, image: Mapping[str, Any]) -> None:
    """Raise DefinitionError for an image whose instances cannot be saved."""
    if image.get("RootDeviceType", "ebs") != "ebs":
        raise DefinitionError(
            f"{cloud}: image {image['ImageId']} has its root on instance store and its instances cannot be "
            "saved; choose a source_image with an EBS root"
        )


_AWS_HOST = re.compile(r"\.amazonaws\.[a-z]+(\.cn)?$")


def is_aws(host: str) -> bool:
    """Whether an endpoint's host is AWS itself, as against a cloud that speaks EC2."""
    return _AWS_HOST.search(host) is not None


def instance_documents(reservations: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The instances of the reservations they come in."""
    for reservation in reservations:
        yield from reservation.get("Instances", [])
