"""The sites: fixed facts of each, and what its users need. The secrets open only this sandbox."""

import hashlib
import uuid
from dataclasses import dataclass

from imagesmith.sandbox import config

FACTORY_PORT = 8443
REPOSITORY_PORT = 8888
BUCKET = "Repo"
BASE_KEY = "VMS"
COMMON = "common"
_LAYOUTS = {"sda1": config.PARTITION, "hda": config.WHOLE_DISK}
ORGANIZATION = "/O=Imagesmith/OU=sandbox"
_NAMESPACE = uuid.UUID("5a1db0c5-0000-4000-8000-000000000001")


@dataclass(frozen=True)
class User:
    """One user of one site, with the credentials for its image store."""

    name: str
    site: str

    @property
    def dn(self) -> str:
        """The certificate's subject in slash form; the same on every site."""
        return dn_of(self.name)

    @property
    def canonical_id(self) -> str:
        """Under which the user's images lie."""
        return str(uuid.uuid5(_NAMESPACE, f"{self.site} user {self.name}"))

    @property
    def access_key(self) -> str:
        """Who signs requests to the image store."""
        return hashlib.sha256(f"{self.site} {self.name} access".encode()).hexdigest()[:21]

    @property
    def secret_key(self) -> str:
        """What the requests are signed with."""
        return hashlib.sha256(f"{self.site} {self.name} secret".encode()).hexdigest()[:42]


@dataclass(frozen=True)
class Facts:
    """One site. `number` keeps the addresses of the sites apart; `mount_as` is what its images must be mounted as."""

    name: str
    number: int
    hypervisor: str
    mount_as: str

    @property
    def layout(self) -> str:
        """How the disks are laid out that are mounted so."""
        return _LAYOUTS[self.mount_as]

    @property
    def identity(self) -> str:
        """The subject of the factory's certificate."""
        return dn_of(self.name)

    @property
    def operator_id(self) -> str:
        """Who owns the images that are there from the start."""
        return str(uuid.uuid5(_NAMESPACE, f"{self.name} operator"))

    @property
    def users(self) -> tuple[User, ...]:
        """Those in the grid map."""
        return tuple(User(name, self.name) for name in USERS)


def dn_of(common_name: str) -> str:
    """The distinguished name of a certificate of the sandbox."""
    return f"{ORGANIZATION}/CN={common_name}"


USERS = ("imagesmith", "other")
STRANGER = "stranger"  # has a good certificate and is in no grid map
OUTSIDER = "outsider"  # has a certificate of an authority that nobody trusts
SITES = {
    each.name: each
    for each in (
        Facts("nimbus-hotel-xen", 1, "xen", "sda1"),
        Facts("nimbus-hotel-kvm", 2, "kvm", "hda"),
    )
}
