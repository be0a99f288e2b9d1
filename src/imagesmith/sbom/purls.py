"""Package URLs of what an inventory holds.

https://github.com/package-url/purl-spec/blob/main/PURL-TYPES.rst
"""

from __future__ import annotations

from collections.abc import Mapping

from packageurl import PackageURL

from imagesmith.inventory import Manager, Package

# The type in package URLs, and the distribution's name where os-release gives none.
DISTRIBUTIONS: Mapping[Manager, tuple[str, str]] = {
    "dpkg": ("deb", "debian"),
    "rpm": ("rpm", "linux"),
    "apk": ("apk", "alpine"),
    "pacman": ("alpm", "arch"),
}
LANGUAGES: Mapping[Manager, str] = {"pip": "pypi", "npm": "npm", "gem": "gem"}


def purl(package: Package, os: Mapping[str, str]) -> PackageURL:
    """The package's URL; those of a distribution say which, by `os`, the image's os-release."""
    if package.manager in LANGUAGES:
        scope, _, name = package.name.rpartition("/")  # npm has such
        return PackageURL(LANGUAGES[package.manager], namespace=scope or None, name=name, version=package.version)
    kind, usual = DISTRIBUTIONS[package.manager]
    version, qualifiers = package.version, {"arch": package.architecture, "distro": distribution(os)}
    if kind == "rpm" and ":" in version:
        qualifiers["epoch"], _, version = version.partition(":")
    return PackageURL(
        kind,
        namespace=os.get("ID") or usual,
        name=package.name,
        version=version,
        qualifiers={key: value for key, value in qualifiers.items() if value},
    )


def distribution(os: Mapping[str, str]) -> str:
    """The distribution and its release, `debian-12`; one that rolls has no release."""
    return "-".join(filter(None, (os.get("ID"), os.get("VERSION_ID"))))
