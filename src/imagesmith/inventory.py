"""What is inside an image: an inventory read from a running instance, in a form that is equal for equal content."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Manager = Literal["dpkg", "rpm", "apk", "pacman", "pip", "npm", "gem"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Package(_Part):
    """An installed package; `origin` is where it came from in the manager's own words, "" where it does not say."""

    manager: Manager
    name: str
    version: str
    architecture: str = ""
    origin: str = ""


class User(_Part):
    """A line of /etc/passwd that is not the instance's own business; `locked`: no password lets anybody in."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str
    locked: bool = True


class Group(_Part):
    """A line of /etc/group; `members` are sorted."""

    name: str
    gid: int
    members: tuple[str, ...] = ()


class SetuidFile(_Part):
    """A file that runs with its owner's or group's rights; `mode` is octal, `owner` is user:group."""

    path: str
    mode: str
    owner: str


class Inventory(_Part):
    """One image's content. All sequences are sorted and hold nothing that differs between two boots of one image.

    `os` holds keys of os-release, `services` the enabled units or init scripts, `sockets` lines such as
    `tcp 0.0.0.0:22`, `configuration` the SHA-256 (hex) of each file under /etc by path (of a symbolic link, of
    `-> TARGET`), `boot` the kernel's parameters.
    """

    format: Literal[1] = 1
    os: dict[str, str]
    kernel: str
    architecture: str
    packages: tuple[Package, ...] = ()
    services: tuple[str, ...] = ()
    users: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()
    sockets: tuple[str, ...] = ()
    setuid: tuple[SetuidFile, ...] = ()
    configuration: dict[str, str] = {}
    boot: tuple[str, ...] = ()

    def canonical(self) -> bytes:
        """The one JSON text of this content: sorted keys, no blanks, ASCII."""
        document: dict[str, Any] = self.model_dump(mode="json")
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical text, 64 hex digits: equal content, equal digest, whatever its name or cloud."""
        return hashlib.sha256(self.canonical()).hexdigest()
