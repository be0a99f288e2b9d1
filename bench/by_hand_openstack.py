"""`python -m bench.by_hand_openstack NAME …`: one image by hand with openstacksdk."""

import argparse
from typing import Any

import openstack
from openstack.exceptions import NotFoundException

from bench import by_hand

FLAVOR, NETWORK, FLOATING_IP_NETWORK = "m1.small", "private", "public"


class OpenStackBuild(by_hand.Build):
    """One build with OpenStack's SDK."""

    def __init__(self, wanted: argparse.Namespace) -> None:
        super().__init__(wanted)
        self._site: Any = openstack.connect(load_yaml_config=False)
        self._group: Any = None
        self._server: Any = None
        self._floating: Any = None
        self._image: Any = None

    def launch(self) -> str:
        """Key pair, security group, server, floating address."""
        site, name = self._site, self.wanted.name
        private_key = str(site.compute.create_keypair(name=name).private_key)
        self._group = self._opened_group()
        self._server = site.compute.create_server(
            name=name,
            image_id=next(site.image.images(name=self.wanted.source_name)).id,
            flavor_id=next(each.id for each in site.compute.flavors(details=False) if each.name == FLAVOR),
            networks=[{"uuid": next(site.network.networks(name=NETWORK)).id}],
            key_name=name,
            security_groups=[{"name": name}],
        )
        by_hand.when(lambda: self._status() == "ACTIVE")
        self._floating = site.network.create_ip(
            floating_network_id=next(site.network.networks(name=FLOATING_IP_NETWORK)).id,
            port_id=next(site.network.ports(device_id=self._server.id)).id,
        )
        return private_key

    def address(self) -> str:
        """The floating one."""
        return str(self._floating.floating_ip_address)

    def stop(self) -> None:
        """Asks the guest."""
        self._site.compute.stop_server(self._server)

    def stopped(self) -> bool:
        """By the server's status."""
        return self._status() == "SHUTOFF"

    def save(self) -> str:
        """An image of the server."""
        self._image = self._site.compute.create_server_image(self._server, self.wanted.name)
        return str(self._image.id)

    def saved(self) -> bool:
        """By the image's status."""
        return bool(self._site.image.get_image(self._image.id).status == "active")

    def remove(self) -> None:
        """Server, floating address, key pair, security group."""
        self._site.compute.delete_server(self._server)
        self._site.network.delete_ip(self._floating)
        self._site.compute.delete_keypair(self.wanted.name)
        by_hand.when(self._gone)
        self._site.network.delete_security_group(self._group)

    def _opened_group(self) -> Any:
        made = self._site.network.create_security_group(name=self.wanted.name, description="one build by hand")
        self._site.network.create_security_group_rule(
            security_group_id=made.id,
            direction="ingress",
            protocol="tcp",
            port_range_min=22,
            port_range_max=22,
            remote_ip_prefix="127.0.0.1/32",
        )
        return made

    def _status(self) -> str:
        return str(self._site.compute.get_server(self._server.id).status)

    def _gone(self) -> bool:
        try:
            self._status()
        except NotFoundException:
            return True
        return False


if __name__ == "__main__":
    by_hand.main(OpenStackBuild)
