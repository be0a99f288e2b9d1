"""Neutron: tags on what clients make; those of networks and subnets, which are the operator's, can't be changed."""

from imagesmith.sandbox.openstack.neutron import missing
from imagesmith.sandbox.openstack.wire import Call, Problem, Reply, Rule
from imagesmith.sandbox.state import Thing


def show_tags(call: Call) -> Reply:
    """All of them."""
    return Reply({"tags": list(_tagged(call).tags)})


def replace_tags(call: Call) -> Reply:
    """These instead of what is there."""
    thing, wanted = _tagged(call), (call.body or {}).get("tags")
    if not isinstance(wanted, list):
        raise Problem(400, "Invalid input for tags: a list is needed.")
    thing.tags = dict.fromkeys(wanted, "")
    call.site.state.save(thing)
    return Reply({"tags": list(thing.tags)})


def add_tag(call: Call) -> Reply:
    """One more."""
    thing = _tagged(call)
    thing.tags[call.parameters["tag"]] = ""
    call.site.state.save(thing)
    return Reply(status=201)


def show_tag(call: Call) -> Reply:
    """Nothing if it is there, else 404."""
    if call.parameters["tag"] not in _tagged(call).tags:
        raise Problem(404, f"Tag {call.parameters['tag']} could not be found.", kind="TagNotFound")
    return Reply(status=204)


def delete_tag(call: Call) -> Reply:
    """One less."""
    show_tag(call)
    thing = _tagged(call)
    del thing.tags[call.parameters["tag"]]
    call.site.state.save(thing)
    return Reply(status=204)


def _tagged(call: Call) -> Thing:
    state = call.site.state
    tables: dict[str, dict[str, Thing]] = {
        "security-groups": {**state.security_groups},
        "floatingips": {**state.floating_ips},
        "ports": {**state.ports},
    }
    kind, thing_id = call.parameters["kind"], call.parameters["thing_id"]
    if kind not in tables:
        raise Problem(501, f"The sandbox keeps no tags of {kind}.")
    if thing_id not in tables[kind]:
        raise missing("Resource", thing_id)
    return tables[kind][thing_id]


_TAGS = "/{kind}/{thing_id}/tags"
RULES = (
    Rule("GET", _TAGS, show_tags),
    Rule("PUT", _TAGS, replace_tags),
    Rule("PUT", _TAGS + "/{tag}", add_tag),
    Rule("GET", _TAGS + "/{tag}", show_tag),
    Rule("DELETE", _TAGS + "/{tag}", delete_tag),
)
