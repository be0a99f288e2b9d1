"""Servers: listed, shown, changed, deleted."""

import re

from imagesmith.sandbox.openstack import addresses, life
from imagesmith.sandbox.openstack.nova_create import create_server
from imagesmith.sandbox.openstack.nova_views import addresses_of, brief, compute_url, detail, server_of
from imagesmith.sandbox.openstack.things import Port, Server
from imagesmith.sandbox.openstack.wire import Call, Document, Problem, Reply, Rule

_PAGE = 1000
_TAGS_SINCE = (2, 26)


def list_servers(call: Call) -> Reply:
    """Ids and names."""
    return _listed(call, "servers", [brief(call, server) for server in _chosen(call)])


def list_details(call: Call) -> Reply:
    """Servers with all that is told of them."""
    return _listed(call, "servers/detail", [detail(call, server) for server in _chosen(call)])


def show_server(call: Call) -> Reply:
    """One server."""
    return Reply({"server": detail(call, server_of(call))})


def update_server(call: Call) -> Reply:
    """A new name or description."""
    server, wanted = server_of(call), call.document("server")
    server.name = str(wanted.get("name", server.name))
    server.description = wanted.get("description", server.description)
    call.site.state.save(server)
    return Reply({"server": detail(call, server)})


def delete_server(call: Call) -> Reply:
    """Accepted in every state."""
    life.delete(call.site, server_of(call))
    return Reply(status=204)


def show_addresses(call: Call) -> Reply:
    """Addresses by network."""
    return Reply({"addresses": addresses_of(call, server_of(call))})


def list_interfaces(call: Call) -> Reply:
    """The server's ports as Nova shows them."""
    return Reply({"interfaceAttachments": [_interface(call, port) for port in _ports(call)]})


def list_attachments(call: Call) -> Reply:
    """The volumes of the server."""
    server = server_of(call)
    root = life.root_volume(call.site, server)
    shown = {"id": root.id, "volumeId": root.id, "serverId": server.id, "device": "/dev/vda"} if root else None
    return Reply({"volumeAttachments": [shown] if shown else []})


def list_groups(call: Call) -> Reply:
    """The server's security groups."""
    groups = call.site.state.security_groups
    ids = [group_id for port in _ports(call) for group_id in port.group_ids if group_id in groups]
    project = call.site.facts.project_id
    shown = [
        {"id": each, "name": groups[each].name, "description": groups[each].description, "tenant_id": project}
        for each in ids
    ]
    return Reply({"security_groups": [{**each, "rules": []} for each in shown]})


def _chosen(call: Call) -> list[Server]:
    """The newest first, as Nova has them; what a plain user may not filter by is ignored, as there."""
    if call.query.get("all_tenants", "0") not in ("0", "False", "false"):
        raise Problem(403, "Policy doesn't allow os_compute_api:servers:index:get_all_tenants to be performed.")
    found = [server for server in reversed(call.site.state.servers.values()) if _matches(call, server)]
    marker = call.query.get("marker")
    if marker:
        ids = [server.id for server in found]
        if marker not in ids:
            raise Problem(400, f"marker [{marker}] not found")
        found = found[ids.index(marker) + 1 :]
    return found[: min(_PAGE, call.number("limit", _PAGE))]


def _matches(call: Call, server: Server) -> bool:
    query = call.query
    name, status = query.get("name"), query.getlist("status")
    if name and not _found(name, server.name):
        return False
    if status and life.view(call.site, server).status not in [each.upper() for each in status]:
        return False
    if query.get("image") and not query["image"].endswith(server.image_id or "none"):
        return False
    if query.get("uuid") and query["uuid"] != server.id:
        return False
    return call.version < _TAGS_SINCE or _tags_match(call, server)


def _tags_match(call: Call, server: Server) -> bool:
    has = set(server.tags)

    def asked(name: str) -> set[str]:
        return set(filter(None, call.query.get(name, "").split(",")))

    if not asked("tags") <= has or (asked("not-tags-any") & has):
        return False
    if asked("tags-any") and not asked("tags-any") & has:
        return False
    return not (asked("not-tags") and asked("not-tags") <= has)


def _found(pattern: str, name: str) -> bool:
    """Nova takes a name for a regular expression."""
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return pattern in name


def _listed(call: Call, path: str, shown: list[Document]) -> Reply:
    body: Document = {"servers": shown}
    if shown and len(shown) == call.number("limit", _PAGE):
        href = f"{compute_url(call)}/{path}?limit={len(shown)}&marker={shown[-1]['id']}"
        body["servers_links"] = [{"rel": "next", "href": href}]
    return Reply(body)


def _ports(call: Call) -> list[Port]:
    server = server_of(call)
    return [port for port in call.site.state.ports.values() if port.server_id == server.id]


def _interface(call: Call, port: Port) -> Document:
    network = addresses.network(call.site, port.network_id)
    subnet = network.subnet_id if network else ""
    return {
        "port_id": port.id,
        "net_id": port.network_id,
        "mac_addr": port.mac,
        "port_state": "ACTIVE",
        "fixed_ips": [{"ip_address": port.fixed_address, "subnet_id": subnet}],
    }


_ONE = "/servers/{server_id}"
RULES = (
    Rule("GET", "/servers", list_servers),
    Rule("POST", "/servers", create_server),
    Rule("GET", "/servers/detail", list_details),
    Rule("GET", _ONE, show_server),
    Rule("PUT", _ONE, update_server),
    Rule("DELETE", _ONE, delete_server),
    Rule("GET", _ONE + "/ips", show_addresses),
    Rule("GET", _ONE + "/os-interface", list_interfaces),
    Rule("GET", _ONE + "/os-volume_attachments", list_attachments),
    Rule("GET", _ONE + "/os-security-groups", list_groups),
)
