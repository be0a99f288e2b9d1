"""Flavors."""

from imagesmith.sandbox import config
from imagesmith.sandbox.config import Flavor
from imagesmith.sandbox.openstack.nova_views import links
from imagesmith.sandbox.openstack.wire import Call, Document, Problem, Reply, Rule


def find_flavor(flavor_id: str) -> Flavor | None:
    """The flavor of this id."""
    return next((each for each in config.FLAVORS.values() if each.id == flavor_id), None)


def list_flavors(call: Call) -> Reply:
    """Ids and names."""
    shown = [{"id": each.id, "name": each.name, "links": links(call, f"flavors/{each.id}")} for each in _chosen(call)]
    return Reply({"flavors": shown})


def list_details(call: Call) -> Reply:
    """Flavors with their sizes."""
    return Reply({"flavors": [_shown(call, each) for each in _chosen(call)]})


def show_flavor(call: Call) -> Reply:
    """One flavor by its id."""
    return Reply({"flavor": _shown(call, _asked_for(call))})


def show_extra_specs(call: Call) -> Reply:
    """None."""
    _asked_for(call)
    return Reply({"extra_specs": {}})


def _asked_for(call: Call) -> Flavor:
    found = find_flavor(call.parameters["flavor_id"])
    if found is None:
        raise Problem(404, f"Flavor {call.parameters['flavor_id']} could not be found.")
    return found


def _chosen(call: Call) -> list[Flavor]:
    """Those large enough, after the marker."""
    least = {name: call.number(name, 0) for name in ("minDisk", "minRam")}
    found = [
        each
        for each in config.FLAVORS.values()
        if each.disk_gib >= least["minDisk"] and each.memory_mib >= least["minRam"]
    ]
    ids = [each.id for each in found]
    marker = call.query.get("marker")
    if marker in ids:
        found = found[ids.index(marker) + 1 :]
    return found[: call.number("limit", 1000)]


def _shown(call: Call, flavor: Flavor) -> Document:
    shown: Document = {
        "id": flavor.id,
        "name": flavor.name,
        "vcpus": flavor.vcpus,
        "ram": flavor.memory_mib,
        "disk": flavor.disk_gib,
        "swap": 0 if call.version >= (2, 75) else "",
        "OS-FLV-EXT-DATA:ephemeral": 0,
        "OS-FLV-DISABLED:disabled": False,
        "os-flavor-access:is_public": True,
        "rxtx_factor": 1.0,
        "links": links(call, f"flavors/{flavor.id}"),
    }
    if call.version >= (2, 55):
        shown["description"] = None
    if call.version >= (2, 61):
        shown["extra_specs"] = {}
    return shown


RULES = (
    Rule("GET", "/flavors", list_flavors),
    Rule("GET", "/flavors/detail", list_details),
    Rule("GET", "/flavors/{flavor_id}", show_flavor),
    Rule("GET", "/flavors/{flavor_id}/os-extra_specs", show_extra_specs),
)
