"""Calls that are to fail, as a test asks for them over the control door."""

import re
from dataclasses import dataclass
from typing import Any


@dataclass
class Fault:
    """What the next `count` calls that match get; status 0 cuts the connection.

    `after_effect` lets the call do its work first, so that only the answer is lost.
    """

    status: int = 500
    message: str = "as asked of the sandbox"
    service: str = ""
    method: str = ""
    path: str = ""
    count: int = 1
    after_effect: bool = False

    def matches(self, service: str, method: str, path: str) -> bool:
        """True for a call it is meant for; `path` is searched for as a regular expression."""
        return (
            self.service in ("", service)
            and self.method.upper() in ("", method)
            and re.search(self.path, path) is not None
        )


def fault_of(wanted: dict[str, Any]) -> Fault:
    """The fault of a request to the control door; raises ValueError for what it can't mean."""
    names = {"status": int, "message": str, "service": str, "method": str, "path": str, "count": int}
    unknown = set(wanted) - set(names) - {"after_effect"}
    if unknown:
        raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
    fault = Fault(**{name: kind(wanted[name]) for name, kind in names.items() if name in wanted})
    fault.after_effect = bool(wanted.get("after_effect", False))
    re.compile(fault.path)
    return fault
