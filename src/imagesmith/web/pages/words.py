"""Times, lengths of time and states as pages show them."""

from __future__ import annotations

from datetime import UTC, datetime

from markupsafe import Markup

# The first that fits: seconds of the unit, and its letter.
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_COLOURS = {"successful": "green", "failed": "red", "cancelled": "grey"}


def utc(moment: datetime | None) -> Markup:
    """The time to the second; "–" for one that has not come."""
    if moment is None:
        return Markup("–")
    plain = moment.astimezone(UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(plain.isoformat(), plain.strftime("%Y-%m-%d %H:%M:%S"))


def ago(moment: datetime | None, now: datetime | None = None) -> Markup:
    """How long ago that was; the time itself is its title."""
    if moment is None:
        return Markup("–")
    plain = moment.astimezone(UTC)
    passed = ((now or datetime.now(UTC)) - plain).total_seconds()
    told = "just now" if passed < 1 else f"{_length(passed, parts=1)} ago"
    title = plain.strftime("%Y-%m-%d %H:%M:%S UTC")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(plain.isoformat(), title, told)


def lasted(began: datetime | None, ended: datetime | None = None) -> str:
    """How long that took, or has taken until now; "–" for what has not begun."""
    if began is None:
        return "–"
    return _length(((ended or datetime.now(UTC)) - began).total_seconds(), parts=2)


def badge_colour(state: str) -> str:
    """Orange for all that is still under way."""
    return _COLOURS.get(str(state), "orange")


def _length(seconds: float, *, parts: int) -> str:
    rest, found = max(0, int(seconds)), list[str]()
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count or (size == 1 and not found):
            found.append(f"{count} {unit}")
    return " ".join(found[:parts])
