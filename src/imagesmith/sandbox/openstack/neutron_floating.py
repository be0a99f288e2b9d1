"""Neutron: floating IPs."""

from imagesmith.sandbox.openstack import addresses
from imagesmith.sandbox.openstack.neutron import missing
from imagesmith.sandbox.openstack.neutron_query import listed
from imagesmith.sandbox.openstack.things import FloatingIP, Port
from imagesmith.sandbox.openstack.wire import Call, Document, Problem, Reply, Rule, moment

_WRITABLE = {"floating_network_id", "port_id", "fixed_ip_address", "description", "tenant_id", "project_id"}


def list_floating_ips(call: Call) -> Reply:
    """The project's addresses."""
    found = [_shown(call, floating) for floating in call.site.state.floating_ips.values()]
    return Reply({"floatingips": listed(call, found)})


def create_floating_ip(call: Call) -> Reply:
    """A new address, leading to the port if one is named."""
    wanted = call.document("floatingip")
    unknown = sorted(set(wanted) - _WRITABLE)
    if unknown:
        raise Problem(400, f"Attribute '{unknown[0]}' not allowed in POST", kind="HTTPBadRequest")
    network_id = str(wanted.get("floating_network_id") or "")
    network = addresses.network(call.site, network_id)
    if network is None:
        raise missing("Network", network_id)
    if not network.external:
        raise Problem(400, f"Bad floatingip request: Network {network_id} is not a valid external network.")
    port = _port(call, wanted)
    _check_free(call, port)
    floating = addresses.allocate(call.site, description=str(wanted.get("description") or ""))
    if floating is None:
        raise Problem(409, "Quota exceeded for resources: ['floatingip'].", kind="OverQuota")
    if port is not None:
        addresses.lead(call.site, floating, port)
    return Reply({"floatingip": _shown(call, floating)}, 201)


def show_floating_ip(call: Call) -> Reply:
    """One address."""
    return Reply({"floatingip": _shown(call, _floating_of(call))})


def update_floating_ip(call: Call) -> Reply:
    """Leads to another port, or to none; a new description."""
    floating, wanted = _floating_of(call), call.document("floatingip")
    floating.description = str(wanted.get("description", floating.description))
    if "port_id" in wanted:
        port = _port(call, wanted)
        _check_free(call, port, but=floating)
        addresses.lead(call.site, floating, port)
    call.site.state.save(floating)
    return Reply({"floatingip": _shown(call, floating)})


def delete_floating_ip(call: Call) -> Reply:
    """Given back."""
    addresses.release(call.site, _floating_of(call))
    return Reply(status=204)


def _check_free(call: Call, port: Port | None, *, but: FloatingIP | None = None) -> None:
    before = addresses.floating_of(call.site, port) if port else None
    if port is not None and before is not None and before is not but:
        public = addresses.networks(call.site)[0]
        raise Problem(
            409,
            f"Cannot associate a floating IP with port {port.id} using fixed IP {port.fixed_address}, as that fixed IP "
            f"already has a floating IP on external network {public.id}.",
            kind="FloatingIPPortAlreadyAssociated",
        )


def _floating_of(call: Call) -> FloatingIP:
    floating_id = call.parameters["floating_id"]
    try:
        return call.site.state.floating_ips[floating_id]
    except KeyError:
        message = f"Floating IP {floating_id} could not be found"
        raise Problem(404, message, kind="FloatingIPNotFound") from None


def _port(call: Call, wanted: Document) -> Port | None:
    port_id = wanted.get("port_id")
    if not port_id:
        return None
    port = call.site.state.ports.get(str(port_id))
    if port is None:
        raise missing("Port", str(port_id))
    return port


def _shown(call: Call, floating: FloatingIP) -> Document:
    project = call.site.facts.project_id
    port = call.site.state.ports.get(floating.port_id)
    details = {
        "name": "",
        "network_id": port.network_id,
        "mac_address": port.mac,
        "admin_state_up": True,
        "status": "ACTIVE",
        "device_id": port.server_id,
        "device_owner": "compute:nova",
    } if port else None  # fmt: skip
    return {
        "id": floating.id,
        "floating_ip_address": floating.address,
        "floating_network_id": addresses.networks(call.site)[0].id,
        "port_id": port.id if port else None,
        "fixed_ip_address": port.fixed_address if port else None,
        "router_id": call.site.facts.id_of("router") if port else None,
        "status": "ACTIVE" if port else "DOWN",
        "description": floating.description,
        "tags": list(floating.tags),
        "tenant_id": project,
        "project_id": project,
        "port_details": details,
        "port_forwardings": [],
        "qos_policy_id": None,
        "created_at": moment(floating.created),
        "updated_at": moment(floating.updated),
        "revision_number": 1,
    }


RULES = (
    Rule("GET", "/floatingips", list_floating_ips),
    Rule("POST", "/floatingips", create_floating_ip),
    Rule("GET", "/floatingips/{floating_id}", show_floating_ip),
    Rule("PUT", "/floatingips/{floating_id}", update_floating_ip),
    Rule("DELETE", "/floatingips/{floating_id}", delete_floating_ip),
)
