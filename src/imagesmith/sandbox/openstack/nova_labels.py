"""Metadata and tags of servers."""

from imagesmith.sandbox.openstack.nova_views import server_of
from imagesmith.sandbox.openstack.things import Server
from imagesmith.sandbox.openstack.wire import Call, Problem, Reply, Rule

_TAGS_SINCE = (2, 26)


def show_metadata(call: Call) -> Reply:
    """All of it."""
    return Reply({"metadata": server_of(call).metadata})


def set_metadata(call: Call) -> Reply:
    """POST adds to what is there, PUT replaces it."""
    server, wanted = server_of(call), call.document("metadata")
    kept = server.metadata if call.method == "POST" else {}
    server.metadata = {**kept, **{str(name): str(value) for name, value in wanted.items()}}
    call.site.state.save(server)
    return Reply({"metadata": server.metadata})


def delete_metadata(call: Call) -> Reply:
    """One entry less."""
    server, name = server_of(call), call.parameters["name"]
    if server.metadata.pop(name, None) is None:
        raise Problem(404, "Metadata item was not found")
    call.site.state.save(server)
    return Reply(status=204)


def show_tags(call: Call) -> Reply:
    """All of them."""
    return Reply({"tags": list(_tagged(call).tags)})


def replace_tags(call: Call) -> Reply:
    """These instead of what is there."""
    server = _tagged(call)
    server.tags = dict.fromkeys((call.body or {}).get("tags", []), "")
    call.site.state.save(server)
    return Reply({"tags": list(server.tags)})


def clear_tags(call: Call) -> Reply:
    """None."""
    server = _tagged(call)
    server.tags = {}
    call.site.state.save(server)
    return Reply(status=204)


def show_tag(call: Call) -> Reply:
    """Nothing if it is there, else 404."""
    if call.parameters["tag"] not in _tagged(call).tags:
        raise Problem(404, f"Server has no tag '{call.parameters['tag']}'")
    return Reply(status=204)


def add_tag(call: Call) -> Reply:
    """One more."""
    server = _tagged(call)
    new = call.parameters["tag"] not in server.tags
    server.tags[call.parameters["tag"]] = ""
    call.site.state.save(server)
    return Reply(status=201 if new else 204)


def delete_tag(call: Call) -> Reply:
    """One less."""
    server = _tagged(call)
    if server.tags.pop(call.parameters["tag"], None) is None:
        raise Problem(404, f"Server has no tag '{call.parameters['tag']}'")
    call.site.state.save(server)
    return Reply(status=204)


def _tagged(call: Call) -> Server:
    if call.version < _TAGS_SINCE:
        raise Problem(404, "The resource could not be found.")
    return server_of(call)


_ONE = "/servers/{server_id}"
RULES = (
    Rule("GET", _ONE + "/metadata", show_metadata),
    Rule("POST", _ONE + "/metadata", set_metadata),
    Rule("PUT", _ONE + "/metadata", set_metadata),
    Rule("DELETE", _ONE + "/metadata/{name}", delete_metadata),
    Rule("GET", _ONE + "/tags", show_tags),
    Rule("PUT", _ONE + "/tags", replace_tags),
    Rule("DELETE", _ONE + "/tags", clear_tags),
    Rule("GET", _ONE + "/tags/{tag}", show_tag),
    Rule("PUT", _ONE + "/tags/{tag}", add_tag),
    Rule("DELETE", _ONE + "/tags/{tag}", delete_tag),
)
