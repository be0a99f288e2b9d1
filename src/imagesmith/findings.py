"""Mistakes in what users write, each with its place and its cure.

A check never stops at the first mistake: it returns findings, and whoever asked shows them all.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

# What people write who know another tool, and the word used here.
_OTHER_WORDS: Mapping[str, str] = {
    "ami": "source_image",
    "base_image": "source_image",
    "image": "source_image",
    "flavor": "instance_type",
    "flavour": "instance_type",
    "size": "instance_type",
    "user": "ssh_username",
    "username": "ssh_username",
    "ssh_user": "ssh_username",
    "cron": "schedule",
    "schedule_interval": "schedule",
    "timeout": "time_limit",
    "timeouts": "time_limits",
    "params": "parameters",
    "variables": "parameters",
    "env": "parameters",
    "environment": "parameters",
    "provisioner": "script",
    "targets": "clouds",
    "disk": "disk_gib",
    "disk_size": "disk_gib",
    "labels": "tags",
    "enum": "choices",
    "options": "choices",
    "endpoint": "endpoint_url",
    "subnet": "subnet_id",
    "vpc": "vpc_id",
    "optional": "required",
}


@dataclass(frozen=True)
class Finding:
    """One mistake: where it is, what is wrong, and what to do about it.

    `line` counts from 1 and is 0 where the file as a whole is meant; `key` is dotted and may be empty.
    """

    file: str
    line: int
    key: str
    message: str
    cure: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        what = f"{_short(self.key)}: {_short(self.message)}" if self.key else _short(self.message)
        return on_one_line(f"{place}: {what} → {_short(self.cure)}")


def on_one_line(text: str) -> str:
    """The text with all that a terminal would act on, or could not show, written as an escape."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _short(text: str, limit: int = 500) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"


def in_order(findings: Collection[Finding]) -> list[Finding]:
    """The findings by file and line, each said once."""
    return sorted(dict.fromkeys(findings), key=lambda found: (found.file, found.line, found.key))


def nearest(word: str, known: Collection[str]) -> str | None:
    """The known word the author most likely meant, or None."""
    plain = word.strip().lower().replace("-", "_").replace(" ", "_")
    if _OTHER_WORDS.get(plain) in known:
        return _OTHER_WORDS[plain]
    by_plain = {name.replace("-", "_"): name for name in known}
    begun = [name for name in known if len(plain) > 2 and name.startswith(plain)]
    if len(begun) == 1:
        return begun[0]
    close = difflib.get_close_matches(plain, by_plain, n=1, cutoff=0.6)
    return by_plain[close[0]] if close else None


def did_you_mean(word: str, known: Collection[str], *, things: str) -> str:
    """The cure for a word that is not known: the likely one, or all there are."""
    likely = nearest(word, known)
    if likely is not None:
        return f"did you mean {likely}?"
    return f"{things}: {', '.join(sorted(known))}" if known else f"{things}: none"
