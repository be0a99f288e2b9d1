"""The lists of packages in an inventory's text: four systems' own, and three languages'."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping

from imagesmith.inventory import Manager, Package


def plain(raw: bytes) -> str:
    """Text that every database and JSON can hold; bytes that are none are shown in hexadecimal."""
    text = raw.decode("utf-8", "backslashreplace")
    return re.sub(r"[\x00-\x08\x0a-\x1f\x7f]", lambda found: f"\\x{ord(found[0]):02x}", text)


def by_file(lines: Iterable[str]) -> Mapping[str, list[str]]:
    """The lines of `grep -H`, FILE:LINE, by file."""
    found: dict[str, list[str]] = {}
    for line in lines:
        path, colon, text = line.partition(":")
        if colon:
            found.setdefault(path, []).append(text)
    return found


def packages_of(parts: Mapping[str, list[str]]) -> tuple[Package, ...]:
    """All packages that the parts of an inventory list, sorted, each once."""
    return tuple(sorted(set(_packages(parts)), key=_key))


def _key(package: Package) -> tuple[str, ...]:
    return (package.manager, package.name, package.version, package.architecture, package.origin)


def _packages(parts: Mapping[str, list[str]]) -> Iterator[Package]:
    yield from _dpkg(parts["dpkg"])
    yield from _rpm(parts["rpm"])
    yield from _apk(parts["apk"])
    yield from _pacman(parts["pacman"])
    yield from _pip(parts["pip"])
    yield from _npm(parts["npm"])
    yield from _gem(parts["gem"])


def _package(
    manager: Manager, name: str, version: str, *, architecture: str = "", origin: str = ""
) -> Iterator[Package]:
    if name and version:
        yield Package(manager=manager, name=name, version=version, architecture=architecture, origin=origin)


def _records(pairs: Iterable[tuple[str, str]], first: str) -> Iterator[dict[str, str]]:
    """The pairs of each record; `first` is the key with which one begins, and of a key said twice the first counts."""
    record: dict[str, str] = {}
    for key, value in pairs:
        if key == first and record:
            yield record
            record = {}
        record.setdefault(key, value)
    if record:
        yield record


def _pairs(lines: Iterable[str], separator: str) -> Iterator[tuple[str, str]]:
    for line in lines:
        key, found, value = line.partition(separator)
        if found:
            yield key, value.strip()


def _dpkg(lines: Iterable[str]) -> Iterator[Package]:
    for record in _records(_pairs(lines, ": "), "Package"):
        if record.get("Status", "").rpartition(" ")[2] in ("", "config-files", "not-installed"):
            continue
        origin = record.get("Origin") or record.get("Maintainer", "")
        architecture = record.get("Architecture", "")
        yield from _package(
            "dpkg", record.get("Package", ""), record.get("Version", ""), architecture=architecture, origin=origin
        )


def _rpm(lines: Iterable[str]) -> Iterator[Package]:
    for line in lines:
        words = line.split("\t")
        if len(words) == 4:
            architecture, origin = ("" if word == "(none)" else word for word in words[2:])
            yield from _package("rpm", words[0], words[1], architecture=architecture, origin=origin)


def _apk(lines: Iterable[str]) -> Iterator[Package]:
    for record in _records(_pairs(lines, ":"), "P"):
        architecture, origin = record.get("A", ""), record.get("m", "")
        yield from _package("apk", record.get("P", ""), record.get("V", ""), architecture=architecture, origin=origin)


def _pacman(lines: Iterable[str]) -> Iterator[Package]:
    for record in _records(_pacman_pairs(lines), "%NAME%"):
        yield from _package(
            "pacman",
            record.get("%NAME%", ""),
            record.get("%VERSION%", ""),
            architecture=record.get("%ARCH%", ""),
            origin=record.get("%PACKAGER%", ""),
        )


def _pacman_pairs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    key = ""
    for line in lines:
        if re.fullmatch(r"%[A-Z]+%", line):
            key = line
        elif key and line != "--":
            yield key, line
            key = ""


def _pip(lines: Iterable[str]) -> Iterator[Package]:
    """Name and version by file; the folder that holds it tells which Python it is for."""
    found: dict[str, dict[str, str]] = {}
    for line in lines:
        match = re.fullmatch(r"((/.+?)/[^/]+\.(?:dist|egg)-info(?:/METADATA|/PKG-INFO)?):(Name|Version): (.*)", line)
        if match:
            found.setdefault(match[1], {"folder": match[2]}).setdefault(match[3], match[4].strip())
    for record in found.values():
        yield from _package("pip", record.get("Name", ""), record.get("Version", ""), origin=record["folder"])


def _npm(lines: Iterable[str]) -> Iterator[Package]:
    for path, text in by_file(lines).items():
        try:
            document = json.loads("\n".join(text))
        except (ValueError, RecursionError):
            continue
        words = [document.get(key) if isinstance(document, dict) else None for key in ("name", "version")]
        if isinstance(words[0], str) and isinstance(words[1], str):
            name, version = (plain(word.encode("utf-8", "backslashreplace")) for word in words if isinstance(word, str))
            yield from _package("npm", name, version, origin=path.partition("/node_modules/")[0])


def _gem(lines: Iterable[str]) -> Iterator[Package]:
    for line in lines:
        match = re.fullmatch(r"(/.*)/specifications/(?:default/)?([^/]+?)-(\d[^-/]*)(?:-([^/]+))?\.gemspec", line)
        if match:
            yield from _package("gem", match[2], match[3], architecture=match[4] or "", origin=match[1])
