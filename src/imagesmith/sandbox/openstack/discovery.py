"""Version documents, as each service gives them to a client that has only its address."""

from collections.abc import Iterator
from typing import Any

from imagesmith.sandbox.openstack.wire import Call, Document, Handler, Reply

_NOVA_TYPE = "application/vnd.openstack.compute+json;version=2.1"


def documents(*, havana: bool) -> Iterator[tuple[str, str, Handler]]:
    """Service, path and handler of each document of a site."""
    if havana:
        yield "identity", "/identity", lambda call: Reply({"versions": {"values": [_identity_v2(call)]}}, 300)
        yield "identity", "/identity/v2.0", lambda call: Reply({"version": _identity_v2(call)})
        yield "compute", "/compute", lambda call: Reply({"versions": [_compute_v2(call)]})
        yield "compute", "/compute/v2", lambda call: Reply({"version": _compute_v2(call)})
        yield "image", "/image", lambda call: Reply({"versions": _images(call, ["2.2", "2.1", "2.0", "1.1"])}, 300)
        return
    yield "identity", "/identity", lambda call: Reply({"versions": {"values": [_identity_v3(call)]}}, 300)
    yield "identity", "/identity/v3", lambda call: Reply({"version": _identity_v3(call)})
    yield "compute", "/compute", lambda call: Reply({"versions": [_compute_v21(call)]})
    yield "compute", "/compute/v2.1", lambda call: Reply({"version": _compute_v21(call)})
    yield "image", "/image", lambda call: Reply({"versions": _images(call, ["2.9", "2.7", "2.6", "2.5", "2.0"])}, 300)
    yield "network", "/network", lambda call: Reply({"versions": [_network(call)]})
    yield "network", "/network/v2.0", _network_resources
    yield "volume", "/volume", lambda call: Reply({"versions": [_volume(call)]}, 300)
    yield "volume", "/volume/v3", lambda call: Reply({"versions": [_volume(call)]})


def _links(call: Call, path: str) -> list[Document]:
    return [{"rel": "self", "href": f"{call.base}{path}/"}]


def _identity_v2(call: Call) -> Document:
    return {
        "id": "v2.0",
        "status": "stable",
        "updated": "2013-03-06T00:00:00Z",
        "links": _links(call, "/identity/v2.0"),
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v2.0+json"}],
    }


def _identity_v3(call: Call) -> Document:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": _links(call, "/identity/v3"),
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }


def _compute_v2(call: Call) -> Document:
    return {
        "id": "v2.0",
        "status": "CURRENT",
        "updated": "2011-01-21T11:33:21Z",
        "links": _links(call, "/compute/v2"),
    }


def _compute_v21(call: Call) -> Document:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": "2.93",
        "min_version": "2.1",
        "updated": "2013-07-23T11:33:21Z",
        "links": _links(call, "/compute/v2.1"),
        "media-types": [{"base": "application/json", "type": _NOVA_TYPE}],
    }


def _images(call: Call, versions: list[str]) -> list[Document]:
    """Each minor version is listed; they share the path of their major one."""
    return [
        {
            "id": f"v{version}",
            "status": "CURRENT" if version == versions[0] else "SUPPORTED",
            "links": _links(call, f"/image/v{version.partition('.')[0]}"),
        }
        for version in versions
    ]


def _network(call: Call) -> Document:
    return {"id": "v2.0", "status": "CURRENT", "links": _links(call, "/network/v2.0")}


def _network_resources(call: Call) -> Reply:
    names = ("networks", "subnets", "ports", "routers", "security-groups", "security-group-rules", "floatingips")
    resources: list[dict[str, Any]] = [
        {
            "name": name.rstrip("s").replace("-", "_"),
            "collection": name.replace("-", "_"),
            "links": [{"rel": "self", "href": f"{call.base}/network/v2.0/{name}"}],
        }
        for name in names
    ]
    return Reply({"resources": resources})


def _volume(call: Call) -> Document:
    return {
        "id": "v3.0",
        "status": "CURRENT",
        "version": "3.0",
        "min_version": "3.0",
        "updated": "2023-08-31T00:00:00Z",
        "links": _links(call, "/volume/v3"),
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.volume+json;version=3"}],
    }
