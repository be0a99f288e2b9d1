"""A server's life over the instance that is its machine: launched, watched, deleted."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from imagesmith.sandbox import config
from imagesmith.sandbox.launching import Launch
from imagesmith.sandbox.openstack import addresses, images
from imagesmith.sandbox.openstack.things import BlockVolume, GlanceImage, Server
from imagesmith.sandbox.openstack.wire import new_uuid
from imagesmith.sandbox.state import Image, Instance, Volume, now

if TYPE_CHECKING:
    from imagesmith.sandbox.openstack.site import Site

NO_HOST = "No valid host was found. There are not enough hosts available."
_GIB = 1024**3
_BY_ITSELF = "Client.InstanceInitiatedShutdown"


@dataclass
class Order:
    """One server as it was asked for, already checked.

    It boots an image unless `volume_gib` asks for a root volume of that size, or `volume` is one.
    """

    name: str
    flavor: config.Flavor
    machine_image: Image
    image: GlanceImage | None
    network: addresses.Network | None
    group_ids: list[str]
    key_name: str = ""
    user_data: str = ""
    config_drive: bool = False
    description: str | None = None
    volume_gib: int = 0
    volume: BlockVolume | None = None
    keep_volume: bool = True
    metadata: dict[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)


class View(NamedTuple):
    """The states in Nova's words; `power_state` 0 is unknown, 1 running, 4 shut down."""

    status: str
    vm_state: str
    task_state: str | None
    power_state: int


def launch(site: "Site", order: Order) -> Server:
    """A server in status BUILD."""
    boots_volume = bool(order.volume_gib or order.volume)
    server = Server(
        id=new_uuid(),
        name=order.name,
        flavor=order.flavor.name,
        image_id="" if boots_volume or order.image is None else order.image.id,
        key_name=order.key_name,
        description=order.description,
        metadata=dict(order.metadata),
        source_properties=dict(order.image.properties) if order.image else {},
        config_drive=order.config_drive,
        tags=dict.fromkeys(order.tags, ""),
        updated=now(),
    )
    site.state.save(server)
    refusal = _refusal(site, order, boots_volume=boots_volume)
    if refusal:
        site.cloud.begin(_fail_later(site, server, refusal))
        return server
    instance = _instance(site, server, order)
    server.instance_id = instance.id
    site.state.save(server)
    if boots_volume:
        _attach(site, server, order, instance)
    if order.network is not None:
        fixed = instance.address if order.network.external else instance.private_address
        addresses.new_port(site, server.id, order.network, address=fixed, group_ids=order.group_ids)
    return server


def delete(site: "Site", server: Server) -> None:
    """Begins to remove the server; an image that is being saved of it vanishes."""
    server.deleting, server.task_state = True, "deleting"
    site.state.save(server)
    images.vanish(site, server)
    instance = site.state.instances.get(server.instance_id)
    if instance is None or instance.state == "terminated":
        _forget(site, server)
    else:
        site.cloud.terminate(instance)


def changed(site: "Site", instance: Instance) -> None:
    """What a change of the instance means for its server."""
    server = next((each for each in site.state.servers.values() if each.instance_id == instance.id), None)
    if server is None:
        return
    server.updated = now()
    if instance.state == "terminated" and server.deleting:
        _forget(site, server)
        return
    if instance.state == "terminated" and not server.fault:
        _fail(site, server, (instance.state_reason or ("", "the machine is gone"))[1])
        return
    if instance.state in ("running", "stopped") and not server.launched_at:
        server.launched_at = now()
    site.state.save(server)


def settle(site: "Site") -> None:
    """After a start: what was half done is done, or has failed."""
    for server in list(site.state.servers.values()):
        instance = site.state.instances.get(server.instance_id)
        gone = instance is None or instance.state == "terminated"
        if gone and server.deleting:
            _forget(site, server)
        elif gone and not server.fault:
            _fail(site, server, "the sandbox was ended while the server was being built")


def view(site: "Site", server: Server) -> View:
    """The server's states now."""
    if server.fault:
        return View("ERROR", "error", server.task_state or None, 0)
    instance = site.state.instances.get(server.instance_id)
    if instance is None or not server.launched_at:
        return View("BUILD", "building", server.task_state or "spawning", 0)
    by_itself = instance.state_reason is not None and instance.state_reason[0] == _BY_ITSELF
    found = {
        "pending": View("SHUTOFF", "stopped", "powering-on", 4),
        "running": View("ACTIVE", "active", None, 1),
        "rebooting": View("REBOOT", "active", "rebooting", 1),
        "stopping": View("ACTIVE", "active", None if by_itself else "powering-off", 1),
        "stopped": View("SHUTOFF", "stopped", None, 4),
    }.get(instance.state, View("ACTIVE", "active", "deleting", 1))
    return found._replace(task_state=server.task_state) if server.task_state else found


def address_of(site: "Site", server: Server) -> str:
    """The address at which the server's SSH may answer, or an empty string."""
    for port in site.state.ports.values():
        if port.server_id == server.id:
            floating = addresses.floating_of(site, port)
            network = addresses.network(site, port.network_id)
            if floating is not None:
                return floating.address
            return port.fixed_address if network is not None and network.external else ""
    return ""


def root_volume(site: "Site", server: Server) -> BlockVolume | None:
    """The volume that the server was booted from."""
    return next((each for each in site.state.block_volumes.values() if each.server_id == server.id), None)


def _refusal(site: "Site", order: Order, *, boots_volume: bool) -> str:
    """Why no machine can be had for the order, which is found out after it was accepted."""
    if site.dooms:
        return site.dooms.pop(0)
    if not boots_volume and order.flavor.disk_gib < order.machine_image.disk_gib:
        sizes = f"Flavor disk is {order.flavor.disk_gib * _GIB} bytes, image is {order.machine_image.disk_gib * _GIB}"
        return f"Build of instance aborted: Flavor's disk is too small for requested image. {sizes} bytes."
    if order.machine_image.kind == "qemu" and site.cloud.host.room() < 1:
        return NO_HOST
    return ""


def _instance(site: "Site", server: Server, order: Order) -> Instance:
    volume = site.state.volumes[order.volume.volume_id] if order.volume else None
    if volume is not None:
        volume.delete_on_termination = not order.keep_volume
    fixed = addresses.free_fixed(site, order.network) if order.network else ""
    request = Launch(
        order.machine_image,
        order.flavor.name,
        key_name=order.key_name,
        user_data=order.user_data,
        disk_gib=order.volume_gib or order.flavor.disk_gib,
        keep_disk=bool(order.volume_gib) and order.keep_volume,
        hostname=_hostname(order.name),
        private_address=fixed,
        volume=volume,
    )
    return site.cloud.launch(request)[0]


def _attach(site: "Site", server: Server, order: Order, instance: Instance) -> None:
    volume: Volume = site.state.volumes[instance.volume_id]
    root = order.volume or BlockVolume(
        id=new_uuid(),
        name="",
        volume_id=volume.id,
        kind=instance.kind,
        size_gib=volume.size_gib,
        image_id=order.image.id if order.image else "",
    )
    root.server_id = server.id
    site.state.save(root)


async def _fail_later(site: "Site", server: Server, reason: str) -> None:
    await asyncio.sleep(site.timings.boot_s)
    if server.id in site.state.servers:
        _fail(site, server, reason)


def _fail(site: "Site", server: Server, reason: str) -> None:
    server.fault, server.fault_at, server.task_state = reason, now(), ""
    site.state.save(server)


def _forget(site: "Site", server: Server) -> None:
    for port in [each for each in site.state.ports.values() if each.server_id == server.id]:
        addresses.remove_port(site, port)
    for root in [each for each in site.state.block_volumes.values() if each.server_id == server.id]:
        if root.volume_id in site.state.volumes:
            root.server_id = ""
            site.state.save(root)
        else:
            site.state.remove(root)
    site.state.remove(server)


def _hostname(name: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:63] or "server"
