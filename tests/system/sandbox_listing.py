"""What is on one of the sandbox's clouds, as the sandbox itself lists it, past every driver."""

from __future__ import annotations

from typing import Any

from imagesmith.sandbox import config
from imagesmith.sandbox.nimbus.sites import SITES as NIMBUS_SITES
from imagesmith.sandbox.openstack.sites import SITES as OPENSTACK_SITES

from .conftest import Sandbox


def left_on(sandbox: Sandbox, cloud: str) -> list[str]:
    """What builds should not leave: all but images and the disks behind them."""
    listed = sandbox.control("list")
    if cloud in NIMBUS_SITES:
        return [each["id"] for each in listed["accounts"][cloud]["workspaces"]]
    if cloud in OPENSTACK_SITES:
        return _left_on_openstack(listed["accounts"][cloud])
    instances = [each["id"] for each in listed["instances"] if each["state"] != "terminated"]
    groups = [name for name in listed["security_groups"] if name != "default"]
    behind = {each["snapshot_id"] for each in listed["images"]}
    snapshots = [each["id"] for each in listed["snapshots"] if each["id"] not in behind]
    return [*instances, *listed["key_pairs"], *groups, *(each["id"] for each in listed["volumes"]), *snapshots]


def _left_on_openstack(there: dict[str, Any]) -> list[str]:
    servers = [each["name"] for each in there["servers"] if each["status"] != "DELETED"]
    groups = [name for name in there["security_groups"] if name != "default"]
    addresses = [each["address"] for each in there["floating_ips"]]
    volumes = [each["id"] for each in (*there["volumes"], *there["volume_snapshots"])]
    return [*servers, *there["key_pairs"], *groups, *addresses, *volumes]


def ids_of_images(sandbox: Sandbox, cloud: str) -> list[str]:
    """The ids of all images there but those that were there from the start."""
    listed = sandbox.control("list")
    if cloud in NIMBUS_SITES:
        images = listed["accounts"][cloud]["images"]
        return [str(each["id"]) for each in images if "/common/" not in str(each["id"])]
    if cloud in OPENSTACK_SITES:
        return [str(each["id"]) for each in listed["accounts"][cloud]["images"] if each["visibility"] != "public"]
    return [str(each["id"]) for each in listed["images"] if each["owner"] != config.BASE_OWNER_ID]


def launched_on(sandbox: Sandbox, cloud: str) -> set[str]:
    """The instances that were launched, those that have ended included; they are forgotten after a while."""
    listed = sandbox.control("list")
    if cloud == "ec2":
        return {str(each["id"]) for each in listed["instances"]}
    return {str(each) for each in listed["accounts"][cloud]["launched"]}
