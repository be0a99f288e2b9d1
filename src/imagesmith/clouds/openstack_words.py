"""OpenStack's documents in our words and ours in OpenStack's: settings, states, tags, requests. No call is made."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from imagesmith.core import (
    TAG_BUILD,
    TAG_CLOUD,
    TAG_DEPLOYMENT,
    TAG_DIGEST,
    TAG_GENERATOR,
    TAG_SCRIPT,
    TAG_SOURCE,
    TAG_VERSION,
    Image,
    ImageState,
    Instance,
    InstanceState,
    LaunchRequest,
    Resource,
    ResourceKind,
)

AUTO = "auto"
PREFIX = "imagesmith-"
# Left by those who uploaded the source image; wrong for a snapshot of it.
STALE_PROPERTIES = (
    "owner_specified.openstack.md5",
    "owner_specified.openstack.sha256",
    "owner_specified.openstack.object",
)
_DESCRIPTION_CHARS = 255
# Nova's power_state for a machine that is off: https://docs.openstack.org/api-ref/compute/#show-server-details
_POWERED_OFF = 4


@dataclass(frozen=True)
class OpenStackSettings:
    """The non-secret settings of a cloud of type `openstack`, as in include/clouds.yaml.

    Without `network` the only one there is counts. Without `floating_ip_network` instances are reached at their fixed
    addresses. `ssh_cidr` is who may reach SSH on the instances: a CIDR, or `auto` for the caller's own address, which
    is what `caller_address_url` answers or, without one, this machine's address on the way to the cloud.
    """

    auth_url: str = ""
    region: str = ""
    identity_version: int = 3
    interface: str = "public"
    network: str = ""
    floating_ip_network: str = ""
    ssh_cidr: str = AUTO
    caller_address_url: str = ""
    ssh_port: int = 22
    availability_zone: str = ""
    boot_from_volume: bool = False
    config_drive: bool = True

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> OpenStackSettings:
        """The settings out of a plain mapping; keys that are not the driver's, and empty values, left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in settings.items() if key in known and value is not None})


_INSTANCE_STATES: Mapping[str, InstanceState] = {
    "BUILD": InstanceState.PENDING,
    "REBUILD": InstanceState.PENDING,
    "ACTIVE": InstanceState.RUNNING,
    "REBOOT": InstanceState.RUNNING,
    "HARD_REBOOT": InstanceState.RUNNING,
    "PASSWORD": InstanceState.RUNNING,
    "SHUTOFF": InstanceState.STOPPED,
    "STOPPED": InstanceState.STOPPED,
    "DELETED": InstanceState.GONE,
    "SOFT_DELETED": InstanceState.GONE,
    "ERROR": InstanceState.FAILED,
}
_IMAGE_STATES: Mapping[str, ImageState] = {
    "queued": ImageState.PENDING,
    "saving": ImageState.PENDING,
    "uploading": ImageState.PENDING,
    "importing": ImageState.PENDING,
    "active": ImageState.AVAILABLE,
    "killed": ImageState.FAILED,
    "deactivated": ImageState.FAILED,
    "deleted": ImageState.GONE,
    "pending_delete": ImageState.GONE,
}


TAG_NAME = "imagesmith:name"
# Havana's Nova hands properties to Glance in HTTP headers, where a colon ends the name and a hyphen becomes a line.
_PROPERTIES = {
    tag: re.sub("[:-]", "_", tag)
    for tag in (
        *(TAG_BUILD, TAG_CLOUD, TAG_DEPLOYMENT, TAG_GENERATOR, TAG_VERSION, TAG_SCRIPT, TAG_SOURCE, TAG_DIGEST),
        TAG_NAME,
    )
}
_TAGS = {name: tag for tag, name in _PROPERTIES.items()}
BUILD_PROPERTY = _PROPERTIES[TAG_BUILD]


def all_tags(cloud: str, build_id: str, *, name: str, tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of a request and those without which nothing could be found again."""
    return {**tags, TAG_BUILD: build_id, TAG_CLOUD: cloud, TAG_NAME: name}


def properties_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags as a server's metadata or an image's properties; `Name` would be the image's name where case is lost."""
    return {_PROPERTIES.get(key, key): value for key, value in tags.items() if key != "Name"}


def tags_of(properties: Mapping[str, Any]) -> dict[str, str]:
    """The tags out of metadata or properties: all that is text and not Glance's own."""
    return {
        _TAGS.get(key, key): value
        for key, value in properties.items()
        if isinstance(value, str) and key not in _GLANCE_WORDS
    }


_GLANCE_WORDS = frozenset(
    {
        *("id", "name", "status", "visibility", "owner", "created_at", "updated_at", "schema", "file", "self"),
        *("checksum", "container_format", "disk_format", "direct_url", "os_hash_algo", "os_hash_value"),
    }
)


def described(tags: Mapping[str, str]) -> str:
    """Tags as the description of a thing that can have one but no tags, as many of ours as fit.

    https://docs.openstack.org/api-ref/network/v2/ allows a description 255 characters.
    """
    first = (TAG_BUILD, TAG_CLOUD, TAG_NAME, TAG_DEPLOYMENT)
    words: list[str] = []
    for key in sorted(_PROPERTIES, key=lambda key: (key not in first, key)):
        word = f"{key}={tags.get(key, '')}"
        if key in tags and not re.search(r"\s", word) and len(" ".join([*words, word])) <= _DESCRIPTION_CHARS:
            words.append(word)
    return " ".join(words)


def tags_in(description: str | None) -> dict[str, str]:
    """The tags out of a description that `described` wrote; none out of anybody else's."""
    pairs = dict(word.split("=", 1) for word in (description or "").split() if "=" in word)
    return pairs if TAG_BUILD in pairs else {}


def task_state(server: Mapping[str, Any]) -> str:
    """What Nova is doing to the server at the moment; "" for nothing."""
    return str(server.get("OS-EXT-STS:task_state") or "")


def state_of(server: Mapping[str, Any]) -> InstanceState:
    """The server's state; one that Nova still works on is not stopped yet."""
    state = _INSTANCE_STATES.get(str(server.get("status")), InstanceState.FAILED)
    if task_state(server) == "deleting":
        return InstanceState.GONE
    if state is InstanceState.RUNNING and server.get("OS-EXT-STS:power_state") == _POWERED_OFF:
        state = InstanceState.STOPPED
    if state is InstanceState.STOPPED and task_state(server):
        return InstanceState.STOPPING
    if state is InstanceState.RUNNING and task_state(server) == "powering-off":
        return InstanceState.STOPPING
    return state


def instance_of(server: Mapping[str, Any], settings: OpenStackSettings) -> Instance:
    """One look at a server, with the fault's text where it failed."""
    state = state_of(server)
    fault = server.get("fault") or {}
    reason = str(fault.get("message") or "")
    if state is InstanceState.FAILED and not reason:
        reason = f"its status is {server.get('status')}"
    return Instance(str(server["id"]), state, address=address_of(server, settings), reason=reason)


def address_of(server: Mapping[str, Any], settings: OpenStackSettings) -> str:
    """Where SSH of the server answers; "" as long as it has no such address."""
    wanted = "floating" if settings.floating_ip_network else "fixed"
    entries = [entry for network in (server.get("addresses") or {}).values() for entry in network]
    fitting = [entry for entry in entries if entry.get("OS-EXT-IPS:type", "fixed") == wanted]
    fitting.sort(key=lambda entry: entry.get("version") != 4)
    return str(fitting[0]["addr"]) if fitting else ""


def image_of(document: Mapping[str, Any]) -> Image:
    """One look at an image; Glance knows no reason for a failed one."""
    status = str(document.get("status"))
    state = _IMAGE_STATES.get(status, ImageState.PENDING)
    reason = "" if state in (ImageState.PENDING, ImageState.AVAILABLE) else f"its status is {status}"
    return Image(str(document["id"]), state, name=str(document.get("name") or ""), reason=reason)


def image_resource(document: Mapping[str, Any]) -> Resource:
    """An image as one of the things of a build."""
    return Resource(
        ResourceKind.IMAGE,
        str(document["id"]),
        name=str(document.get("name") or ""),
        tags=tags_of(document),
        created=str(document.get("created_at") or ""),
        state=str(document.get("status") or ""),
    )


def server_resource(server: Mapping[str, Any]) -> Resource:
    """A server as one of the things of a build."""
    return Resource(
        ResourceKind.INSTANCE,
        str(server["id"]),
        name=str(server.get("name") or ""),
        tags=tags_of(server.get("metadata") or {}),
        created=str(server.get("created") or ""),
        state=str(server.get("status") or ""),
    )


def server_body(
    request: LaunchRequest,
    settings: OpenStackSettings,
    *,
    flavor_id: str,
    network_id: str,
    group: str,
    disk_gib: int,
    tags: Mapping[str, str],
) -> dict[str, Any]:
    """The request for one server; `disk_gib` other than 0 makes its root disk a volume of that size.

    `group` is the security group as Nova wants it named: Neutron's id, or the name where Nova keeps the groups.
    """
    server: dict[str, Any] = {
        "name": request.name,
        "flavorRef": flavor_id,
        "key_name": request.name,
        "security_groups": [{"name": group}],
        "metadata": properties_of(tags),
        "min_count": 1,
        "max_count": 1,
        "config_drive": settings.config_drive,
    }
    if network_id:
        server["networks"] = [{"uuid": network_id}]
    if request.user_data:
        server["user_data"] = base64.b64encode(request.user_data.encode()).decode()
    if settings.availability_zone:
        server["availability_zone"] = settings.availability_zone
    if disk_gib:
        server["block_device_mapping_v2"] = [_root_volume(request.source_image_id, disk_gib)]
    else:
        server["imageRef"] = request.source_image_id
    return server


def _root_volume(image_id: str, size_gib: int) -> dict[str, Any]:
    return {
        "boot_index": 0,
        "uuid": image_id,
        "source_type": "image",
        "destination_type": "volume",
        "volume_size": size_gib,
        "delete_on_termination": True,
    }


def choices(things: Iterable[Mapping[str, Any]]) -> str:
    """Names of things, for a message that lists what there is."""
    names = sorted({str(thing.get("name") or thing.get("label") or thing.get("id")) for thing in things})
    return ", ".join(names[:20]) + (", …" if len(names) > 20 else "") or "none"
