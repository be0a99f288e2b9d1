"""What of an inventory is one machine's own business and no content of its image: few rules, each with its reason.

Two boots of one image give the same inventory because of these; whatever no rule names counts as content.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal

SSH_PORT = 22


@dataclass(frozen=True)
class FileRule:
    """Files under /etc that are left out; `paths` matches the whole path."""

    name: str
    reason: str
    paths: re.Pattern[str]


def _files(name: str, reason: str, *paths: str) -> FileRule:
    return FileRule(name, reason, re.compile("|".join(rf"/etc/{path}" for path in paths)))


FILES: tuple[FileRule, ...] = (
    _files(
        "identity",
        "made anew for each machine, by which it is told from others",
        "machine-id",
        r"ssh/ssh_host_.*",
        r"dropbear/.*_host_key",
        r"ssl/(certs|private)/ssl-cert-snakeoil\.(pem|key)",
        r"iscsi/initiatorname\.iscsi",
        r"nvme/host(id|nqn)",
    ),
    _files("host name", "the cloud gives it at boot", "hostname", "hosts", "mailname"),
    _files(
        "network",
        "addresses, names of interfaces and name servers come from the cloud at boot",
        r"resolv\.conf",
        r"resolv\.conf\.(bak|orig)",
        r"resolvconf/run/.*",
        r"udev/rules\.d/70-persistent-(net|cd)\.rules",
        r"sysconfig/network-scripts/ifcfg-e.*",
        r"dhcpcd\.(duid|secret)",
    ),
    _files(
        "cloud-init",
        "written by cloud-init at the first boot of each instance, some of it with the time",
        r".*/(\d+-cloud-init[^/]*|cloud-init-[^/]*\.nmconnection)",
        r"cloud/(ds-identify|cloud)\.cfg\.d/90_dpkg\.cfg\.ucf.*",
    ),
    _files(
        "passwords",
        "passwords and the days of their change; who has one stands with the users",
        r"g?shadow",
        r"security/opasswd",
    ),
    _files("backups", "how a file was before its last change", r"(passwd|group|g?shadow|sub[ug]id)-", r".*~"),
    _files(
        "derived",
        "made by the system out of other files, also at boot",
        r"ld\.so\.cache",
        r"udev/hwdb\.bin",
        "mtab",
        r"\.updated",
        r"\.pwd\.lock",
        r"adjtime",
        r"blkid\.tab.*",
        r"ssl/certs/[0-9a-f]{8}\.\d+",
    ),
)


@dataclass(frozen=True)
class WordRule:
    """What is put in place of a part of a kernel parameter, or "" where the whole parameter goes."""

    name: str
    reason: str
    pattern: re.Pattern[str]
    instead: str


WORDS: tuple[WordRule, ...] = (
    WordRule(
        "loader",
        "the boot loader's word for the file it loaded: the kernel stands in the inventory by itself",
        re.compile(r"(BOOT_IMAGE|initrd)=.*"),
        "",
    ),
    WordRule(
        "uuid",
        "a disk's own number",
        re.compile(r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"),
        "UUID",
    ),
    WordRule(
        "hardware address", "a network card's own", re.compile(r"\b[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5,6}\b"), "MAC"
    ),
    WordRule("address", "the cloud gives it at boot", re.compile(r"\b\d{1,3}(\.\d{1,3}){3}\b"), "ADDRESS"),
)

# DHCP clients listen while they have a lease, and only where the cloud hands out addresses this way.
DHCP_PORTS = {("udp", 68), ("udp", 546)}


def keeps_file(path: str) -> bool:
    """True for a file under /etc that is content of the image."""
    return not any(rule.paths.fullmatch(path) for rule in FILES)


def kernel_parameter(word: str) -> str:
    """The parameter without what is the machine's own; "" where nothing of it is left."""
    for rule in WORDS:
        if not rule.instead and rule.pattern.fullmatch(word):
            return ""
        word = rule.pattern.sub(rule.instead, word)
    return word


def socket(protocol: Literal["tcp", "udp"], address: str, port: int, *, chosen: range) -> str:
    """A listening socket as `tcp 0.0.0.0:22`, "" for one that another boot would not have.

    `chosen` are the ports out of which the kernel takes one for whoever asks for any. An address that is neither
    everybody's nor the machine's alone was given by the cloud.
    """
    if port in chosen or (protocol, port) in DHCP_PORTS:
        return ""
    known = ipaddress.ip_address(address)
    shown = str(known) if known.is_unspecified or known.is_loopback else "ADDRESS"
    return f"{protocol} [{shown}]:{port}" if known.version == 6 and shown != "ADDRESS" else f"{protocol} {shown}:{port}"
