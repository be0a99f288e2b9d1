"""`include/clouds.yaml`: the clouds a generator may name, by type, without their secrets.

To add a cloud type, write its settings as a `CloudSettings` and name it in `CLOUD_SETTINGS`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, model_validator

from imagesmith.documents import Section, mistake, one_line, read_section
from imagesmith.findings import Finding, did_you_mean
from imagesmith.names import NAME_CURE, NAME_SHAPE
from imagesmith.urls import is_host_and_port, is_plain_url
from imagesmith.yaml_source import Document, read_document

FILE_NAME = "clouds.yaml"

_MAX_MEMORY_MB = 1 << 20
_MAX_CORES = 512
# Of fewer a second some would never be made: a call waits two seconds for its turn (budget.py).
_LEAST_CALLS, _MOST_CALLS = 1.0, 1000.0
# A cloud's tasks are a group of its name in the DAG, beside these.
_TASK_NAMES = ("begin", "publish")

_SECRET = re.compile(
    r"password|passwd|passphrase|secret|token|credential|(^|_)(access|private|secret|api)_?key|(^|_)key_?id",
    re.I,
)

Line = Annotated[str, AfterValidator(one_line)]


def _port(value: int) -> int:
    if not 1 <= value <= 65535:
        raise mistake(f"{value} is no port", "use a number from 1 to 65535")
    return value


def _cidr(value: str) -> str:
    if value == "auto":
        return value
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        raise mistake(f"{value!r} is neither auto nor a network: {error}", "write e.g. 192.0.2.0/24") from None
    if network.prefixlen == 0:
        raise mistake("opens SSH to the whole internet", "name the network the workers are in, or auto")
    return str(network)


def _url(value: str) -> str:
    if not is_plain_url(value):
        raise mistake(
            "is not a plain http(s) URL",
            "write https://host:port; a user name or password belongs in the connection",
        )
    return value.rstrip("/")


def _region(value: str) -> str:
    # As botocore takes them.
    if not re.fullmatch(r"(?![0-9]+$)(?!-)[A-Za-z0-9-]{1,63}(?<!-)", value):
        raise mistake(f"{value!r} is no region", "write e.g. us-east-1")
    return value


def _calls_per_second(value: float) -> float:
    if not _LEAST_CALLS <= value <= _MOST_CALLS:
        raise mistake(f"{value:g} is no number of calls a second", f"use {_LEAST_CALLS:g} to {_MOST_CALLS:g}")
    return value


class CloudSettings(Section):
    """What all types have, and the rules by which a generator's entry for such a cloud is checked.

    `pool` is the Airflow pool its tasks take a slot of, the default one if empty. `calls_per_second` is how many calls
    all processes together make to the account at most.
    """

    type: str
    pool: Line | None = None
    calls_per_second: Annotated[float, AfterValidator(_calls_per_second)] = 10.0

    needs_instance_type: ClassVar[bool] = True
    offered: ClassVar[bool] = True

    @classmethod
    def image_name_problem(cls, name: str) -> tuple[str, str] | None:
        """What is wrong with a new image's name on this type of cloud and its cure, or None."""
        return None

    @classmethod
    def source_image_problem(
        cls, *, image_id: str, name: str, owner: str, properties: Mapping[str, str]
    ) -> tuple[str, str] | None:
        """What is wrong with the way a source image is named on this type of cloud and its cure, or None."""
        return None

    @classmethod
    def instance_type_problem(cls, instance_type: str) -> tuple[str, str] | None:
        """What is wrong with an instance type on this type of cloud and its cure, or None."""
        return None

    @classmethod
    def tags_problem(cls, tags: Mapping[str, str]) -> tuple[str, str] | None:
        """What is wrong with an entry's tags on this type of cloud and its cure, or None."""
        return None

    @property
    def asks_password(self) -> bool:
        """Whether this cloud's password is stored nowhere and asked at every build."""
        return False

    def driver_settings(self) -> dict[str, Any]:
        """The settings as plain values for the driver: without what is not its business."""
        return self.model_dump(mode="json", exclude={"type", "pool"})


class Ec2Settings(CloudSettings):
    """EC2, or what speaks its API; lengths and characters of names and tags as in EC2's API reference."""

    type: str = "ec2"
    region: Annotated[Line, AfterValidator(_region)] = "us-east-1"
    endpoint_url: Annotated[str, AfterValidator(_url)] | None = None
    subnet_id: Line | None = None
    vpc_id: Line | None = None
    ssh_cidr: Annotated[str, AfterValidator(_cidr)] = "auto"
    ssh_port: Annotated[int, AfterValidator(_port)] = 22
    public_ip: bool | None = None
    use_private_address: bool = False
    instance_profile: Line | None = None
    caller_address_url: Annotated[str, AfterValidator(_url)] = "https://checkip.amazonaws.com"

    @model_validator(mode="after")
    def _caller_can_be_known(self) -> Ec2Settings:
        if self.ssh_cidr == "auto" and (self.use_private_address or self.public_ip is False):
            raise mistake(
                "auto is the caller's public address, but instances are reached at private ones",
                "write the network the workers are in, e.g. 10.0.0.0/16",
                at="ssh_cidr",
            )
        return self

    @classmethod
    def image_name_problem(cls, name: str) -> tuple[str, str] | None:
        """EC2 takes 3 to 128 characters of a small set."""
        bad = sorted(set(re.sub(r"[A-Za-z0-9()\[\] ./\-'@_]", "", name)))
        if bad:
            return (
                f"EC2 image names cannot hold {' '.join(bad)}",
                "use letters, digits and ( ) [ ] . / - ' @ _",
            )
        if not 3 <= len(name) <= 128:
            return f"the name has {len(name)} characters ({name})", "EC2 wants 3 to 128"
        return None

    @classmethod
    def source_image_problem(
        cls, *, image_id: str, name: str, owner: str, properties: Mapping[str, str]
    ) -> tuple[str, str] | None:
        """An id and an owner look like one; without an owner only the account's own images are taken."""
        if properties:
            return "EC2 images have no properties to go by", "write {name: …, owner: …}"
        if image_id and not re.fullmatch(r"ami-[0-9a-z]{1,40}", image_id):
            return f"{image_id!r} is not the id of an EC2 image", "write ami-…, or {name: …, owner: …}"
        if owner and not re.fullmatch(r"[0-9]{12}|self|amazon|aws-marketplace|aws-backup-vault", owner):
            return f"{owner!r} is not an owner on EC2", "write 12 digits in quotes, or self or amazon"
        return None

    @classmethod
    def tags_problem(cls, tags: Mapping[str, str]) -> tuple[str, str] | None:
        """EC2 allows 50 tags, some of which are ours."""
        if len(tags) > 40:
            return f"{len(tags)} tags", "EC2 leaves room for 40 beside ours"
        for key, value in tags.items():
            if key.lower().startswith("aws:"):
                return f"the tag {key} begins with aws:, which EC2 keeps for itself", "choose another name"
            if len(key) > 128 or len(value) > 256:
                return (
                    f"the tag {key[:40]} is too long",
                    "EC2 wants names up to 128 and values up to 256 characters",
                )
        return None


def _identity_version(value: int) -> int:
    if value not in (2, 3):
        raise mistake(
            f"{value} is no version of OpenStack's Identity", "write 3, or 2 for clouds of the time of Havana"
        )
    return value


def _ask(value: str) -> str:
    if value != "ask":
        raise mistake("a secret has no place in this file", "write `password: ask`, or leave it to the connection")
    return value


class OpenStackSettings(CloudSettings):
    """OpenStack from Havana on; lengths of names and properties as in the API references of Nova and Glance."""

    type: str = "openstack"
    auth_url: Annotated[str, AfterValidator(_url)] | None = None
    identity_version: Annotated[int, AfterValidator(_identity_version)] = 3
    region: Line | None = None
    interface: Line = "public"
    password: Annotated[str, AfterValidator(_ask)] | None = None
    network: Line | None = None
    floating_ip_network: Line | None = None
    ssh_cidr: Annotated[str, AfterValidator(_cidr)] = "auto"
    caller_address_url: Annotated[str, AfterValidator(_url)] | None = None
    ssh_port: Annotated[int, AfterValidator(_port)] = 22
    availability_zone: Line | None = None
    boot_from_volume: bool = False
    config_drive: bool = True

    @property
    def asks_password(self) -> bool:
        """With `password: ask`."""
        return self.password == "ask"

    @model_validator(mode="after")
    def _interface_is_one(self) -> OpenStackSettings:
        if self.interface not in ("public", "internal", "admin"):
            raise mistake(f"{self.interface!r} is no interface", "write public, internal or admin", at="interface")
        return self

    @classmethod
    def image_name_problem(cls, name: str) -> tuple[str, str] | None:
        """Glance takes up to 255 characters."""
        if not 1 <= len(name) <= 255:
            return f"the name has {len(name)} characters ({name})", "OpenStack wants 1 to 255"
        return None

    @classmethod
    def tags_problem(cls, tags: Mapping[str, str]) -> tuple[str, str] | None:
        """Tags are a server's metadata and an image's properties."""
        if len(tags) > 100:
            return f"{len(tags)} tags", "OpenStack leaves room for 100 beside ours"
        for key, value in tags.items():
            if not re.fullmatch(r"[A-Za-z0-9_.-]{1,200}", key):
                return f"the tag {key[:40]} is no name for metadata", "use letters, digits and _ . -"
            plain = key.lower().replace("-", "_")  # as Havana's Glance writes them
            if plain in ("name", "id", "status", "owner", "visibility") or plain.startswith("imagesmith_"):
                return f"the tag {key} is an image's own word", "choose another name"
            if len(value) > 255:
                return f"the tag {key} is too long", "OpenStack wants values of up to 255 characters"
        return None


def _host_and_port(value: str) -> str:
    if not is_host_and_port(value):
        raise mistake(f"{value!r} is no host:port", "write e.g. svc.uc.futuregrid.org:8443")
    return value


def _memory_mb(value: int) -> int:
    if not 1 <= value <= _MAX_MEMORY_MB:
        raise mistake(f"{value} MB is no size for memory", f"use 1 to {_MAX_MEMORY_MB}")
    return value


def _cores(value: int) -> int:
    if not 1 <= value <= _MAX_CORES:
        raise mistake(f"{value} is no number of cores", f"use 1 to {_MAX_CORES}")
    return value


def _slash_dn(value: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9.]+=[^/]+(/[^=/]+)*)+", value) or not value.isprintable():
        raise mistake(f"{value!r} is no name in slash form", "write e.g. /O=Grid/CN=host/svc.uc.futuregrid.org")
    return value


class NimbusSettings(CloudSettings):
    """A Nimbus site, reached through its own cloud client."""

    type: str = "nimbus"
    factory: Annotated[str, AfterValidator(_host_and_port)] | None = None
    repository: Annotated[str, AfterValidator(_host_and_port)] | None = None
    factory_identity: Annotated[str, AfterValidator(_slash_dn)] | None = None
    hypervisor: Line = "xen"
    cloud_client: Line | None = None
    memory_mb: Annotated[int, AfterValidator(_memory_mb)] = 1024
    cores: Annotated[int, AfterValidator(_cores)] = 1
    repository_https: bool = False
    ssh_port: Annotated[int, AfterValidator(_port)] = 22

    needs_instance_type: ClassVar[bool] = False

    @model_validator(mode="after")
    def _hypervisor_is_one(self) -> NimbusSettings:
        if self.hypervisor not in ("xen", "kvm"):
            raise mistake(f"{self.hypervisor!r} is no hypervisor of Nimbus", "write xen or kvm", at="hypervisor")
        return self

    @classmethod
    def image_name_problem(cls, name: str) -> tuple[str, str] | None:
        """A name is the last part of a key in the repository and an argument of the client."""
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}", name):
            return f"{name!r} is no name for an image of Nimbus", "use letters, digits and . _ -"
        return None

    @classmethod
    def source_image_problem(
        cls, *, image_id: str, name: str, owner: str, properties: Mapping[str, str]
    ) -> tuple[str, str] | None:
        """Nimbus knows images by their names: one's own, and the common ones; a name is an argument of the client."""
        if properties:
            return "Nimbus images have no properties to go by", "write the image's name"
        wanted = image_id or name
        if wanted.startswith(("-", "/")) or ".." in wanted.split("/") or " " in wanted:
            return f"{wanted!r} is no name for an image of Nimbus", "write it as the site's client lists it"
        if owner not in ("", "self"):
            return "Nimbus knows one's own images and the common ones", "write owner: self, or none"
        return None

    @classmethod
    def instance_type_problem(cls, instance_type: str) -> tuple[str, str] | None:
        """An instance type is its memory."""
        if not re.fullmatch(r"[1-9][0-9]{0,6}", instance_type) or int(instance_type) > _MAX_MEMORY_MB:
            return f"{instance_type!r} is no instance type of Nimbus", "write the memory in MB, e.g. 2048, in quotes"
        return None


class MemorySettings(CloudSettings):
    """The cloud in a file, for tests: `path` is the file; SSH of its instances is at `address`."""

    type: str = "memory"
    path: Line
    address: Line = "127.0.0.1"
    ssh_port: Annotated[int, AfterValidator(_port)] = 22

    offered: ClassVar[bool] = False


CLOUD_SETTINGS: dict[str, type[CloudSettings]] = {
    "ec2": Ec2Settings,
    "memory": MemorySettings,
    "nimbus": NimbusSettings,
    "openstack": OpenStackSettings,
}


def offered_types() -> list[str]:
    """The types that messages propose: all on which images worth having are built."""
    return [name for name, model in CLOUD_SETTINGS.items() if model.offered]


@dataclass(frozen=True)
class CloudsFile:
    """The clouds that can be used, the names of those that have mistakes, and the mistakes."""

    clouds: dict[str, CloudSettings] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()


def read_clouds(include_dir: Path) -> CloudsFile:
    """All that clouds.yaml says; a mistake in one cloud does not hide the others."""
    document = read_document(include_dir / FILE_NAME, shown_as=f"{include_dir.name}/{FILE_NAME}")
    clouds: dict[str, CloudSettings] = {}
    for name, value in document.value.items():
        settings = _cloud(name, value, document=document)
        if settings is not None and not document.has_finding(name):
            clouds[name] = settings
    return CloudsFile(clouds, frozenset(document.value) - frozenset(clouds), tuple(document.findings))


def load_clouds(include_dir: Path) -> tuple[dict[str, CloudSettings], list[Finding]]:
    """The usable clouds of clouds.yaml by name, and every mistake in it."""
    read = read_clouds(include_dir)
    return read.clouds, list(read.findings)


def _cloud(name: str, value: Any, *, document: Document) -> CloudSettings | None:
    if not NAME_SHAPE.fullmatch(name):
        document.report((name,), "is not a name for a cloud", NAME_CURE)
    elif name in _TASK_NAMES:
        document.report((name,), "is the name of a task of every build", "choose another, e.g. with a prefix")
    if not isinstance(value, dict):
        document.report((name,), "must be a mapping", f"write {name}: {{type: ec2}}")
        return None
    plain = _without_secrets(name, value, document=document)
    model = _model(name, plain.get("type"), document=document)
    return read_section(model, plain, document=document, at=(name,)) if model else None


def _without_secrets(name: str, value: Mapping[str, Any], *, document: Document) -> dict[str, Any]:
    plain = {}
    for key, item in value.items():
        if _SECRET.search(key) and item != "ask":  # `password: ask` says that there is none here
            document.report(
                (name, key),
                "a secret has no place in this file",
                f"put it into the Airflow connection named {name}",
            )
        else:
            plain[key] = item
    return plain


def _model(name: str, kind: Any, *, document: Document) -> type[CloudSettings] | None:
    if kind is None:
        document.report((name, "type"), "is missing", f"add `type:`; the types are: {', '.join(offered_types())}")
    elif not isinstance(kind, str):
        document.report((name, "type"), "must be text", f"the types are: {', '.join(offered_types())}")
    elif kind in CLOUD_SETTINGS:
        return CLOUD_SETTINGS[kind]
    else:
        cure = did_you_mean(kind, offered_types(), things="the types are")
        document.report((name, "type"), f"{kind!r} is no type of cloud", cure)
    return None
