"""The things inside an image by kind and name, so that any number of images can be held side by side."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from imagesmith.inventory import Inventory, Package

# Of these a name says which package is meant; those of languages bear their manager's name, for pip may know it, too.
SYSTEM_MANAGERS = ("dpkg", "rpm", "apk", "pacman")
_ANY_ARCHITECTURE = ("", "all", "noarch", "any")


class Kind(StrEnum):
    """What a thing inside an image is, in the order in which tables show them."""

    PACKAGE = "package"
    ORIGIN = "origin"
    SERVICE = "service"
    USER = "user"
    GROUP = "group"
    SOCKET = "socket"
    SETUID = "setuid"
    FILE = "file"
    OS = "os"
    KERNEL = "kernel"
    ARCHITECTURE = "architecture"
    BOOT = "boot"


@dataclass(frozen=True, order=True)
class Thing:
    """One thing an image can have: `package dstat`, `file /etc/motd`."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Change:
    """A thing that differs from one image to the other; "" where one has none of it."""

    thing: Thing
    before: str
    after: str

    @property
    def how(self) -> str:
        """`added`, `removed` or `changed`."""
        if not self.before:
            return "added"
        return "changed" if self.after else "removed"


def things_of(inventory: Inventory) -> dict[Thing, str]:
    """All that is inside, each with what tells it from another of its name: a version, a hash, a uid."""
    found = {
        Thing(Kind.KERNEL, "version"): inventory.kernel,
        Thing(Kind.ARCHITECTURE, "machine"): inventory.architecture,
    }
    found |= {Thing(Kind.OS, name): value for name, value in inventory.os.items()}
    found |= dict(_packages(inventory.packages))
    found |= {Thing(Kind.SERVICE, name): "enabled" for name in inventory.services}
    for user in inventory.users:
        way_in = "locked" if user.locked else "with a password"
        found[Thing(Kind.USER, user.name)] = f"{user.uid}:{user.gid} {user.home} {user.shell} {way_in}"
    found |= {Thing(Kind.GROUP, each.name): f"{each.gid} {','.join(each.members)}".strip() for each in inventory.groups}
    found |= {Thing(Kind.SOCKET, line): "listening" for line in inventory.sockets}
    found |= {Thing(Kind.SETUID, each.path): f"{each.mode} {each.owner}" for each in inventory.setuid}
    found |= {Thing(Kind.FILE, path): sha256 for path, sha256 in inventory.configuration.items()}
    found |= dict(_boot(inventory.boot))
    return {thing: value or "(empty)" for thing, value in found.items()}


def changes(before: Inventory, after: Inventory) -> list[Change]:
    """What was added, removed and changed from one to the other, in the order of kinds and names."""
    return [
        Change(thing, values["before"], values["after"])
        for thing, values in differing({"before": things_of(before), "after": things_of(after)})
    ]


def differing(things: Mapping[str, Mapping[Thing, str]]) -> Iterator[tuple[Thing, dict[str, str]]]:
    """Each thing that is not the same everywhere, with its value by owner, "" for none."""
    order = {kind: index for index, kind in enumerate(Kind)}
    every = {thing for some in things.values() for thing in some}
    versions_differ = set()
    for thing in sorted(every, key=lambda each: (order[each.kind], each.name)):
        values = {owner: some.get(thing, "") for owner, some in things.items()}
        if len(set(values.values())) == 1:
            continue
        if thing.kind is Kind.PACKAGE:
            versions_differ.add(thing.name)
        if thing.kind is not Kind.ORIGIN or thing.name not in versions_differ:
            yield thing, values  # another version's other origin says nothing new


def package_name(package: Package) -> str:
    """The name under which the package is shown and searched: `dstat`, `pip:requests`."""
    return package.name if package.manager in SYSTEM_MANAGERS else f"{package.manager}:{package.name}"


def _packages(packages: Iterable[Package]) -> Iterator[tuple[Thing, str]]:
    """Versions by name, of several at once all; and origins, where they are told."""
    by_name: defaultdict[str, list[Package]] = defaultdict(list)
    for package in packages:
        by_name[package_name(package)].append(package)
    native = Counter(each.architecture for each in packages if each.architecture not in _ANY_ARCHITECTURE)
    usual = {*_ANY_ARCHITECTURE, *(name for name, _ in native.most_common(1))}
    for name, same in by_name.items():
        versions = {
            each.version if each.architecture in usual else f"{each.version} ({each.architecture})" for each in same
        }
        yield Thing(Kind.PACKAGE, name), ", ".join(sorted(versions))
        origins = sorted({each.origin for each in same if each.origin})
        if origins:
            yield Thing(Kind.ORIGIN, name), ", ".join(origins)


def _boot(parameters: Iterable[str]) -> Iterator[tuple[Thing, str]]:
    values: defaultdict[str, list[str]] = defaultdict(list)
    for parameter in parameters:
        name, sign, value = parameter.partition("=")
        values[name].append(value if sign else "set")
    for name, given in values.items():
        yield Thing(Kind.BOOT, name), ", ".join(given)
