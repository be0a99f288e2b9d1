"""Nimbus's words in ours and ours in Nimbus's: settings, credentials, files the client reads, what it prints. No call.

Nimbus calls an instance a workspace, and gives it a number; its client calls it by a handle (`vm-001`) that means
something in one history directory only. There a file keeps the workspace's endpoint reference, which holds the number.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from xml.sax.saxutils import escape

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from imagesmith.clouds.connection_fields import check_key
from imagesmith.core import Instance, InstanceState
from imagesmith.errors import CredentialsRefused, SetupError
from imagesmith.urls import is_host_and_port

HANDLE = "vm-001"
EPR_FILE = "vw-epr.xml"
# Xen boots one partition with the node's own kernel, KVM a whole disk.
MOUNT_AS = {"xen": "sda1", "kvm": "hda"}
SAVED = "The image has successfully been transferred to your repository directory."


@dataclass(frozen=True)
class NimbusSettings:
    """The non-secret settings of a cloud of type `nimbus`, as in include/clouds.yaml.

    `factory` and `repository` are host:port, `factory_identity` is a DN in slash form, `cloud_client` the directory
    the site's client is unpacked in, or its `cloud-client.sh`. `memory_mb` is what an instance gets where the
    generator names no instance type.
    """

    factory: str = ""
    repository: str = ""
    factory_identity: str = ""
    hypervisor: str = "xen"
    cloud_client: str = ""
    memory_mb: int = 1024
    cores: int = 1
    repository_https: bool = False
    ssh_port: int = 22

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> NimbusSettings:
        """The settings out of a plain mapping; keys that are not the driver's, and empty values, left out."""
        known = {each.name for each in fields(cls)}
        return cls(**{key: value for key, value in settings.items() if key in known and value is not None})

    def check(self, cloud: str) -> None:
        """Raises SetupError naming what is missing, or cannot be."""
        where = f"{cloud} of include/clouds.yaml, or into the Airflow connection"
        needed = ("factory", "repository", "factory_identity", "cloud_client")
        if missing := [name for name in needed if not getattr(self, name)]:
            raise SetupError(f"{cloud}: {', '.join(missing)} missing; write it into {where}")
        for name in ("factory", "repository"):
            if not is_host_and_port(str(getattr(self, name))):
                raise SetupError(f"{cloud}: {name} {getattr(self, name)!r:.80} is no host:port; write it into {where}")
        if str(self.hypervisor) not in MOUNT_AS:
            raise SetupError(f"{cloud}: hypervisor {self.hypervisor!r:.80} is none of Nimbus; write xen or kvm")


@dataclass(frozen=True)
class NimbusCredentials:
    """One user on one cloud: PEM texts of certificate and private key, canonical id, and the repository's keys."""

    certificate: str = ""
    private_key: str = field(default="", repr=False)
    canonical_id: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)

    @classmethod
    def from_fields(cls, extra: Mapping[str, Any]) -> NimbusCredentials:
        """Out of an Airflow connection's fields; a PEM text may have a backslash and an n for each line feed."""
        text = {each.name: str(extra.get(each.name) or "").strip() for each in fields(cls)}
        for name in ("certificate", "private_key"):
            text[name] = text[name].replace("\\n", "\n")
        return cls(**text)

    def check(self, cloud: str) -> None:
        """Raises CredentialsRefused naming what is missing or no PEM."""
        missing = [each.name for each in fields(self) if not getattr(self, each.name)]
        if missing:
            raise CredentialsRefused(
                f"{cloud}: {', '.join(missing)} missing in the Airflow connection {cloud}; fill in every field of it"
            )
        for name in ("canonical_id", "access_key", "secret_key"):
            check_key(cloud, name, getattr(self, name))
        if not _CERTIFICATE.search(self.certificate):
            raise CredentialsRefused(
                f"{cloud}: the certificate is not PEM; paste the text from BEGIN CERTIFICATE on into connection {cloud}"
            )
        pkcs1(cloud, self.private_key)


# A whole PEM block; what is in it the site judges.
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


def pkcs1(cloud: str, private_key: str) -> str:
    """The key as PKCS#1 PEM, the one form the client can read; raises CredentialsRefused for what is no such key."""
    try:
        key = load_pem_private_key(private_key.encode(), password=None)
        if not isinstance(key, RSAPrivateKey):
            raise CredentialsRefused(
                f"{cloud}: the private key is none of RSA, the one kind the cloud client reads; "
                f"check the Airflow connection {cloud}"
            )
        return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    except TypeError as error:
        raise CredentialsRefused(
            f"{cloud}: the private key is encrypted; put the key without its passphrase into the connection {cloud}"
        ) from error
    except ValueError as error:
        raise CredentialsRefused(
            f"{cloud}: the private key can't be read; paste its PEM text into the Airflow connection {cloud}"
        ) from error


def configuration(
    settings: NimbusSettings, credentials: NimbusCredentials, *, certificate: str, key: str, memory_mb: int
) -> str:
    """The client's configuration file; `certificate` and `key` are paths."""
    values = {
        "vws.factory": settings.factory,
        "vws.repository": settings.repository,
        "vws.factory.identity": settings.factory_identity,
        "vws.repository.type": "cumulus",
        "vws.repository.s3basekey": "VMS",
        "vws.repository.s3bucket": "Repo",
        "vws.repository.s3https": str(settings.repository_https).lower(),
        "vws.repository.s3acceptallcerts": "false",
        "vws.repository.s3id": credentials.access_key,
        "vws.repository.s3key": credentials.secret_key,
        "vws.repository.canonicalid": credentials.canonical_id,
        "vws.metadata.mountAs": MOUNT_AS[settings.hypervisor],
        "vws.memory.request": str(memory_mb),
        "vws.cores.request": str(settings.cores),
        "vws.poll.interval": "2000",
        "nimbus.cert": certificate,
        "nimbus.key": key,
    }
    return "".join(f"{name}={_property(value)}\n" for name, value in values.items())


def _property(value: str) -> str:
    """A value of a Java properties file: Latin-1, in which a backslash escapes and a line's end ends it."""
    plain = value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return "".join(each if each.isascii() else _escape(each) for each in plain)


def _escape(letter: str) -> str:
    """Java's own escape of a character: one or two halves of UTF-16."""
    halves = letter.encode("utf-16-be").hex()
    return "".join(f"\\u{halves[start : start + 4]}" for start in range(0, len(halves), 4))


def endpoint_reference(factory: str, number: str) -> str:
    """The file of the history directory by which the client finds a workspace, as the client itself writes it."""
    addressing = "http://schemas.xmlsoap.org/ws/2004/03/addressing"
    service = f"https://{escape(factory)}/wsrf/services/WorkspaceService"
    return (
        '<WORKSPACE_EPR xsi:type="ns1:EndpointReferenceType" '
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:ns1="{addressing}">\n'
        f' <ns1:Address xsi:type="ns1:AttributedURI">{service}</ns1:Address>\n'
        ' <ns1:ReferenceProperties xsi:type="ns1:ReferencePropertiesType">\n'
        '  <ns2:WorkspaceKey xmlns:ns2="http://www.globus.org/2008/06/workspace">'
        f"{escape(number)}</ns2:WorkspaceKey>\n"
        " </ns1:ReferenceProperties>\n"
        ' <ns1:ReferenceParameters xsi:type="ns1:ReferenceParametersType"/>\n'
        "</WORKSPACE_EPR>\n"
    )


def number_in(reference: str) -> str:
    """The workspace's number out of an endpoint reference; "" while it is not written whole."""
    found = re.search(r"WorkspaceKey[^>]*>\s*(\d+)\s*</", reference)
    return found[1] if found else ""


def instance_id_of(name: str, number: str) -> str:
    """An instance's id: the name it was launched by, and the workspace's number."""
    return f"{name}#{number}"


def parts_of(instance_id: str) -> tuple[str, str]:
    """Name and number out of an instance's id; raises SetupError for what is none."""
    name, sign, number = instance_id.rpartition("#")
    if not sign or not re.fullmatch(r"[0-9]+", number) or not name:
        raise SetupError(f"{instance_id} is no instance of Nimbus: its ids are NAME#NUMBER")
    return name, number


# What the service calls a workspace that is being saved: its WSDL has no word for that.
SAVING_STATE = "Propagated"

_STATES: Mapping[str, InstanceState] = {
    "Unstaged": InstanceState.PENDING,
    "Unpropagated": InstanceState.PENDING,
    "Propagated": InstanceState.PENDING,
    "Running": InstanceState.RUNNING,
    "Paused": InstanceState.STOPPED,
    "TransportReady": InstanceState.STOPPED,
    "StagedOut": InstanceState.STOPPED,
    "Corrupted": InstanceState.FAILED,
    "Cancelled": InstanceState.GONE,
}


@dataclass(frozen=True)
class Workspace:
    """What the client says of one workspace; `minutes` is its whole lease, `started` seconds since the epoch."""

    number: str = ""
    address: str = ""
    state: str = ""
    minutes: int = 0
    started: float = 0.0
    problem: str = ""

    def instance(self, instance_id: str) -> Instance:
        """The same in our words; one that runs but for which no address is told yet is pending."""
        state = _STATES.get(self.state, InstanceState.PENDING)
        ended = state in (InstanceState.FAILED, InstanceState.GONE)
        reason = f"its state is {self.state}" + (f": {self.problem}" if self.problem else "") if ended else ""
        return Instance(instance_id, state, address=self.address, reason=reason)


def workspace_in(output: str) -> Workspace:
    """What `--status --handle` prints of one."""
    address = re.search(r"^\s*-?\s*IP:\s*(\S+)", output, re.M)
    state = re.search(r"^\s*State:\s*(\w+)", output, re.M)
    return Workspace(address=address[1] if address else "", state=state[1] if state else "")


def workspaces_in(output: str) -> dict[str, Workspace]:
    """What `--status` prints of all that the user runs, by number."""
    found = {}
    for part in re.split(r"^\[\*\] - ", output, flags=re.M)[1:]:
        head = re.match(r"Workspace #(\d+)\.\s*(\d[\d.]*)?", part)
        state = re.search(r"^\s*State:\s*(\w+)", part, re.M)
        minutes = re.search(r"Duration:\s*(\d{1,9}) minutes", part)
        if head:
            found[head[1]] = Workspace(
                number=head[1],
                address=(head[2] or "").rstrip("."),
                state=state[1] if state else "",
                minutes=int(minutes[1]) if minutes else 0,
                started=_moment(part),
                problem=problem[1].strip() if (problem := re.search(r"\*\* PROBLEM:(.*)", part)) else "",
            )
    return found


def _moment(text: str) -> float:
    """A start time, which Java writes in this machine's zone: `Thu Mar 06 10:09:04 CST 2014`; 0 where there is none."""
    found = re.search(r"Start time:\s*\w{3} (\w{3} \d\d \d\d:\d\d:\d\d) \S+ (\d{4})", text)
    try:
        return time.mktime(time.strptime(f"{found[1]} {found[2]}", "%b %d %H:%M:%S %Y")) if found else 0.0
    except (ValueError, OverflowError):
        return 0.0
