"""What is to go wrong, as a test asks for it over the control door."""

from dataclasses import dataclass
from typing import Any

ACTIONS = ("run", "status", "save", "terminate", "list", "store", "any")
# What the service does by itself, and what the cloud client is told to do.
SERVICE_KINDS = ("corrupt", "refuse")
CLIENT_KINDS = ("hang_before", "hang_after", "hang_at_end", "silent", "crash", "crash_after", "killed", "busy")


@dataclass
class Fault:
    """What the next `count` calls of one of the cloud client's actions get; `store` is a request to the image store.

    `after` so many calls that go well.

    corrupt      a run never reaches Running, a save never arrives; `text` is the reason
    refuse       the service says no and does nothing; `text` is why
    hang_before  the client sleeps `seconds` before it asks the service for anything
    hang_after   it sleeps when the service has answered, before it notes or prints anything of the answer
    hang_at_end  it sleeps when all is done and printed
    silent       the client does its work and prints nothing
    crash        the client ends at once with exit code 3 and `text`
    crash_after  so it ends when the service has answered: what it asked for is done and it has told nobody
    killed       the client ends at once and without a word, with the exit code of a Java that the kernel has killed
    busy         the client's connection is refused; the image store answers 503
    """

    action: str
    kind: str
    text: str = "as asked of the sandbox"
    seconds: float = 0.0
    count: int = 1
    after: int = 0


def fault_of(wanted: dict[str, Any]) -> Fault:
    """The fault of a request to the control door; raises ValueError for what it can't mean."""
    names = {"action": str, "kind": str, "text": str, "seconds": float, "count": int, "after": int}
    unknown = set(wanted) - set(names)
    if unknown:
        raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
    if wanted.get("action") not in ACTIONS:
        raise ValueError(f"a fault's action is one of {', '.join(ACTIONS)}")
    if wanted.get("kind") not in (*SERVICE_KINDS, *CLIENT_KINDS):
        raise ValueError(f"a fault's kind is one of {', '.join((*SERVICE_KINDS, *CLIENT_KINDS))}")
    return Fault(**{name: kind(wanted[name]) for name, kind in names.items() if name in wanted})


def take(faults: list[Fault], action: str, *kinds: str) -> Fault | None:
    """The first planned fault for the action of one of the kinds, used up by one."""
    for fault in faults:
        if fault.action not in (action, "any") or fault.kind not in kinds:
            continue
        if fault.after > 0:
            fault.after -= 1
        else:
            fault.count -= 1
            if fault.count <= 0:
                faults.remove(fault)
            return fault
    return None
