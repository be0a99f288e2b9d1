"""What a simulated machine has on its disk, as far as anybody asks: packages and some files.

It is kept with the instance, goes into snapshots, and is found again by machines booted from those.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

MAINTAINER = "Debian Developers"
_BASE = {
    "base-files": "12.4+deb12u12",
    "bash": "5.2.15-2+b9",
    "coreutils": "9.1-1",
    "dpkg": "1.21.22",
    "libc6": "2.36-9+deb12u10",
    "openssh-server": "1:9.2p1-2+deb12u7",
    "sudo": "1.9.13p3-1+deb12u2",
    "systemd": "252.38-1~deb12u1",
}
_OS = """\
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION_CODENAME=bookworm
ID=debian"""
_KERNEL = "6.1.0-40-amd64"
_PASSWD = """\
root:x:0:0:root:/root:/bin/bash
admin:x:1000:1000:Debian:/home/admin:/bin/bash"""
_GROUP = "root:x:0:\nadmin:x:1000:"
# Header, SSH for everybody, and the DHCP client of this boot.
_TCP = "  sl  local_address rem_address   st\n   0: 00000000:0016 00000000:0000 0A 00000000:00000000"
_UDP = "  sl  local_address rem_address   st\n   0: 0F02000A:0044 00000000:0000 07 00000000:00000000"


@dataclass
class Disk:
    """Versions by package and texts by path; `drift` are versions that only machines booted from a snapshot show."""

    packages: dict[str, str] = field(default_factory=lambda: dict(_BASE))
    files: dict[str, str] = field(default_factory=dict)
    drift: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Disk":
        """The disk that was written there, or one as it comes."""
        return cls(**json.loads(path.read_text())) if path.exists() else cls()

    def write(self, path: Path) -> None:
        """Keeps it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self)))

    def saved(self) -> "Disk":
        """As a snapshot of it is."""
        return Disk({**self.packages, **self.drift}, dict(self.files))


@dataclass(frozen=True)
class Identity:
    """What one machine has and no other: its machine-id, host key, and the keys it lets in by the file they are in."""

    machine_id: str
    host_key: str
    authorized: Mapping[str, str]


def inventory(disk: Disk, identity: Identity) -> bytes:
    """What `include/scripts/inventory.sh` would print there."""
    release = f"/proc/sys/kernel/osrelease:{_KERNEL}"
    files = [
        *_behind("/etc/os-release", _OS),
        *_behind("/etc/passwd", _PASSWD),
        *_behind("/etc/group", _GROUP),
        f"/proc/cmdline:BOOT_IMAGE=/boot/vmlinuz-{_KERNEL} root=/dev/vda console=ttyS0",
        release,
        *_behind("/proc/net/tcp", _TCP),
        *_behind("/proc/net/udp", _UDP),
        f"/etc/machine-id:{identity.machine_id}",
        f"/etc/ssh/ssh_host_ed25519_key.pub:{identity.host_key}",
    ]
    parts: dict[str, Sequence[str]] = {
        "imagesmith inventory 1": [],
        "files": files,
        "architecture": ["x86_64"],
        "kernels": [f"/lib/modules/{_KERNEL}/modules.builtin"],
        "passwords": ["root:locked", "admin:locked"],
        "dpkg": [line for name in sorted(disk.packages) for line in _dpkg(name, disk.packages[name])],
        **dict.fromkeys(("rpm", "apk", "pacman", "pip", "npm", "gem"), ()),
        "services": ["/etc/systemd/system/multi-user.target.wants/ssh.service"],
        "setuid": ["4755 root:root /usr/bin/sudo"],
        "configuration": [
            f"{_sha256(identity.machine_id)}  /etc/machine-id",
            f"{_sha256(_PASSWD)}  /etc/passwd",
            *(f"{_sha256(text)}  {path}" for path, text in disk.files.items() if path.startswith("/etc/")),
        ],
        "end": [],
    }
    return _printed(parts)


def remains(disk: Disk, identity: Identity, *, secrets: Mapping[str, str]) -> bytes:
    """What `include/scripts/remains.sh` would print there; `secrets` are values by number."""
    files = {**disk.files, **identity.authorized}
    parts: dict[str, Sequence[str]] = {
        "imagesmith remains 1": [],
        "keys": [line for path, text in files.items() if "authorized_keys" in path for line in _behind(path, text)],
        "histories": [path for path in files if path.endswith("_history")],
        "directories": [path for path in files if "/.imagesmith/" in path],
        "secrets": [f"{n} {path}" for n, value in secrets.items() for path, text in files.items() if value in text],
        "end": [],
    }
    return _printed(parts)


def secrets_in(script: str) -> dict[str, str]:
    """The values that the script was given to search for, by number."""
    line = next((line for line in script.splitlines() if line.startswith("secrets=")), "secrets=''")
    words = line.partition("=")[2].strip("'").split()
    return {word.partition(":")[0]: base64.b64decode(word.partition(":")[2]).decode() for word in words}


def _dpkg(name: str, version: str) -> list[str]:
    return [
        f"Package: {name}",
        "Status: install ok installed",
        f"Maintainer: {MAINTAINER}",
        "Architecture: amd64",
        f"Version: {version}",
    ]


def _behind(path: str, text: str) -> list[str]:
    return [f"{path}:{line}" for line in text.splitlines()]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _printed(parts: Mapping[str, Sequence[str]]) -> bytes:
    return "".join(f"== {name}\n" + "".join(f"{line}\n" for line in lines) for name, lines in parts.items()).encode()
