"""A site's networks, the fixed addresses on them, and the floating addresses that lead to servers.

A fixed address on the private network is one that nobody answers at, so that a build has to bring a floating IP. It is
of 198.18.0.0/15, which RFC 2544 keeps for laboratories: a client that tries it anyway meets no stranger.
"""

import ipaddress
import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagesmith.sandbox.openstack import groups
from imagesmith.sandbox.openstack.forwarding import Forwarder
from imagesmith.sandbox.openstack.things import FloatingIP, Port
from imagesmith.sandbox.openstack.wire import Problem, new_uuid
from imagesmith.sandbox.state import now

if TYPE_CHECKING:
    from imagesmith.sandbox.openstack.site import Site

_FIRST_HOST = 10

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Network:
    """One of a site's two networks."""

    id: str
    subnet_id: str
    name: str
    cidr: str
    external: bool
    owner: str

    @property
    def gateway(self) -> str:
        """The first address."""
        return str(ipaddress.ip_network(self.cidr)[1])


def networks(site: "Site") -> list[Network]:
    """The external network and the project's own."""
    facts = site.facts
    private = f"198.18.{16 * facts.number}.0/20"
    ids = facts.id_of
    return [
        Network(
            ids("public"),
            ids("public4"),
            "public",
            site.cloud.host.addresses.network,
            external=True,
            owner=facts.operator_id,
        ),
        Network(ids("private"), ids("private4"), "private", private, external=False, owner=facts.project_id),
    ]


def network(site: "Site", network_id: str) -> Network | None:
    """The network of this id."""
    return next((each for each in networks(site) if each.id == network_id), None)


def usable_networks(site: "Site") -> list[Network]:
    """Those that a server may be put on."""
    return [each for each in networks(site) if not each.external or site.settings.public_shared]


def free_fixed(site: "Site", where: Network) -> str:
    """A free address of the project's network; on the public one the machine's own address serves."""
    if where.external:
        return ""
    taken = {port.fixed_address for port in site.state.ports.values()}
    hosts = ipaddress.ip_network(where.cidr)
    for number in range(_FIRST_HOST, hosts.num_addresses - 1):
        if str(hosts[number]) not in taken:
            return str(hosts[number])
    raise Problem(400, f"No more IP addresses available on network {where.id}.")


def new_port(site: "Site", server_id: str, where: Network, *, address: str, group_ids: list[str]) -> Port:
    """A port with the address."""
    mac = "fa:16:3e:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))
    port = Port(
        id=new_uuid(), server_id=server_id, network_id=where.id, fixed_address=address, mac=mac, group_ids=group_ids
    )
    site.state.save(port)
    return port


def remove_port(site: "Site", port: Port) -> None:
    """Forgets the port; its floating address stays, leading nowhere."""
    for floating in list(site.state.floating_ips.values()):
        if floating.port_id == port.id:
            lead(site, floating, None)
    site.state.remove(port)


def allocate(site: "Site", *, description: str = "") -> FloatingIP | None:
    """A floating address that is nobody else's, or None if the quota is used up."""
    limit = site.settings.floating_ips
    if 0 <= limit <= len(site.state.floating_ips):
        return None
    floating = FloatingIP(
        id=new_uuid(), address=site.cloud.host.addresses.take(), description=description, updated=now()
    )
    site.state.save(floating)
    return floating


def release(site: "Site", floating: FloatingIP) -> None:
    """Gives the address back."""
    lead(site, floating, None)
    site.state.remove(floating)
    site.cloud.host.addresses.give_back(floating.address)


def lead(site: "Site", floating: FloatingIP, port: Port | None) -> None:
    """Has the floating address lead to the port's server, or nowhere."""
    forwarder = site.forwarders.pop(floating.id, None)
    if forwarder is not None:
        forwarder.close()
    floating.port_id = port.id if port else ""
    floating.updated = now()
    site.state.save(floating)
    if port is not None:
        _open(site, floating, port)


def floating_of(site: "Site", port: Port) -> FloatingIP | None:
    """The floating address that leads to the port."""
    return next((each for each in site.state.floating_ips.values() if each.port_id == port.id), None)


def reopen(site: "Site") -> None:
    """After a start: floating addresses are taken, and lead where they did."""
    for floating in site.state.floating_ips.values():
        site.cloud.host.addresses.keep(floating.address)
        port = site.state.ports.get(floating.port_id)
        if port is not None:
            _open(site, floating, port)


def _open(site: "Site", floating: FloatingIP, port: Port) -> None:
    server = site.state.servers[port.server_id]
    instance = site.state.instances.get(server.instance_id)
    if instance is None:
        return  # a server that never got a machine
    try:
        forwarder = Forwarder(
            floating.address,
            instance.address,
            port=site.cloud.host.addresses.ssh_port,
            permits=lambda caller: groups.permit_ssh(site, port, caller),
        )
    except OSError as error:
        log.warning("%s: %s leads nowhere: %s", site.facts.name, floating.address, error)
        return
    site.forwarders[floating.id] = forwarder
    site.cloud.begin(forwarder.serve())
