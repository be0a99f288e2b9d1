"""The clouds that are built on: all that is different from one to the other, but for the sequence by hand."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from imagesmith.sandbox import config
from imagesmith.sandbox.openstack import sites

Document = dict[str, Any]


class Cloud(ABC):
    """One cloud of the sandbox. `sources` are the names of the source images by the kind of machine."""

    key: ClassVar[str]
    title: ClassVar[str]
    targets: ClassVar[tuple[int, ...]]
    sources: ClassVar[Mapping[str, str]]
    by_hand: ClassVar[Sequence[str]]

    @abstractmethod
    def environment(self, endpoint: str) -> dict[str, str]:
        """What this cloud's SDK finds its way in by."""

    @abstractmethod
    def settings(self, ssh_port: int) -> Document:
        """Imagesmith's settings of the cloud."""

    @abstractmethod
    def connection(self, endpoint: str) -> Document:
        """The Airflow connection."""

    @abstractmethod
    def entry(self, machines: str) -> Document:
        """The cloud's entry in a generator."""

    @abstractmethod
    def packer_builder(self, name: str, *, machines: str, endpoint: str, ssh_port: int) -> Document:
        """The builder of a Packer template for an image of that name."""

    @abstractmethod
    def calls(self, counted: Document) -> dict[str, int]:
        """By action the cloud's own calls out of all that the sandbox counted."""

    @abstractmethod
    def images(self, found: Document) -> list[str]:
        """The ids of the images that were built, out of all that is in the sandbox."""

    @abstractmethod
    def left_behind(self, found: Document) -> list[str]:
        """What else was made and is still there."""

    @property
    @abstractmethod
    def sandbox_settings(self) -> Document:
        """What is set on the sandbox beside the timings of simulated machines."""

    @abstractmethod
    def prepare(self, endpoint: str) -> None:
        """Makes what is there before anybody builds."""


class EC2(Cloud):
    """The sandbox's EC2 account."""

    key = "ec2"
    title = "EC2"
    targets = (1, 6, 30)
    sources: ClassVar = {"real": "debian-12-amd64-*", "simulated": "simulated-*"}
    by_hand = ("bench.by_hand_ec2", "--owner", config.BASE_OWNER_ID)

    def environment(self, endpoint: str) -> dict[str, str]:
        """AWS's variables."""
        return {
            "AWS_ENDPOINT_URL_EC2": endpoint,
            "AWS_ACCESS_KEY_ID": config.ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": config.SECRET_ACCESS_KEY,
            "AWS_DEFAULT_REGION": config.REGION,
        }

    def settings(self, ssh_port: int) -> Document:
        """Region and port."""
        return {"type": "ec2", "region": config.REGION, "ssh_port": ssh_port}

    def connection(self, endpoint: str) -> Document:
        """The access key."""
        return {
            "conn_type": "imagesmith_ec2",
            "login": config.ACCESS_KEY_ID,
            "password": config.SECRET_ACCESS_KEY,
            "extra": {"endpoint_url": endpoint, "region_name": config.REGION},
        }

    def entry(self, machines: str) -> Document:
        """The newest image that matches, by Debian's account."""
        source = {"name": self.sources[machines], "owner": config.BASE_OWNER_ID}
        return {"source_image": source, "ssh_username": config.DEFAULT_USER, "instance_type": "t3.small"}

    def packer_builder(self, name: str, *, machines: str, endpoint: str, ssh_port: int) -> Document:
        """`amazon-ebs`."""
        return {
            "type": "amazon-ebs",
            "access_key": config.ACCESS_KEY_ID,
            "secret_key": config.SECRET_ACCESS_KEY,
            "region": config.REGION,
            "custom_endpoint_ec2": endpoint,
            "skip_region_validation": True,
            "skip_metadata_api_check": True,
            "skip_credential_validation": True,
            "source_ami_filter": {
                "filters": {"name": self.sources[machines]},
                "owners": [config.BASE_OWNER_ID],
                "most_recent": True,
            },
            "instance_type": "t3.small",
            "ssh_username": config.DEFAULT_USER,
            "ssh_port": ssh_port,
            "ami_name": name,
        }

    def calls(self, counted: Document) -> dict[str, int]:
        """By EC2's action."""
        return dict(counted["actions"])

    def images(self, found: Document) -> list[str]:
        """The account's own."""
        mine = [each for each in found["images"] if each["owner"] == config.OWNER_ID]
        return [each["id"] for each in mine if each["state"] == "available"]

    def left_behind(self, found: Document) -> list[str]:
        """Instances, key pairs, security groups."""
        left = [each["id"] for each in found["instances"] if each["state"] != "terminated"]
        return [*left, *found["key_pairs"], *_but_default(found["security_groups"])]

    @property
    def sandbox_settings(self) -> Document:
        """Nothing: it is the account that is meant where none is named."""
        return {}

    def prepare(self, endpoint: str) -> None:
        """Nothing: Packer, too, makes a security group."""


class OpenStack(Cloud):
    """The sandbox's site whose password a connection may hold."""

    key = "openstack"
    title = "OpenStack"
    targets = (1, 6)
    sources: ClassVar = {"real": "debian-12", "simulated": "simulated-1"}
    by_hand = ("bench.by_hand_openstack",)
    site = sites.SITES["openstack-sierra"]

    def environment(self, endpoint: str) -> dict[str, str]:
        """An "openrc"."""
        return self.site.environment(endpoint)

    def settings(self, ssh_port: int) -> Document:
        """The site's networks."""
        networks = {"network": "private", "floating_ip_network": "public"}
        return {"type": "openstack", **networks, "ssh_port": ssh_port}

    def connection(self, endpoint: str) -> Document:
        """Name and password."""
        return {
            "conn_type": "imagesmith_openstack",
            "login": sites.USER,
            "password": sites.PASSWORD,
            "extra": {
                "auth_url": self.site.auth_url(endpoint),
                "project": sites.PROJECT,
                "region": sites.REGION,
            },
        }

    def entry(self, machines: str) -> Document:
        """The public image of that name."""
        source = self.sources[machines]
        return {"source_image": source, "ssh_username": config.DEFAULT_USER, "instance_type": "m1.small"}

    def packer_builder(self, name: str, *, machines: str, endpoint: str, ssh_port: int) -> Document:
        """`openstack`, which makes no security group: the default one lets it in."""
        return {
            "type": "openstack",
            "identity_endpoint": self.site.auth_url(endpoint),
            "username": sites.USER,
            "password": sites.PASSWORD,
            "domain_name": sites.DOMAIN,
            "tenant_name": sites.PROJECT,
            "region": sites.REGION,
            "source_image_name": self.sources[machines],
            "image_name": name,
            "flavor": "m1.small",
            "networks": [self.site.id_of("private")],
            "floating_ip_network": "public",
            "ssh_username": config.DEFAULT_USER,
            "ssh_port": ssh_port,
        }

    def calls(self, counted: Document) -> dict[str, int]:
        """By service, method and path; logins count."""
        return dict(counted["accounts"][self.site.name]["actions"])

    def images(self, found: Document) -> list[str]:
        """The project's own."""
        mine = [each for each in self._shown(found)["images"] if each["owner"] == self.site.project_id]
        return [each["id"] for each in mine if each["status"] == "active"]

    def left_behind(self, found: Document) -> list[str]:
        """Servers, volumes, floating addresses, key pairs, security groups."""
        shown = self._shown(found)
        kinds = ("servers", "volumes", "volume_snapshots", "floating_ips")
        left = [str(each["id"]) for kind in kinds for each in shown[kind]]
        return [*left, *shown["key_pairs"], *_but_default(shown["security_groups"])]

    @property
    def sandbox_settings(self) -> Document:
        """The site, without a quota."""
        return {"account": self.site.name, "instances": -1, "floating_ips": -1}

    def prepare(self, endpoint: str) -> None:
        """Opens the default security group, as somebody who uses Packer has to."""
        import openstack

        told = self.environment(endpoint)
        site: Any = openstack.connect(
            load_yaml_config=False,
            load_envvars=False,
            auth={name.removeprefix("OS_").lower(): value for name, value in told.items() if name in _AUTH},
            region_name=sites.REGION,
        )
        with site:
            default = next(site.network.security_groups(name="default"))
            site.network.create_security_group_rule(
                security_group_id=default.id,
                direction="ingress",
                protocol="tcp",
                port_range_min=22,
                port_range_max=22,
                remote_ip_prefix="127.0.0.1/32",
            )

    def _shown(self, found: Document) -> Document:
        shown: Document = found["accounts"][self.site.name]
        return shown


_AUTH = (
    "OS_AUTH_URL",
    "OS_USERNAME",
    "OS_PASSWORD",
    "OS_PROJECT_NAME",
    "OS_USER_DOMAIN_NAME",
    "OS_PROJECT_DOMAIN_NAME",
)


def _but_default(groups: Sequence[str]) -> list[str]:
    return [name for name in groups if name != "default"]


CLOUDS: Mapping[str, Cloud] = {each.key: each for each in (EC2(), OpenStack())}
