"""Where the time of one build went, as it told itself."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

BEFORE, BETWEEN, AFTER = "before the first step", "between steps", "after the last step"


def parts_of(log: str, *, began: datetime, ended: datetime) -> dict[str, float]:
    """Seconds by part from what the process printed; nothing for a process that tells nothing."""
    document = _last_document(log)
    if "reached" in document:
        return parts_by_hand(document["reached"], total_s=(ended - began).total_seconds())
    targets = document.get("targets") or [{}]
    return parts_of_steps(targets[0].get("steps", []), began=began, ended=ended)


def parts_by_hand(reached: Mapping[str, float], *, total_s: float) -> dict[str, float]:
    """By part the seconds since the one before; `reached` counts from the first line of the script."""
    parts, last = {}, 0.0
    for name, at in reached.items():
        parts[name], last = at - last, at
    return {**parts, "start and end of the process": total_s - last}


def parts_of_steps(steps: Sequence[Mapping[str, Any]], *, began: datetime, ended: datetime) -> dict[str, float]:
    """Each step's seconds, and the time that belongs to none: before, between and after them."""
    if not steps or any(not step["ended_at"] for step in steps):
        return {}
    spans = [(step["step"], _moment(step["started_at"]), _moment(step["ended_at"])) for step in steps]
    parts = {name: (end - start).total_seconds() for name, start, end in spans}
    gaps = [(later[1] - earlier[2]).total_seconds() for earlier, later in zip(spans, spans[1:], strict=False)]
    return {
        BEFORE: (spans[0][1] - began).total_seconds(),
        **parts,
        BETWEEN: sum(gaps),
        AFTER: (ended - spans[-1][2]).total_seconds(),
    }


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _last_document(log: str) -> dict[str, Any]:
    """The last JSON object that begins at the start of a line."""
    for at in sorted((at for at in range(len(log)) if log[at] == "{" and log[:at][-1:] in ("", "\n")), reverse=True):
        try:
            document: dict[str, Any] = json.JSONDecoder().raw_decode(log[at:])[0]
        except ValueError:
            continue
        return document
    return {}
