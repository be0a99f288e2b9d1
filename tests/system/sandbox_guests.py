"""Virtual machines booted from images on the sandbox's clouds."""

from functools import partial
from pathlib import Path
from typing import Any

from imagesmith.clouds.nimbus import NimbusCloud
from imagesmith.clouds.nimbus_words import NimbusCredentials, NimbusSettings
from imagesmith.clouds.openstack import OpenStackCloud
from imagesmith.clouds.openstack_login import Credentials, connect
from imagesmith.clouds.openstack_words import OpenStackSettings
from imagesmith.core import AddressRequest, LaunchRequest, ResourceKind
from imagesmith.sandbox import config
from imagesmith.sandbox.nimbus.sites import SITES as NIMBUS_SITES
from imagesmith.sandbox.openstack import sites

from .airflow_rest import until
from .conftest import Deployment
from .guest import Guest


class Ec2Guest(Guest):
    """A machine on the EC2 door."""

    def __init__(self, ec2: Any, image_id: str, *, key: Path) -> None:
        super().__init__(key, username=config.DEFAULT_USER)
        self._ec2 = ec2
        ec2.import_key_pair(KeyName=self.name, PublicKeyMaterial=self.public_key)
        reservation = ec2.run_instances(
            ImageId=image_id, KeyName=self.name, InstanceType="t3.small", MinCount=1, MaxCount=1
        )
        self._instance_id = reservation["Instances"][0]["InstanceId"]

    def address(self) -> str:
        found = self._ec2.describe_instances(InstanceIds=[self._instance_id])["Reservations"][0]["Instances"][0]
        return str(found.get("PublicIpAddress") or "")

    def end(self) -> None:
        self._ec2.terminate_instances(InstanceIds=[self._instance_id])
        self._ec2.delete_key_pair(KeyName=self.name)


class Forgetful:
    """A ledger that keeps nothing: what is made is found again by its tags."""

    def intend(self, kind: ResourceKind, name: str) -> None:
        """Nothing."""

    def made(self, kind: ResourceKind, name: str, resource_id: str) -> None:
        """Nothing."""

    def gone(self, kind: ResourceKind, resource_id: str) -> None:
        """Nothing."""


class OpenStackGuest(Guest):
    """A machine on one of the OpenStack sites."""

    def __init__(self, endpoint: str, site: str, image_id: str, *, key: Path) -> None:
        super().__init__(key, username=config.DEFAULT_USER)
        facts = sites.SITES[site]
        settings = OpenStackSettings(
            auth_url=facts.auth_url(endpoint),
            region=sites.REGION,
            identity_version=2 if facts.havana else 3,
            network="" if facts.havana else "private",
            floating_ip_network="public",
        )
        login = Credentials(username=sites.USER, password=sites.PASSWORD, project=sites.PROJECT)
        self._cloud = OpenStackCloud(site, partial(connect, site, settings, login), settings)
        # As the driver expects names to begin: with the build's.
        self._build_id, self.name = self.name, f"imagesmith-{self.name}-1"
        request = LaunchRequest(
            name=self.name,
            build_id=self._build_id,
            source_image_id=image_id,
            instance_type="m1.small",
            public_key=self.public_key,
            user_data="",
            tags={},
        )
        self._instance_id = self._cloud.launch(request, Forgetful())

    def address(self) -> str:
        seen = self._cloud.observe_instances([self._instance_id])[self._instance_id]
        if seen.state == "running" and not seen.address:
            request = AddressRequest(self.name, build_id=self._build_id, instance_id=self._instance_id, tags={})
            self._cloud.give_address(request, Forgetful())
        return seen.address

    def end(self) -> None:
        def delete() -> bool:
            return not self._cloud.delete(self._cloud.find_resources(self._build_id))

        until(delete, f"{self.name} is gone", limit_s=60)


def nimbus_credentials(told: dict[str, Any]) -> NimbusCredentials:
    """The first user's of a site of which the sandbox's own door has told."""
    user = told["users"][0]
    pem = {key: Path(user[key]).read_text() for key in ("certificate", "private_key")}
    return NimbusCredentials.from_fields({**user, **pem})


class NimbusGuest(Guest):
    """A machine on one of the Nimbus sites, which let in root only."""

    def __init__(self, told: dict[str, Any], site: str, image_id: str, *, key: Path) -> None:
        super().__init__(key, username="root")
        settings = NimbusSettings.from_mapping(told)
        self._build_id, self.name = self.name, f"imagesmith-{self.name}-1"
        self._cloud = NimbusCloud(site, settings, nimbus_credentials(told), home=key.parent)
        request = LaunchRequest(
            name=self.name,
            build_id=self._build_id,
            source_image_id=image_id,
            instance_type="512",
            public_key=self.public_key,
            user_data="",
            tags={},
        )
        self._instance_id = self._cloud.launch(request, Forgetful())

    def address(self) -> str:
        seen = self._cloud.observe_instances([self._instance_id])[self._instance_id]
        assert seen.state != "failed", seen
        return seen.address

    def end(self) -> None:
        def delete() -> bool:
            return not self._cloud.delete(self._cloud.find_resources(self._build_id))

        until(delete, f"{self.name} is gone", limit_s=60)


def guest_of(deployment: Deployment, cloud: str, image_id: str, *, key: Path) -> Guest:
    """A machine booted from an image on one of the sandbox's clouds."""
    if cloud in sites.SITES:
        return OpenStackGuest(deployment.sandbox.endpoint, cloud, image_id, key=key)
    if cloud in NIMBUS_SITES:
        return NimbusGuest(deployment.sandbox.control("list")["accounts"][cloud], cloud, image_id, key=key)
    return Ec2Guest(deployment.ec2(), image_id, key=key)
