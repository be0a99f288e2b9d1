"""What an instance is told at its first boot, worked out of its user data, and the seed disk that carries it.

The guest has no YAML parser at boot, so the sandbox reads the user data and hands over plain files.
"""

import base64
import binascii
import gzip
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from pathlib import Path
from typing import Any

import yaml

_HOST_KEY_SUFFIXES = {"private": "", "public": ".pub", "certificate": "-cert.pub"}
_KNOWN_KEYS = {"ssh_keys", "ssh_authorized_keys", "ssh_deletekeys", "runcmd"}


@dataclass
class Seed:
    """An instance's identity. `host_keys` maps file names in /etc/ssh to their content."""

    instance_id: str
    hostname: str
    user: str
    authorized_keys: list[str] = field(default_factory=list)
    host_keys: dict[str, str] = field(default_factory=dict)
    scripts: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def read_user_data(self, user_data: bytes) -> None:
        """Takes in cloud-config, scripts, or MIME parts of both; what it can't read becomes a warning."""
        for part in _parts(user_data):
            if part.startswith("#cloud-config"):
                self._read_cloud_config(part)
            elif part.startswith("#!"):
                self.scripts.append(part)
            elif part.strip():
                start = part[:20]
                self.warnings.append(f"user data starting {start!r} is neither cloud-config nor a script")

    def write(self, path: Path) -> None:
        """Leaves the seed disk: a tar archive, readable by root only."""
        path.touch(mode=0o600)
        with tarfile.open(path, "w") as archive:
            for name, content in self._files().items():
                member = tarfile.TarInfo(name)
                data = content.encode()
                member.size, member.mode = len(data), 0o600
                archive.addfile(member, io.BytesIO(data))

    def _read_cloud_config(self, text: str) -> None:
        try:
            document = yaml.safe_load(text) or {}
        except yaml.YAMLError as error:
            self.warnings.append(f"cloud-config is not YAML: {error}")
            return
        for kind, content in dict(document.get("ssh_keys") or {}).items():
            algorithm, _, half = kind.rpartition("_")
            if half in _HOST_KEY_SUFFIXES:
                name = f"ssh_host_{algorithm}_key{_HOST_KEY_SUFFIXES[half]}"
                self.host_keys[name] = content.rstrip("\n") + "\n"
        self.authorized_keys += [str(key) for key in document.get("ssh_authorized_keys") or []]
        if document.get("runcmd"):
            self.scripts.append(_script_of(document["runcmd"]))
        for unknown in sorted(set(document) - _KNOWN_KEYS):
            self.warnings.append(f"cloud-config key {unknown} means nothing to the sandbox")

    def _files(self) -> dict[str, str]:
        files = {
            "instance-id": self.instance_id + "\n",
            "hostname": self.hostname + "\n",
            "user": self.user + "\n",
            "authorized_keys": "".join(key.strip() + "\n" for key in self.authorized_keys),
            "warnings": "".join(" ".join(warning.split()) + "\n" for warning in self.warnings),
        }
        files |= {f"host_keys/{name}": content for name, content in self.host_keys.items()}
        files |= {f"scripts/{number:03}": script for number, script in enumerate(self.scripts)}
        return files


def _parts(user_data: bytes) -> Iterator[str]:
    if user_data[:2] == b"\x1f\x8b":
        user_data = gzip.decompress(user_data)
    if not user_data[:200].lower().startswith((b"content-type: multipart", b"mime-version:")):
        yield user_data.decode(errors="replace")
        return
    for part in message_from_bytes(user_data).walk():
        content = part.get_payload(decode=True)
        if isinstance(content, bytes):
            yield content.decode(errors="replace")


def _script_of(commands: list[Any]) -> str:
    lines = [
        command if isinstance(command, str) else " ".join(_quoted(str(word)) for word in command)
        for command in commands
    ]
    return "#!/bin/sh\n" + "\n".join(lines) + "\n"


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def decoded(user_data: str) -> bytes:
    """The user data behind its base64; raises ValueError if it isn't."""
    try:
        return base64.b64decode(user_data, validate=True)
    except binascii.Error as error:
        raise ValueError("user data is not base64") from error
