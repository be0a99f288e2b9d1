"""A workspace's life over the instance that is its machine: created, watched, saved, ended by owner or by lease."""

import asyncio
import base64
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagesmith.sandbox.launching import Launch
from imagesmith.sandbox.nimbus import faults, store
from imagesmith.sandbox.nimbus.sites import User
from imagesmith.sandbox.nimbus.states import CORRUPTED, PROPAGATED, RUNNING, SAVED, SAVING, UNPROPAGATED
from imagesmith.sandbox.nimbus.things import StoredImage, Workspace
from imagesmith.sandbox.state import Image, Instance

if TYPE_CHECKING:
    from imagesmith.sandbox.nimbus.site import Site

_INSTANCE_TYPE = "m1.small"  # of the machine itself; the memory that was asked for is only checked
_UNSAVED = (UNPROPAGATED, PROPAGATED, RUNNING)


class Refused(Exception):
    """The service will not do it; the message is the fault's text."""


@dataclass
class Order:
    """One workspace as it was asked for. `source` is the key of an image."""

    source: str
    mount_as: str
    minutes: int
    memory_mb: int
    public_key: str


def create(site: "Site", user: User, order: Order) -> Workspace:
    """A workspace that is about to run; raises Refused."""
    _check_limits(site, order)
    stored = _readable(site, user, order.source)
    image = site.state.images[stored.machine_image_id]
    corrupt = faults.take(site.faults, "run", "corrupt")
    problem = corrupt.text if corrupt else _mount_problem(site, order, image)
    if not problem and image.kind == "qemu" and site.cloud.host.room() < 1:
        raise Refused("Resource request denied: No resource is available for this request (based on memory)")
    workspace = _workspace(site, user, order)
    if problem:
        workspace.address = site.cloud.host.addresses.take()
    else:
        instance = _instance(site, order, image)
        workspace.address, workspace.instance_id = instance.address, instance.id
    site.state.save(workspace)
    site.cloud.begin(_propagate(site, workspace, problem))
    site.cloud.begin(_keep_lease(site, workspace))
    return workspace


def save(site: "Site", workspace: Workspace, target: str, user: User) -> None:
    """Begins to power off and to store the disk under the key; the workspace stays until it is destroyed."""
    if workspace.state not in _UNSAVED:
        raise Refused(f"Workspace #{workspace.id} is in state {workspace.state}, it can not be saved")
    corrupt = faults.take(site.faults, "save", "corrupt")
    _to(site, workspace, SAVING)
    site.cloud.begin(_save(site, workspace, target, user, problem=corrupt.text if corrupt else ""))


def destroy(site: "Site", workspace: Workspace) -> None:
    """The workspace is unknown from now on; its machine ends."""
    site.state.remove(workspace)
    instance = site.state.instances.get(workspace.instance_id)
    if instance is not None:
        site.cloud.terminate(instance)
    forget_address(site, workspace)


def forget_address(site: "Site", workspace: Workspace) -> None:
    """Lets another have the address of a workspace that never had a machine; a machine's own goes with that."""
    if not workspace.instance_id:
        site.cloud.host.addresses.give_back(workspace.address)


def changed(site: "Site", instance: Instance) -> None:
    """What a change of the instance means for its workspace."""
    workspace = next((each for each in site.state.workspaces.values() if each.instance_id == instance.id), None)
    if workspace is None:
        return
    if instance.state == "running" and workspace.state in _UNSAVED:
        _to(site, workspace, RUNNING)
    elif instance.state == "terminated" and workspace.state != CORRUPTED:
        _corrupt(site, workspace, (instance.state_reason or ("", "the machine is gone"))[1])


def settle(site: "Site") -> None:
    """After a start: machines that were off are lost, and leases go on."""
    for workspace in list(site.state.workspaces.values()):
        if not workspace.instance_id:
            site.cloud.host.addresses.keep(workspace.address)
        instance = site.state.instances.get(workspace.instance_id)
        alive = instance is not None and instance.state in ("pending", "running")
        if not alive and workspace.state not in (CORRUPTED, SAVED):
            _corrupt(site, workspace, "the node was switched off")
        site.cloud.begin(_keep_lease(site, workspace))


def _check_limits(site: "Site", order: Order) -> None:
    refusal = faults.take(site.faults, "run", "refuse")
    if refusal:
        raise Refused(refusal.text)
    if order.memory_mb > site.settings.max_memory_mb:
        raise Refused("Resource request denied: memory request is too large to ever be fulfilled")
    if not 0 < order.minutes <= site.settings.max_minutes:
        asked, most = order.minutes * 60, site.settings.max_minutes * 60
        raise Refused(f"Request denied: requested running time ({asked} seconds) exceeds the maximum allowed ({most})")


def _readable(site: "Site", user: User, key: str) -> StoredImage:
    stored = site.state.stored_images.get(key)
    if stored is None:
        raise Refused(f"the object Repo/{key} was not found")
    if not store.may_read(stored, user):
        raise Refused("AccessDenied")
    return stored


def _mount_problem(site: "Site", order: Order, image: Image) -> str:
    """Xen mounts an image that is one partition, KVM boots one that is a disk; neither can do with the other's."""
    refused = f"the {site.facts.hypervisor} node can not boot"
    if order.mount_as != site.facts.mount_as:
        return f"{refused} an image that is mounted as {order.mount_as}"
    if image.layout != site.facts.layout:
        return f"{refused} an image that is a {image.layout} and mounted as {order.mount_as}"
    return ""


def _workspace(site: "Site", user: User, order: Order) -> Workspace:
    now = time.time()
    lease_s = order.minutes * site.settings.minute_s
    return Workspace(
        id=site.state.next_number(),
        owner_dn=user.dn,
        source=order.source,
        minutes=order.minutes,
        started_at=now,
        shutdown_at=now + lease_s,
        termination_at=now + lease_s + 2 * site.settings.minute_s,
        address="",
    )


def _instance(site: "Site", order: Order, image: Image) -> Instance:
    """The service takes no user data: this is how the sandbox tells a machine whom to let in."""
    told = "#cloud-config\n" + json.dumps({"ssh_authorized_keys": [order.public_key] if order.public_key else []})
    user_data = base64.b64encode(told.encode()).decode()
    return site.cloud.launch(Launch(image, _INSTANCE_TYPE, user_data=user_data, login_user="root"))[0]


async def _propagate(site: "Site", workspace: Workspace, problem: str) -> None:
    await asyncio.sleep(site.settings.propagate_s)
    if problem:
        _corrupt(site, workspace, problem)
    elif workspace.state == UNPROPAGATED:
        _to(site, workspace, PROPAGATED)


async def _keep_lease(site: "Site", workspace: Workspace) -> None:
    await asyncio.sleep(max(0.0, workspace.shutdown_at - time.time()))
    if not _is_known(site, workspace):
        return
    instance = site.state.instances.get(workspace.instance_id)
    if instance is not None and workspace.state in _UNSAVED:
        site.cloud.stop(instance, force=True)
        _to(site, workspace, PROPAGATED)
    await asyncio.sleep(max(0.0, workspace.termination_at - time.time()))
    if _is_known(site, workspace):
        destroy(site, workspace)


async def _save(site: "Site", workspace: Workspace, target: str, user: User, *, problem: str) -> None:
    instance = site.state.instances.get(workspace.instance_id)
    if instance is None or instance.state == "terminated":
        _corrupt(site, workspace, "there is no machine to save")
        return
    await site.cloud.power_off(instance)
    if problem or not _is_known(site, workspace):
        _corrupt(site, workspace, problem)
        return
    image = site.cloud.new_image(instance, target.rsplit("/", 1)[-1])
    site.state.snapshots[image.snapshot_id].compressed = target.endswith(".gz")
    await site.cloud.save_image(image, instance, reboot=False)
    failure = image.reason or _target_problem(site, target, user)
    if failure or not _is_known(site, workspace):
        store.discard(site, image)
        _corrupt(site, workspace, failure)
        return
    store.put(site, target, image, user)
    _to(site, workspace, SAVED)


def _target_problem(site: "Site", target: str, user: User) -> str:
    try:
        store.check_target(site, target, user)
    except store.AccessDenied as error:
        return f"AccessDenied: {error}"
    return ""


def _corrupt(site: "Site", workspace: Workspace, problem: str) -> None:
    workspace.problem = problem
    _to(site, workspace, CORRUPTED)


def _to(site: "Site", workspace: Workspace, state: str) -> None:
    workspace.state = state
    if _is_known(site, workspace):
        site.state.save(workspace)


def _is_known(site: "Site", workspace: Workspace) -> bool:
    """False for one that was destroyed, even if all was reset and another has its number."""
    return site.state.workspaces.get(workspace.id) is workspace
