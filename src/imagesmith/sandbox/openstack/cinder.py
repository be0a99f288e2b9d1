"""Cinder v3: volumes and their snapshots, made, listed, deleted."""

from imagesmith.sandbox import launching
from imagesmith.sandbox.launching import Launch
from imagesmith.sandbox.openstack.cinder_upload import upload
from imagesmith.sandbox.openstack.nova_roots import usable_image
from imagesmith.sandbox.openstack.sites import ZONE
from imagesmith.sandbox.openstack.things import BlockSnapshot, BlockVolume
from imagesmith.sandbox.openstack.wire import Call, Document, Problem, Reply, Rule, moment, new_uuid
from imagesmith.sandbox.state import Instance, Thing, now

_TYPE = "sandbox"


def list_volumes(call: Call) -> Reply:
    """Ids and names, or everything."""
    found = [each for each in call.site.state.block_volumes.values() if call.query.get("name") in (None, each.name)]
    if not call.path.endswith("/detail"):
        return Reply({"volumes": [{"id": each.id, "name": each.name, "links": []} for each in found]})
    return Reply({"volumes": [_volume(call, each) for each in found]})


def create_volume(call: Call) -> Reply:
    """A volume of an image; empty ones are of no use here."""
    wanted = call.document("volume")
    size = str(wanted.get("size", ""))
    if not size.isdigit():
        raise Problem(400, "Invalid input for field/attribute size. It must be an integer.")
    if not wanted.get("imageRef"):
        raise Problem(501, "The sandbox makes volumes of images only.")
    image = usable_image(call, str(wanted["imageRef"]))
    machine_image = call.site.state.images[image.machine_image_id]
    if int(size) < machine_image.disk_gib:
        message = f"Size of specified image {machine_image.disk_gib}GB is larger than volume size {size}GB."
        raise Problem(400, f"Invalid input received: {message}")
    request = Launch(machine_image, "", disk_gib=int(size), keep_disk=True)
    disk = launching.root_volume(request, call.site.state.snapshots[machine_image.snapshot_id])
    disk.state = "available"
    volume = BlockVolume(
        id=new_uuid(),
        name=str(wanted.get("name") or ""),
        volume_id=disk.id,
        kind=machine_image.kind,
        size_gib=disk.size_gib,
        image_id=image.id,
        metadata=dict(wanted.get("metadata") or {}),
    )
    call.site.state.save(disk, volume)
    return Reply({"volume": _volume(call, volume)}, 202)


def show_volume(call: Call) -> Reply:
    """One volume."""
    return Reply({"volume": _volume(call, _volume_of(call))})


def delete_volume(call: Call) -> Reply:
    """Gone, unless a server has it."""
    volume = _volume_of(call)
    if _status(volume) != "available" or _holder(call, volume) is not None:
        message = f"Volume status must be available, but it is {_status(volume)}."
        raise Problem(400, f"Invalid volume: {message}")
    call.site.state.remove(volume)
    disk = call.site.state.volumes.get(volume.volume_id)
    if disk is not None:
        call.site.cloud.delete_volume(disk)
    return Reply(status=202)


def act(call: Call) -> Reply:
    """What is done to a volume: taken from its server, given properties for its image, saved as an image."""
    volume, body = _volume_of(call), call.body or {}
    if "os-set_image_metadata" in body:
        volume.image_metadata |= body["os-set_image_metadata"].get("metadata", {})
        call.site.state.save(volume)
        return Reply({"metadata": volume.image_metadata})
    if "os-detach" in body:
        return _detach(call, volume)
    if "os-volume_upload_image" not in body:
        raise Problem(501, f"The sandbox has no such action of volumes: {', '.join(body)}")
    if _status(volume) != "available":
        raise Problem(400, f"Invalid volume: Volume {volume.id} status must be available, but it is in-use.")
    image = upload(call.site, volume, str(body["os-volume_upload_image"].get("image_name", "")))
    told = {
        "id": volume.id,
        "image_id": image.id,
        "image_name": image.name,
        "status": "uploading",
        "size": volume.size_gib,
        "container_format": "bare",
        "disk_format": "qcow2",
        "display_description": None,
        "updated_at": moment(now(), zone=".000000"),
        "volume_type": None,
    }
    return Reply({"os-volume_upload_image": told}, 202)


def list_snapshots(call: Call) -> Reply:
    """Snapshots of volumes."""
    return Reply({"snapshots": [_snapshot(call, each) for each in call.site.state.block_snapshots.values()]})


def show_snapshot(call: Call) -> Reply:
    """One snapshot."""
    return Reply({"snapshot": _snapshot(call, _snapshot_of(call))})


def delete_snapshot(call: Call) -> Reply:
    """Gone; an image that names it can't be booted any more."""
    snapshot = _snapshot_of(call)
    call.site.state.remove(snapshot)
    disk = call.site.state.snapshots.get(snapshot.snapshot_id)
    if disk is not None:
        call.site.cloud.delete_snapshot(disk)
    return Reply(status=202)


def show_limits(call: Call) -> Reply:
    """Nothing is limited."""
    used = {"totalVolumesUsed": len(call.site.state.block_volumes), "maxTotalVolumes": -1}
    return Reply({"limits": {"rate": [], "absolute": {**used, "maxTotalVolumeGigabytes": -1, "maxTotalSnapshots": -1}}})


def _detach(call: Call, volume: BlockVolume) -> Reply:
    """The volume of a server that is off is nobody's; a disk that is in use can't be taken away here."""
    holder = _holder(call, volume)
    if holder is None or not volume.server_id:
        raise Problem(400, "Invalid volume: Unable to detach volume. Volume status must be 'in-use'.")
    if holder.state != "stopped":
        raise Problem(501, "The sandbox takes volumes from servers only that are off.")
    disk = call.site.state.volumes[volume.volume_id]
    disk.delete_on_termination = False
    volume.server_id = ""
    call.site.state.save(disk, volume)
    return Reply(status=202)


def _holder(call: Call, volume: BlockVolume) -> Instance | None:
    """The machine whose disk the volume is."""
    for instance in call.site.state.instances.values():
        if instance.volume_id == volume.volume_id and instance.state != "terminated":
            return instance
    return None


def _volume_of(call: Call) -> BlockVolume:
    volume_id = call.parameters["volume_id"]
    try:
        return call.site.state.block_volumes[volume_id]
    except KeyError:
        raise Problem(404, f"Volume {volume_id} could not be found.") from None


def _snapshot_of(call: Call) -> BlockSnapshot:
    snapshot_id = call.parameters["snapshot_id"]
    try:
        return call.site.state.block_snapshots[snapshot_id]
    except KeyError:
        raise Problem(404, f"Snapshot {snapshot_id} could not be found.") from None


def _status(volume: BlockVolume) -> str:
    return volume.status or ("in-use" if volume.server_id else "available")


def _volume(call: Call, volume: BlockVolume) -> Document:
    attachment = {
        "id": volume.id,
        "attachment_id": volume.id,
        "volume_id": volume.id,
        "server_id": volume.server_id,
        "device": "/dev/vda",
        "host_name": None,
        "attached_at": _moment(volume),
    }
    return {
        "id": volume.id,
        "name": volume.name,
        "description": None,
        "status": _status(volume),
        "size": volume.size_gib,
        "bootable": "true",
        "attachments": [attachment] if volume.server_id else [],
        "availability_zone": ZONE,
        "created_at": _moment(volume),
        "updated_at": _moment(volume),
        "volume_type": _TYPE,
        "metadata": volume.metadata,
        "volume_image_metadata": {"image_id": volume.image_id, **volume.image_metadata},
        "snapshot_id": None,
        "source_volid": None,
        "encrypted": False,
        "multiattach": False,
        "replication_status": None,
        "consistencygroup_id": None,
        "user_id": call.site.facts.user_id,
        "os-vol-tenant-attr:tenant_id": call.site.facts.project_id,
        "links": [],
    }


def _snapshot(call: Call, snapshot: BlockSnapshot) -> Document:
    disk = call.site.state.snapshots.get(snapshot.snapshot_id)
    states = {"pending": "creating", "completed": "available"}
    return {
        "id": snapshot.id,
        "name": snapshot.name,
        "description": "",
        "status": states.get(disk.state, "error") if disk else "error",
        "size": snapshot.size_gib,
        "volume_id": snapshot.block_volume_id,
        "metadata": {},
        "created_at": _moment(snapshot),
        "updated_at": _moment(snapshot),
        "user_id": call.site.facts.user_id,
        "os-extended-snapshot-attributes:project_id": call.site.facts.project_id,
        "os-extended-snapshot-attributes:progress": "100%",
    }


def _moment(thing: Thing) -> str:
    return moment(thing.created, zone=".000000")


RULES = (
    Rule("GET", "/volumes", list_volumes),
    Rule("GET", "/volumes/detail", list_volumes),
    Rule("POST", "/volumes", create_volume),
    Rule("GET", "/volumes/{volume_id}", show_volume),
    Rule("DELETE", "/volumes/{volume_id}", delete_volume),
    Rule("POST", "/volumes/{volume_id}/action", act),
    Rule("GET", "/snapshots", list_snapshots),
    Rule("GET", "/snapshots/detail", list_snapshots),
    Rule("GET", "/snapshots/{snapshot_id}", show_snapshot),
    Rule("DELETE", "/snapshots/{snapshot_id}", delete_snapshot),
    Rule("GET", "/limits", show_limits),
)
