"""What a site's clients have made, beside the machines, disks and key pairs that every account has."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imagesmith.sandbox.state import State, Thing


@dataclass(kw_only=True)
class Token(Thing):
    """A token by its digest; times are seconds since 1970."""

    methods: list[str]
    issued_at: float
    expires_at: float
    scoped: bool = True
    credential_id: str = ""


@dataclass(kw_only=True)
class Credential(Thing):
    """An application credential; of its secret only the digest is kept. `expires_at` 0 means never."""

    name: str
    secret_sha256: str
    description: str = ""
    expires_at: float = 0.0
    unrestricted: bool = False
    access_rules: list[dict[str, str]] = field(default_factory=list)

    @property
    def expired(self) -> bool:
        """True once its time is over."""
        return 0.0 < self.expires_at <= time.time()


@dataclass(kw_only=True)
class Server(Thing):
    """What Nova says beside the instance's own state; `image_id` is Glance's, empty when booted from a volume."""

    name: str
    flavor: str
    image_id: str
    instance_id: str = ""
    key_name: str = ""
    description: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    source_properties: dict[str, str] = field(default_factory=dict)
    config_drive: bool = False
    task_state: str = ""
    fault: str = ""
    fault_at: str = ""
    launched_at: str = ""
    updated: str = ""
    deleting: bool = False


@dataclass(kw_only=True)
class Port(Thing):
    """A server's place on a network, and the security groups that guard it."""

    server_id: str
    network_id: str
    fixed_address: str
    mac: str
    group_ids: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class FloatingIP(Thing):
    """A public address; what connects to it is passed on to the port's server."""

    address: str
    port_id: str = ""
    description: str = ""
    updated: str = ""


@dataclass(kw_only=True)
class Group(Thing):
    """A security group; a rule is a document as Neutron shows it."""

    name: str
    description: str = ""
    rules: list[dict[str, Any]] = field(default_factory=list)


@dataclass(kw_only=True)
class GlanceImage(Thing):
    """An image as Glance shows it; `machine_image_id` is what an instance boots, `server_id` who is being saved."""

    name: str
    owner: str
    machine_image_id: str
    status: str = "queued"
    visibility: str = "private"
    properties: dict[str, str] = field(default_factory=dict)
    min_disk: int = 0
    min_ram: int = 0
    size: int | None = None
    protected: bool = False
    updated: str = ""
    server_id: str = ""
    block_snapshot_id: str = ""


@dataclass(kw_only=True)
class BlockVolume(Thing):
    """A volume as Cinder shows it; `volume_id` is the disk, `kind` says which machines boot it."""

    name: str
    volume_id: str
    kind: str
    size_gib: int
    server_id: str = ""
    image_id: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    image_metadata: dict[str, str] = field(default_factory=dict)
    status: str = ""


@dataclass(kw_only=True)
class BlockSnapshot(Thing):
    """A snapshot of a volume as Cinder shows it."""

    name: str
    snapshot_id: str
    block_volume_id: str
    size_gib: int


class SiteState(State):
    """Everything of one site."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.tokens = self.table(Token)
        self.credentials = self.table(Credential)
        self.servers = self.table(Server)
        self.ports = self.table(Port)
        self.floating_ips = self.table(FloatingIP)
        self.security_groups = self.table(Group)
        self.glance_images = self.table(GlanceImage)
        self.block_volumes = self.table(BlockVolume)
        self.block_snapshots = self.table(BlockSnapshot)
