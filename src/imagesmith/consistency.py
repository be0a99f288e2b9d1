"""Whether a build's images are the same: their inventories held side by side, with the differences that are allowed.

The verdict is `identical` for equal digests, `equal` when all that differs may differ, `different` otherwise, and
`unknown` when what some image holds was never looked at. One image has nothing to be compared with: no verdict.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from pydantic import BaseModel, ConfigDict

from imagesmith.allowances import Allowance
from imagesmith.inventory import Inventory
from imagesmith.tables import columns
from imagesmith.things import Kind, Thing, differing, things_of

HASH_DIGITS = 12
NONE = "-"


class Verdict(StrEnum):
    """What is said of a build's images."""

    IDENTICAL = "identical"
    EQUAL = "equal"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Rule:
    """Differences that no cloud can avoid, by patterns of each kind."""

    name: str
    reason: str
    patterns: Mapping[Kind, tuple[str, ...]]

    def covers(self, thing: Thing) -> bool:
        """Whether the thing may differ by this rule."""
        return any(fnmatchcase(thing.name, pattern) for pattern in self.patterns.get(thing.kind, ()))


_AGENTS = (
    *("cloud-init*", "cloud-guest-utils", "cloud-initramfs-*", "cloud-utils*", "qemu-guest-agent*"),
    *("amazon-ssm-agent*", "amazon-ec2-*", "ec2-*", "open-vm-tools*", "google-guest-*", "waagent*", "walinuxagent*"),
)
_GUESTS = ("xe-guest-utilities*", "xe-daemon*", "xen-*", "hyperv-*", "hv-*-daemon*", "spice-vdagent*")

RULES = (
    Rule(
        "kernel",
        "each cloud boots the kernel made for its machines",
        {
            Kind.KERNEL: ("version",),
            **dict.fromkeys(
                (Kind.PACKAGE, Kind.ORIGIN),
                ("linux-image-*", "linux-headers-*", "linux-modules-*", "linux-virt*", "linux-lts*", "linux-aws*")
                + ("linux-kvm*", "linux-generic*", "kernel", "kernel-*", "linux"),
            ),
        },
    ),
    Rule(
        "boot",
        "root disk, console and boot loader are the cloud's",
        {Kind.BOOT: ("*",), Kind.FILE: ("/etc/default/grub", "/etc/default/grub.d/*", "/etc/fstab")},
    ),
    Rule(
        "cloud agents",
        "the agent speaks to its own cloud only",
        {
            Kind.PACKAGE: _AGENTS,
            Kind.ORIGIN: _AGENTS,
            Kind.SERVICE: (*_AGENTS, "cloud-config*", "cloud-final*"),
            Kind.FILE: ("/etc/cloud/*", "/etc/amazon/*", "/etc/vmware-tools/*", "/etc/qemu/*"),
        },
    ),
    Rule(
        "hypervisor",
        "drivers of one hypervisor are of no use on another",
        {Kind.PACKAGE: _GUESTS, Kind.ORIGIN: _GUESTS, Kind.SERVICE: _GUESTS, Kind.FILE: ("/etc/xen/*",)},
    ),
)


class Difference(BaseModel):
    """A thing that is not the same on all clouds: its value by cloud, "" for none; `allowed` says why it may differ."""

    model_config = ConfigDict(frozen=True)

    kind: Kind
    name: str
    values: dict[str, str]
    allowed: str = ""

    @property
    def agreeing(self) -> list[list[str]]:
        """The clouds that agree with each other on it."""
        return groups_of(self.values)


class Comparison(BaseModel):
    """What came of holding a build's images side by side.

    `unseen` are clouds whose image nobody looked into, `agreeing` groups of clouds without a difference among them
    that is not allowed.
    """

    model_config = ConfigDict(frozen=True)

    verdict: Verdict
    clouds: tuple[str, ...]
    unseen: tuple[str, ...] = ()
    agreeing: tuple[tuple[str, ...], ...] = ()
    differences: tuple[Difference, ...] = ()

    @property
    def forbidden(self) -> tuple[Difference, ...]:
        """Differences that nothing allows."""
        return tuple(each for each in self.differences if not each.allowed)


def compare(inventories: Mapping[str, Inventory | None], allowances: Sequence[Allowance] = ()) -> Comparison | None:
    """The images of a build by cloud, compared; None where there are not two to compare."""
    clouds = tuple(sorted(inventories))
    if len(clouds) < 2:
        return None
    seen = {cloud: inventory for cloud in clouds if (inventory := inventories[cloud]) is not None}
    unseen = tuple(cloud for cloud in clouds if cloud not in seen)
    differences = tuple(_differences(seen, allowances))
    forbidden = [each for each in differences if not each.allowed]
    if forbidden:
        verdict = Verdict.DIFFERENT
    elif unseen:
        verdict = Verdict.UNKNOWN
    else:
        alike = len({inventory.digest for inventory in seen.values()}) == 1
        verdict = Verdict.IDENTICAL if alike else Verdict.EQUAL
    agreeing = groups_of({cloud: repr([each.values[cloud] for each in forbidden]) for cloud in seen})
    return Comparison(
        verdict=verdict, clouds=clouds, unseen=unseen, agreeing=tuple(map(tuple, agreeing)), differences=differences
    )


def groups_of(values: Mapping[str, str]) -> list[list[str]]:
    """The keys by equal value, the largest group first."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for key, value in values.items():
        groups[value].append(key)
    return sorted(groups.values(), key=lambda group: (-len(group), group))


def _differences(seen: Mapping[str, Inventory], allowances: Sequence[Allowance]) -> Iterable[Difference]:
    for thing, values in differing({cloud: things_of(inventory) for cloud, inventory in seen.items()}):
        yield Difference(kind=thing.kind, name=thing.name, values=values, allowed=_allowed(thing, allowances))


def _allowed(thing: Thing, allowances: Sequence[Allowance]) -> str:
    own = next((each.reason for each in allowances if each.covers(thing)), "")
    return own or next((f"{rule.name}: {rule.reason}" for rule in RULES if rule.covers(thing)), "")


def sentence(comparison: Comparison) -> str:
    """The verdict in words, with what it rests on."""
    clouds = f"{len(comparison.clouds)} images"
    allowed = len(comparison.differences) - len(comparison.forbidden)
    if comparison.verdict is Verdict.IDENTICAL:
        return f"identical: {clouds} hold the same"
    if comparison.verdict is Verdict.EQUAL:
        return f"equal: {clouds} hold the same but for {_counted(allowed)} that may differ"
    if comparison.verdict is Verdict.UNKNOWN:
        return f"unknown: nobody looked into the image of {', '.join(comparison.unseen)}"
    groups = " | ".join(", ".join(group) for group in comparison.agreeing)
    return f"different: {_counted(len(comparison.forbidden))} that nothing allows; clouds that agree: {groups}"


def table(comparison: Comparison, *, allowed: bool = False, most: int | None = None) -> list[str]:
    """What differs, a line each, with a column for each cloud; those that may differ only when asked for."""
    chosen = comparison.differences if allowed else comparison.forbidden
    clouds = [cloud for cloud in comparison.clouds if cloud not in comparison.unseen]
    if not chosen:
        return []
    heading = ["KIND", "NAME", *clouds, *(["ALLOWED"] if allowed else [])]
    rows = [
        [each.kind, each.name, *(shown(each.values[cloud], each.kind) for cloud in clouds)]
        + ([each.allowed or "no"] if allowed else [])
        for each in chosen[:most]
    ]
    left_out = len(chosen) - len(rows)
    return [*columns([heading, *rows]), *([f"and {left_out} more"] if left_out else [])]


def shown(value: str, kind: Kind) -> str:
    """A value as a table shows it: hashes by their beginning, `-` for none."""
    return (value[:HASH_DIGITS] if kind is Kind.FILE else value) or NONE


def _counted(number: int) -> str:
    return "1 difference" if number == 1 else f"{number} differences"
