"""What clients have made in the sandbox, kept in a database so that it outlives the server."""

import json
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from imagesmith.sandbox import config


def now() -> str:
    """The time in the form in which EC2 gives it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def new_id(prefix: str) -> str:
    """A fresh identifier such as `i-0123456789abcdef0`."""
    return f"{prefix}-{secrets.token_hex(9)[:17]}"


@dataclass(kw_only=True)
class Thing:
    """Anything with an id and tags."""

    id: str
    tags: dict[str, str] = field(default_factory=dict)
    created: str = field(default_factory=now)


@dataclass(kw_only=True)
class Image(Thing):
    """A saved disk under a name; `kind` says which machines boot it, `layout` what they find on it (config.py)."""

    name: str
    kind: str
    snapshot_id: str
    disk_gib: int
    state: str = "pending"
    owner: str = config.OWNER_ID
    description: str = ""
    public: bool = False
    launch_users: list[str] = field(default_factory=list)
    source_instance_id: str = ""
    source_image_id: str = ""
    reason: str = ""
    layout: str = config.PARTITION


@dataclass(kw_only=True)
class Snapshot(Thing):
    """The content of a disk; `disk` is its file, `chain` the files it stands on, the nearest first.

    One that is to be `compressed` is saved whole and small.
    """

    volume_id: str
    size_gib: int
    state: str = "pending"
    owner: str = config.OWNER_ID
    description: str = ""
    disk: str = ""
    compressed: bool = False
    chain: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class Volume(Thing):
    """An instance's root disk; `disk` and `chain` as for a snapshot, `layout` as for an image."""

    size_gib: int
    snapshot_id: str
    state: str = "creating"
    instance_id: str = ""
    delete_on_termination: bool = True
    volume_type: str = "gp3"
    disk: str = ""
    chain: list[str] = field(default_factory=list)
    layout: str = config.PARTITION


@dataclass(kw_only=True)
class Instance(Thing):
    """A machine as clients see it."""

    kind: str
    image_id: str
    instance_type: str
    volume_id: str
    reservation_id: str
    address: str
    private_address: str
    state: str = "pending"
    state_reason: tuple[str, str] | None = None
    launch_index: int = 0
    key_name: str = ""
    group_ids: list[str] = field(default_factory=list)
    user_data: str = ""
    client_token: str = ""
    request_digest: str = ""
    shutdown_behavior: str = "stop"
    instance_profile: str = ""
    hostname: str = ""
    login_user: str = config.DEFAULT_USER
    terminated_at: float = 0.0
    termination_protected: bool = False


@dataclass(kw_only=True)
class KeyPair(Thing):
    """A public key under a name; private halves are never kept."""

    name: str
    public_key: str
    fingerprint: str
    key_type: str


@dataclass(kw_only=True)
class SecurityGroup(Thing):
    """A named set of rules. The sandbox keeps and shows them; loopback needs no packet filter."""

    name: str
    description: str
    ingress: list[dict[str, Any]] = field(default_factory=list)
    egress: list[dict[str, Any]] = field(default_factory=list)


T = TypeVar("T", bound=Thing)


class State:
    """All things of one account by id, in memory and on disk; call `save` after each change."""

    def __init__(self, path: Path) -> None:
        self._tables: dict[type[Thing], dict[str, Any]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # The file is whole after any kill of the server; a power cut ends the machines too.
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("CREATE TABLE IF NOT EXISTS things (kind TEXT, id TEXT PRIMARY KEY, content TEXT)")
        self.images = self.table(Image)
        self.snapshots = self.table(Snapshot)
        self.volumes = self.table(Volume)
        self.instances = self.table(Instance)
        self.key_pairs = self.table(KeyPair)
        self.groups = self.table(SecurityGroup)

    def table(self, kind: type[T]) -> dict[str, T]:
        """Everything of one kind by id; a kind is loaded when it is first asked for."""
        if kind not in self._tables:
            self._tables[kind] = self._load(kind)
        return self._tables[kind]

    def save(self, *things: Thing) -> None:
        """Makes the present content of the things durable."""
        for thing in things:
            self._tables[type(thing)][thing.id] = thing
            self._database.execute(
                "INSERT OR REPLACE INTO things VALUES (?, ?, ?)",
                (type(thing).__name__, thing.id, json.dumps(asdict(thing))),
            )

    def remove(self, thing: Thing) -> None:
        """Forgets the thing."""
        self._tables[type(thing)].pop(thing.id, None)
        self._database.execute("DELETE FROM things WHERE id = ?", (thing.id,))

    def all(self) -> Iterator[Thing]:
        """Every thing."""
        for table in self._tables.values():
            yield from table.values()

    def close(self) -> None:
        """Ends the use of the database."""
        self._database.close()

    def _load(self, kind: type[T]) -> dict[str, T]:
        rows = self._database.execute("SELECT id, content FROM things WHERE kind = ? ORDER BY rowid", (kind.__name__,))
        known = {each.name for each in fields(kind)}  # an older or newer sandbox kept other things as well
        return {
            thing_id: kind(**{name: value for name, value in json.loads(content).items() if name in known})
            for thing_id, content in rows
        }
