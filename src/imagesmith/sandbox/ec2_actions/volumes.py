"""Volumes and snapshots: the disks behind instances and images."""

from collections.abc import Callable
from typing import Any

from imagesmith.sandbox import config
from imagesmith.sandbox.cloud import Cloud
from imagesmith.sandbox.ec2_actions.port import DONE, Action, Answer, Parameters
from imagesmith.sandbox.ec2_query import by_id, by_ids, filtered, listed, page, required, tag_set
from imagesmith.sandbox.ec2_wire import EC2Error
from imagesmith.sandbox.state import Snapshot, Volume

_VOLUME_FIELDS: dict[str, Callable[[Any], list[str]]] = {
    "volume-id": lambda volume: [volume.id],
    "status": lambda volume: [volume.state],
    "size": lambda volume: [str(volume.size_gib)],
    "snapshot-id": lambda volume: [volume.snapshot_id],
    "volume-type": lambda volume: [volume.volume_type],
    "availability-zone": lambda volume: [config.ZONE],
    "attachment.instance-id": lambda volume: [volume.instance_id] if volume.instance_id else [],
    "attachment.device": lambda volume: [config.ROOT_DEVICE] if volume.instance_id else [],
    "attachment.delete-on-termination": lambda volume: [str(volume.delete_on_termination).lower()],
}
_SNAPSHOT_FIELDS: dict[str, Callable[[Any], list[str]]] = {
    "snapshot-id": lambda snapshot: [snapshot.id],
    "status": lambda snapshot: [snapshot.state],
    "volume-id": lambda snapshot: [snapshot.volume_id],
    "volume-size": lambda snapshot: [str(snapshot.size_gib)],
    "owner-id": lambda snapshot: [snapshot.owner],
    "description": lambda snapshot: [snapshot.description],
    "start-time": lambda snapshot: [snapshot.created],
}


def describe_volumes(cloud: Cloud, parameters: Parameters) -> Answer:
    """Volumes with what they are attached to."""
    found = by_ids(cloud.state.volumes, parameters.get("VolumeId"), prefix="vol")
    shown, token = page(parameters, filtered(found, parameters.get("Filter"), _VOLUME_FIELDS))
    return {"volumeSet": [_volume(volume) for volume in shown], "nextToken": token}


def delete_volume(cloud: Cloud, parameters: Parameters) -> Answer:
    """Gone, unless an instance has it."""
    volume = by_id(cloud.state.volumes, str(required(parameters, "VolumeId")), prefix="vol")
    if volume.instance_id:
        message = f"Volume {volume.id} is currently attached to {volume.instance_id}"
        raise EC2Error("VolumeInUse", message)
    cloud.delete_volume(volume)
    return DONE


def describe_snapshots(cloud: Cloud, parameters: Parameters) -> Answer:
    """Snapshots of the account and of public images."""
    found = by_ids(cloud.state.snapshots, parameters.get("SnapshotId"), prefix="snap")
    owners = [config.OWNER_ID if owner == "self" else owner for owner in listed(parameters.get("Owner"))]
    if owners:
        found = [snapshot for snapshot in found if snapshot.owner in owners]
    shown, token = page(parameters, filtered(found, parameters.get("Filter"), _SNAPSHOT_FIELDS))
    return {"snapshotSet": [_snapshot(snapshot) for snapshot in shown], "nextToken": token}


def delete_snapshot(cloud: Cloud, parameters: Parameters) -> Answer:
    """Gone, unless an image is made of it."""
    snapshot = by_id(cloud.state.snapshots, str(required(parameters, "SnapshotId")), prefix="snap")
    if snapshot.owner != config.OWNER_ID:
        raise EC2Error("AuthFailure", f"Not authorized for snapshot:{snapshot.id}", status=403)
    for image in cloud.state.images.values():
        if image.snapshot_id == snapshot.id:
            message = f"The snapshot {snapshot.id} is currently in use by {image.id}"
            raise EC2Error("InvalidSnapshot.InUse", message)
    cloud.delete_snapshot(snapshot)
    return DONE


def _volume(volume: Volume) -> dict[str, Any]:
    attachment = {
        "volumeId": volume.id,
        "instanceId": volume.instance_id,
        "device": config.ROOT_DEVICE,
        "status": "attached",
        "attachTime": volume.created,
        "deleteOnTermination": volume.delete_on_termination,
    }
    return {
        "volumeId": volume.id,
        "size": volume.size_gib,
        "snapshotId": volume.snapshot_id,
        "availabilityZone": config.ZONE,
        "status": volume.state,
        "createTime": volume.created,
        "attachmentSet": [attachment] if volume.instance_id else [],
        "volumeType": volume.volume_type,
        "encrypted": False,
        "tagSet": tag_set(volume),
    }


def _snapshot(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "snapshotId": snapshot.id,
        "volumeId": snapshot.volume_id,
        "status": snapshot.state,
        "startTime": snapshot.created,
        "progress": "100%" if snapshot.state == "completed" else "0%",
        "ownerId": snapshot.owner,
        "volumeSize": snapshot.size_gib,
        "description": snapshot.description,
        "encrypted": False,
        "tagSet": tag_set(snapshot),
    }


ACTIONS: dict[str, Action] = {
    "DescribeVolumes": describe_volumes,
    "DeleteVolume": delete_volume,
    "DescribeSnapshots": describe_snapshots,
    "DeleteSnapshot": delete_snapshot,
}
