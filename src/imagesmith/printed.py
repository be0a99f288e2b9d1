"""Where in an error's message that begins which a machine printed: who may read errors may not read logs for that."""

from __future__ import annotations

LAST_PRINTED = "; the last it printed:\n"
SAID = "; it said:\n"


def without_printed(message: str) -> str:
    """The message up to what a machine printed; the whole of one that holds nothing of the kind."""
    return min((message.partition(mark)[0] for mark in (LAST_PRINTED, SAID)), key=len)
