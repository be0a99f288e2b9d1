"""What `include/scripts/inventory.sh` printed, read into an Inventory that is equal for equal content.

The text comes from a machine that may say anything. What no line of a part can mean is passed over; a text that is
not whole raises InventoryUnreadable.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from imagesmith import inventory_rules
from imagesmith.errors import InventoryUnreadable
from imagesmith.inventory import Group, Inventory, SetuidFile, User
from imagesmith.package_lists import by_file, packages_of, plain

BEGIN = b"== imagesmith inventory 1"
PARTS = (
    *("files", "architecture", "kernels", "passwords", "dpkg", "rpm", "apk", "pacman", "pip", "npm", "gem"),
    *("services", "setuid", "configuration", "end"),
)
_LISTENING = {"tcp": "0A", "udp": "07"}
_EPHEMERAL = range(32768, 61000)  # Linux's default of net.ipv4.ip_local_port_range

Lines = Mapping[str, list[str]]


@dataclass(frozen=True)
class Reading:
    """A machine's content, and by what it is told from others.

    `identity` has lines such as `machine-id HASH` and `ssh_host_ed25519_key.pub HASH`: hashed, so that keeping it tells
    nothing.
    """

    inventory: Inventory
    identity: tuple[str, ...]


def read_inventory(printed: bytes) -> Reading:
    """What the script printed; raises InventoryUnreadable where that is not whole."""
    parts = _parts(printed)
    files = by_file(parts["files"])
    architecture = next(iter(parts["architecture"]), "")
    if not architecture:
        raise InventoryUnreadable("the machine did not say what architecture it has")
    return Reading(
        inventory=Inventory(
            os=_os_release(files.get("/etc/os-release") or files.get("/usr/lib/os-release") or []),
            kernel=_kernel(parts["kernels"]) or next(iter(files.get("/proc/sys/kernel/osrelease", [])), ""),
            architecture=architecture,
            packages=packages_of(parts),
            services=_sorted(_service(path) for path in parts["services"]),
            users=_users(files.get("/etc/passwd", []), parts["passwords"]),
            groups=_groups(files.get("/etc/group", [])),
            sockets=_sorted(_sockets(files)),
            setuid=_setuid(parts["setuid"]),
            configuration=dict(sorted(_configuration(parts["configuration"]))),
            boot=_sorted(
                inventory_rules.kernel_parameter(word)
                for line in files.get("/proc/cmdline", [])
                for word in line.split()
            ),
        ),
        identity=_sorted(_identity(files)),
    )


def _parts(printed: bytes) -> Lines:
    """Each part's lines; what a login shell printed before the first is not ours."""
    _, begin, body = printed.partition(BEGIN + b"\n")
    if not begin:
        raise InventoryUnreadable("the machine printed no inventory")
    parts: dict[str, list[str]] = {}
    expected = iter(PARTS)
    following = next(expected)
    current: list[str] = []
    for raw in body.split(b"\n"):
        # In this order only: a line of a file that looks like a part's name must not begin one.
        if raw == b"== " + following.encode():
            current = parts.setdefault(following, [])
            if following == "end":
                return parts
            following = next(expected)
        else:
            current.append(plain(raw))
    raise InventoryUnreadable(f"the machine's inventory breaks off before its part {following!r}")


def _sorted(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({word for word in words if word}))


def _os_release(lines: Iterable[str]) -> dict[str, str]:
    found = {}
    for line in lines:
        key, equals, value = line.partition("=")
        if equals and re.fullmatch(r"[A-Z][A-Z0-9_]*", key):
            try:
                found[key] = " ".join(shlex.split(value))
            except ValueError:  # a quote that nobody closed
                found[key] = value
    return dict(sorted(found.items()))


def _kernel(paths: Iterable[str]) -> str:
    """The newest installed: it is the one that boots, whichever runs while an image is customized."""
    return max((path.split("/")[-2] for path in paths if path.count("/") > 2), key=_natural, default="")


def _natural(version: str) -> list[tuple[int, str]]:
    pieces = re.findall(r"\d+|\D+", version)
    return [(int(piece), "") if piece.isascii() and piece.isdigit() else (-1, piece) for piece in pieces]


def _service(path: str) -> str:
    """A unit, or with its run level an init script."""
    folder, _, name = path.rpartition("/")
    if "/systemd/" in folder:
        return name
    return f"{folder.rpartition('/')[2]}/{name}" if folder else ""


def _users(lines: Iterable[str], passwords: Iterable[str]) -> tuple[User, ...]:
    known = dict(line.rpartition(":")[::2] for line in passwords)
    users: dict[str, User] = {}
    for line in lines:
        words = line.split(":")
        if len(words) == 7 and _is_number(words[2]) and _is_number(words[3]):
            locked = known.get(words[0], "open" if not words[1] else "locked") == "locked"
            uid, gid = int(words[2]), int(words[3])
            user = User(name=words[0], uid=uid, gid=gid, home=words[5], shell=words[6], locked=locked)
            users.setdefault(user.name, user)
    return tuple(users[name] for name in sorted(users))


def _groups(lines: Iterable[str]) -> tuple[Group, ...]:
    groups: dict[str, Group] = {}
    for line in lines:
        words = line.split(":")
        if len(words) == 4 and _is_number(words[2]):
            members = _sorted(words[3].split(","))
            groups.setdefault(words[0], Group(name=words[0], gid=int(words[2]), members=members))
    return tuple(groups[name] for name in sorted(groups))


def _is_number(word: str) -> bool:
    return bool(re.fullmatch(r"[0-9]{1,10}", word))


def _sockets(files: Lines) -> Iterator[str]:
    chosen = _chosen_ports(files.get("/proc/sys/net/ipv4/ip_local_port_range", []))
    protocols: tuple[Literal["tcp"], Literal["udp"]] = ("tcp", "udp")
    for protocol in protocols:
        for line in [*files.get(f"/proc/net/{protocol}", []), *files.get(f"/proc/net/{protocol}6", [])]:
            words = line.split()
            if len(words) < 4 or words[3] != _LISTENING[protocol]:
                continue
            match = re.fullmatch(r"([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})", words[1])
            if match:
                yield inventory_rules.socket(protocol, _address(match[1]), int(match[2], 16), chosen=chosen)


def _chosen_ports(lines: Iterable[str]) -> range:
    words = next(iter(lines), "").split()
    if len(words) == 2 and all(_is_number(word) for word in words):
        return range(int(words[0]), int(words[1]) + 1)
    return _EPHEMERAL


def _address(hexadecimal: str) -> str:
    """The address of /proc/net: words of four bytes, each the other way round."""
    words = bytes.fromhex(hexadecimal)
    return str(ipaddress.ip_address(b"".join(words[start : start + 4][::-1] for start in range(0, len(words), 4))))


def _setuid(lines: Iterable[str]) -> tuple[SetuidFile, ...]:
    found = {}
    for words, path in _with_paths(lines):
        if len(words) == 2 and re.fullmatch(r"[0-7]{4}", words[0]):
            found[path] = SetuidFile(path=path, mode=words[0], owner=words[1])
    return tuple(found[path] for path in sorted(found))


def _configuration(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for words, path in _with_paths(lines):
        path, target = _link(words, path)
        digest = hashlib.sha256(f"-> {target}".encode()).hexdigest() if target else (words or [""])[0]
        if re.fullmatch(r"[0-9a-f]{64}", digest) and inventory_rules.keeps_file(path):
            yield path, digest


def _link(words: list[str], path: str) -> tuple[str, str]:
    """A link's path and target, of what else there is the path and no target."""
    if words[:1] == ["link"]:  # behind a path in base64
        return path, " ".join(words[1:])
    if words and words[0].startswith("l"):  # as `ls -l` prints it
        path, _, target = path.partition(" -> ")
        return path, target
    return path, ""


def _with_paths(lines: Iterable[str]) -> Iterator[tuple[list[str], str]]:
    """The words of a line and its path: behind the words, or before them in base64."""
    for line in lines:
        if line.startswith("base64 "):
            path, *words = line.split()[1:] or [""]
            with_path = _decoded(path)
        else:
            before, slash, rest = line.partition(" /")
            words, with_path = before.split(), f"/{rest.rstrip()}" if slash else ""
        if with_path:
            yield words, with_path


def _decoded(path: str) -> str:
    try:
        return plain(base64.b64decode(path, validate=True)).replace("\n", "\\n")
    except (binascii.Error, ValueError):
        return ""


def _identity(files: Lines) -> Iterator[str]:
    for path, lines in files.items():
        name = path.rpartition("/")[2]
        if path == "/etc/machine-id" or re.fullmatch(r"/etc/ssh/ssh_host_.*_key\.pub", path):
            value = " ".join((lines or [""])[0].split()[:2])
            if value:
                yield f"{name} {hashlib.sha256(value.encode()).hexdigest()}"
