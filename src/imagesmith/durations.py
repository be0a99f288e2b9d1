"""Lengths of time as people write them in a generator: `90s`, `45m`, `1h30m`."""

from __future__ import annotations

import re

_SHAPE = re.compile(r"(?:(?P<h>[0-9]{1,6})h)?(?:(?P<m>[0-9]{1,6})m)?(?:(?P<s>[0-9]{1,6})s)?")
_UNIT_S = {"h": 3600, "m": 60, "s": 1}

LONGEST_S = 7 * 24 * 3600  # a build that runs for a week has been forgotten


def parse_duration(text: str) -> int:
    """Seconds of a text such as `1h30m`; raises ValueError with a sentence for the author."""
    match = _SHAPE.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"{text!r} is not a length of time")
    seconds = sum(int(count) * _UNIT_S[unit] for unit, count in match.groupdict().items() if count)
    if seconds < 1:
        raise ValueError("a time limit must be longer than nothing")
    if seconds > LONGEST_S:
        raise ValueError(f"{text} is more than {format_duration(LONGEST_S)}")
    return seconds


def format_duration(seconds: int) -> str:
    """The shortest text that `parse_duration` reads as so many seconds."""
    hours, rest = divmod(seconds, 3600)
    minutes, left_s = divmod(rest, 60)
    parts = [f"{count}{unit}" for count, unit in ((hours, "h"), (minutes, "m"), (left_s, "s")) if count]
    return "".join(parts) or "0s"
