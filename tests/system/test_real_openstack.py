"""The main job on a real OpenStack: dstat built through Airflow on Nova, and what is in the image Glance has then."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from imagesmith.core import ResourceKind

from .airflow_rest import until
from .conftest import Airflow, free_port, own_include, own_settings, running
from .guest import Guest, assert_dstat_and_nothing_of_the_build

if TYPE_CHECKING:
    from tests.real_openstack import RealOpenStack

pytestmark = pytest.mark.openstack

CLOUD = "openstack-real"
CLOUDS = """
{name}:
  type: openstack
  network: {network}
  floating_ip_network: {floating_ip_network}
  ssh_cidr: {ssh_cidr}
"""
GENERATOR = """
name: dstat
description: Debian with dstat
script: dstat.sh
clouds:
  {name}:
    source_image: {source_image}
    ssh_username: {username}
    instance_type: {flavor}
"""


@pytest.fixture
def airflow(real_openstack: RealOpenStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """An Airflow that knows the cloud and one generator for it, and no sandbox."""
    real, include = real_openstack, own_include(tmp_path_factory)
    places = {"name": CLOUD, "network": real.network, "floating_ip_network": real.floating_ip_network}
    (include / "clouds.yaml").write_text(CLOUDS.format(**places, ssh_cidr=real.ssh_cidr))
    source = {"name": CLOUD, "source_image": real.image, "username": real.image_user, "flavor": real.flavor}
    (include / "generators" / "dstat.yaml").write_text(GENERATOR.format(**source))
    home = tmp_path_factory.mktemp("home")
    environment = {
        **os.environ,
        **own_settings(include),
        "IMAGESMITH_HOME": str(home),
        "IMAGESMITH_SANDBOX_PORT": str(free_port()),
        f"AIRFLOW_CONN_{CLOUD.upper()}": json.dumps(_connection(real)),
    }
    with running(Airflow(home, environment, include)) as started:
        yield started


def _connection(real: RealOpenStack) -> dict[str, Any]:
    known = real.credentials()
    names = ("auth_url", "project", "project_id", "domain", "project_domain", "region", "ca_file", "verify")
    names += ("application_credential_id", "application_credential_secret")
    extra = {name: getattr(known, name) for name in names}
    return {
        "conn_type": "imagesmith_openstack",
        "login": known.username,
        "password": known.password,
        "extra": {name: value for name, value in extra.items() if value != ""},
    }


class NovaGuest(Guest):
    """A server with a group and a floating IP of its own, made by openstacksdk."""

    def __init__(self, real: RealOpenStack, image_id: str, key: Path) -> None:
        super().__init__(key, username=real.image_user)
        self.nova, self.neutron = real.connection.compute, real.connection.network
        self.nova.create_keypair(name=self.name, public_key=self.public_key)
        self.group = self.neutron.create_security_group(name=self.name)
        self.neutron.create_security_group_rule(
            security_group_id=self.group.id, direction="ingress", protocol="tcp", port_range_min=22, port_range_max=22
        )
        self.server = self.nova.create_server(
            name=self.name,
            image_id=image_id,
            flavor_id=self.nova.find_flavor(real.flavor).id,
            networks=[{"uuid": self.neutron.find_network(real.network).id}],
            security_groups=[{"name": self.group.id}],
            key_name=self.name,
            config_drive=True,
        )
        self.floating_ip: Any = None
        self.outer = self.neutron.find_network(real.floating_ip_network).id

    def address(self) -> str:
        if self.floating_ip is None:
            port = until(self._port, f"a port of {self.name}")
            self.floating_ip = self.neutron.create_ip(floating_network_id=self.outer, port_id=port.id)
        return str(self.floating_ip.floating_ip_address)

    def _port(self) -> Any:
        return next(iter(self.neutron.ports(device_id=self.server.id)), None)

    def end(self) -> None:
        self.nova.delete_server(self.server)
        self.nova.wait_for_delete(self.server, wait=120)
        if self.floating_ip is not None:
            self.neutron.delete_ip(self.floating_ip)
        self.neutron.delete_security_group(self.group)
        self.nova.delete_keypair(self.name)


def _left(real: RealOpenStack, marks: set[str]) -> list[str]:
    """All in the project that says one of these words (ids, names) of itself, images aside."""
    nova, neutron = real.connection.compute, real.connection.network
    project = {"project_id": real.connection.current_project_id}
    listings = [nova.servers(), nova.keypairs(), neutron.security_groups(**project)]
    listings += [neutron.ips(**project), neutron.ports(**project)]
    documents = [str(each.to_dict()) for listing in listings for each in listing]
    return [document for document in documents if any(mark in document for mark in marks)]


def test_dstat_builds_through_airflow_on_nova_and_its_image_holds_nothing_of_the_build(
    real_openstack, airflow, tmp_path, record_property
):
    started = time.monotonic()
    printed = airflow.imagesmith("build", "dstat", "--wait")
    record_property("build_s", round(time.monotonic() - started, 1))
    build = airflow.catalog.builds(generator="dstat", limit=1)[0]
    image_id = airflow.catalog.images(build_id=build.build_id)[0].image_id
    glance = real_openstack.connection.image
    try:
        assert build.state == "successful"
        assert image_id in printed
        made = airflow.catalog.resources(build_id=build.build_id, include_gone=True)
        ids = {row.resource_id for row in made if row.resource_id and row.kind is not ResourceKind.IMAGE}
        assert len(ids) >= 4, "an instance, its key pair, group and floating IP"
        assert _left(real_openstack, {build.build_id, *ids}) == []
        image = glance.get_image(image_id)
        assert (image.status, image.visibility) == ("active", "private")
        guest = NovaGuest(real_openstack, image_id, tmp_path / "key")
        try:
            assert_dstat_and_nothing_of_the_build(guest)
        finally:
            guest.end()
    finally:
        glance.delete_image(image_id)
