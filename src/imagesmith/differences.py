"""In what two inventories differ, a line for each thing, for a person who has to act on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from imagesmith.inventory import Inventory

# What a boot decides: a service that was enabled or stopped by hand, parameters changed for the next boot.
DECIDED_AT_BOOT = ("sockets", "boot")
SHOWN = 20


@dataclass(frozen=True)
class Difference:
    """One thing of an inventory's part; `expected` or `found` is "" where it is not there."""

    part: str
    name: str
    expected: str
    found: str

    def __str__(self) -> str:
        if not self.found:
            return f"{self.name} is missing{self._saying(self.expected)}"
        if not self.expected:
            return f"{self.name} is new{self._saying(self.found)}"
        return f"{self.name} is {self.found} instead of {self.expected}"

    def _saying(self, what: str) -> str:
        """What is said of the thing, where its name does not say it."""
        return "" if self.name.endswith(what) else f" ({what})"


def differences(expected: Inventory, found: Inventory) -> list[Difference]:
    """All in which they differ, by part and name."""
    parts = zip(_parts(expected).items(), _parts(found).values(), strict=True)
    return [each for (part, one), other in parts for each in _of_part(part, one, other)]


def shown(found: Iterable[Difference]) -> str:
    """The first of them, a line each, and how many more there are."""
    lines = [str(each) for each in found]
    more = len(lines) - SHOWN
    return "\n".join([*lines[:SHOWN], *([f"and {more} more"] if more > 0 else [])])


def _of_part(part: str, expected: Mapping[str, str], found: Mapping[str, str]) -> Iterable[Difference]:
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            yield Difference(part, name, expected.get(name, ""), found.get(name, ""))


def _parts(inventory: Inventory) -> dict[str, dict[str, str]]:
    """Each part as what is said of each name, so that it never is "" for what is there."""
    return {
        "os": {f"{key} of /etc/os-release": value or '""' for key, value in inventory.os.items()},
        "kernel": {"kernel": inventory.kernel or '""'},
        "architecture": {"architecture": inventory.architecture},
        "packages": _packages(inventory),
        "services": {f"service {name}": name for name in inventory.services},
        "users": {f"user {user.name}": _said(user.model_dump()) for user in inventory.users},
        "groups": {f"group {group.name}": _said(group.model_dump()) for group in inventory.groups},
        "sockets": {f"socket {name}": name for name in inventory.sockets},
        "setuid": {f"setuid file {file.path}": f"{file.mode} {file.owner}" for file in inventory.setuid},
        "configuration": {path: f"sha256 {digest[:12]}" for path, digest in inventory.configuration.items()},
        "boot": {f"kernel parameter {word}": word for word in inventory.boot},
    }


def _packages(inventory: Inventory) -> dict[str, str]:
    said: dict[str, str] = {}
    for package in inventory.packages:
        name = f"{package.manager} package {package.name}" + (
            f":{package.architecture}" if package.architecture else ""
        )
        version = f"{package.version} ({package.origin})" if package.origin else package.version
        said[name] = f"{said[name]}, {version}" if name in said else version
    return said


def _said(document: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in document.items() if key != "name")
