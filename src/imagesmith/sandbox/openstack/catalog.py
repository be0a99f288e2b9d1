"""The catalog: the one place all URLs come from."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imagesmith.sandbox.openstack.sites import REGION
from imagesmith.sandbox.openstack.wire import Document

if TYPE_CHECKING:
    from imagesmith.sandbox.openstack.site import Site

_INTERFACES = ("public", "internal", "admin")


def v3(site: "Site") -> list[Document]:
    """In the form of Keystone v3."""
    return [
        {
            "id": site.facts.id_of(f"service {name}").replace("-", ""),
            "type": kind,
            "name": name,
            "endpoints": [
                {
                    "id": site.facts.id_of(f"endpoint {name} {interface}").replace("-", ""),
                    "interface": interface,
                    "region": REGION,
                    "region_id": REGION,
                    "url": url,
                }
                for interface in _INTERFACES
            ],
        }
        for kind, name, url in _services(site)
    ]


def v2(site: "Site") -> list[Document]:
    """In the form of Keystone v2.0."""
    return [
        {
            "type": kind,
            "name": name,
            "endpoints_links": [],
            "endpoints": [
                {
                    "id": site.facts.id_of(f"endpoint {name}").replace("-", ""),
                    "region": REGION,
                    **{f"{interface}URL": url for interface in _INTERFACES},
                }
            ],
        }
        for kind, name, url in _services(site)
    ]


def _services(site: "Site") -> Iterator[tuple[str, str, str]]:
    project = site.facts.project_id
    if site.facts.havana:
        yield "identity", "keystone", f"{site.url}/identity/v2.0"
        yield "compute", "nova", f"{site.url}/compute/v2/{project}"
        yield "image", "glance", f"{site.url}/image"
        return
    yield "identity", "keystone", f"{site.url}/identity/v3"
    yield "compute", "nova", f"{site.url}/compute/v2.1"
    yield "image", "glance", f"{site.url}/image"
    yield "network", "neutron", f"{site.url}/network"
    yield "volumev3", "cinderv3", f"{site.url}/volume/v3/{project}"
