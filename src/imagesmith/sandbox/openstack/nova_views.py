"""Servers as documents, for each microversion what it adds."""

import hashlib

from imagesmith.sandbox import config
from imagesmith.sandbox.openstack import addresses, life
from imagesmith.sandbox.openstack.sites import ZONE
from imagesmith.sandbox.openstack.things import Server
from imagesmith.sandbox.openstack.wire import Call, Document, Problem, moment


def compute_url(call: Call) -> str:
    """The service's URL as the catalog has it."""
    if call.site.facts.havana:
        return f"{call.base}/compute/v2/{call.site.facts.project_id}"
    return f"{call.base}/compute/v2.1"


def links(call: Call, path: str) -> list[Document]:
    """A thing's own address, with and without the version."""
    bookmark = f"{call.base}/compute/{call.site.facts.project_id if call.site.facts.havana else ''}".rstrip("/")
    return [
        {"rel": "self", "href": f"{compute_url(call)}/{path}"},
        {"rel": "bookmark", "href": f"{bookmark}/{path}"},
    ]


def server_of(call: Call) -> Server:
    """The server of the path; raises Problem 404."""
    server_id = call.parameters["server_id"]
    try:
        return call.site.state.servers[server_id]
    except KeyError:
        raise Problem(404, f"Instance {server_id} could not be found.") from None


def brief(call: Call, server: Server) -> Document:
    """Id, name and links."""
    return {"id": server.id, "name": server.name, "links": links(call, f"servers/{server.id}")}


def detail(call: Call, server: Server) -> Document:
    """All that Nova tells of a server."""
    seen, facts = life.view(call.site, server), call.site.facts
    root = life.root_volume(call.site, server)
    shown: Document = {
        **brief(call, server),
        "status": seen.status,
        "tenant_id": facts.project_id,
        "user_id": facts.user_id,
        "hostId": hashlib.sha224(f"{facts.project_id}sandbox".encode()).hexdigest(),
        "metadata": server.metadata,
        "image": _image(call, server),
        "flavor": _flavor(call, server),
        "created": moment(server.created),
        "updated": moment(server.updated),
        "addresses": addresses_of(call, server) if server.launched_at else {},
        "accessIPv4": "",
        "accessIPv6": "",
        "key_name": server.key_name or None,
        "config_drive": "True" if server.config_drive else "",
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-AZ:availability_zone": ZONE,
        "OS-EXT-STS:power_state": seen.power_state,
        "OS-EXT-STS:task_state": seen.task_state,
        "OS-EXT-STS:vm_state": seen.vm_state,
        "OS-SRV-USG:launched_at": moment(server.launched_at, zone=".000000") if server.launched_at else None,
        "OS-SRV-USG:terminated_at": None,
        "os-extended-volumes:volumes_attached": [{"id": root.id}] if root else [],
    }
    names = sorted(_group_names(call, server))
    if names:
        shown["security_groups"] = [{"name": name} for name in names]
    if seen.status in ("ACTIVE", "BUILD"):
        shown["progress"] = 100 if seen.status == "ACTIVE" else 0
    if server.fault:
        shown["fault"] = {"code": 500, "created": moment(server.fault_at), "message": server.fault}
    return {**shown, **_newer(call, server)}


def addresses_of(call: Call, server: Server) -> Document:
    """Addresses by the network's name: the fixed one, then the floating one that leads to it."""
    found: Document = {}
    for port in call.site.state.ports.values():
        network = addresses.network(call.site, port.network_id)
        if port.server_id != server.id or network is None:
            continue
        pairs = [("fixed", port.fixed_address)]
        floating = addresses.floating_of(call.site, port)
        if floating is not None:
            pairs.append(("floating", floating.address))
        found.setdefault(network.name, []).extend(
            {"version": 4, "addr": addr, "OS-EXT-IPS:type": kind, "OS-EXT-IPS-MAC:mac_addr": port.mac}
            for kind, addr in pairs
        )
    return found


def _group_names(call: Call, server: Server) -> list[str]:
    groups = call.site.state.security_groups
    ports = [port for port in call.site.state.ports.values() if port.server_id == server.id]
    return [groups[group_id].name for port in ports for group_id in port.group_ids if group_id in groups]


def _image(call: Call, server: Server) -> Document | str:
    if not server.image_id:
        return ""  # booted from a volume
    bookmark = {"rel": "bookmark", "href": f"{call.base}/compute/images/{server.image_id}"}
    return {"id": server.image_id, "links": [bookmark]}


def _flavor(call: Call, server: Server) -> Document:
    flavor = config.FLAVORS[server.flavor]
    if call.version >= (2, 47):
        return {
            "original_name": flavor.name,
            "vcpus": flavor.vcpus,
            "ram": flavor.memory_mib,
            "disk": flavor.disk_gib,
            "ephemeral": 0,
            "swap": 0,
            "extra_specs": {},
        }
    return {"id": flavor.id, "links": links(call, f"flavors/{flavor.id}")[1:]}


def _newer(call: Call, server: Server) -> Document:
    """What the later microversions have added."""
    root = life.root_volume(call.site, server)
    volume = call.site.state.volumes.get(root.volume_id) if root else None
    added: list[tuple[int, Document]] = [
        (9, {"locked": False}),
        (19, {"description": server.description}),
        (26, {"tags": list(server.tags)}),
        (63, {"trusted_image_certificates": None}),
        (71, {"server_groups": []}),
        (73, {"locked_reason": None}),
    ]
    if root is not None and volume is not None:
        attached = {"id": root.id, "delete_on_termination": volume.delete_on_termination}
        added.append((3, {"os-extended-volumes:volumes_attached": [attached]}))
    found: Document = {}
    for minor, content in added:
        if call.version >= (2, minor):
            found |= content
    return found
