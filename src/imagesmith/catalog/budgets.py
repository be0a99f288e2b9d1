"""The account's calls: when all that were made would be paid for by a steady pace.

The row is a round of the board whose kind is the call: `due_at` is that moment, `number` how many calls there were.
A few seconds' worth may be made ahead of it. After throttling it lies in the future for all.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from imagesmith.catalog.access import Access, writes
from imagesmith.catalog.board import MOST_PAUSE_S, the_round

CALLS = "call"
# So many seconds' worth of calls may come at once.
BURST_S = 2.0
# Throttling this long after the last pause is a trouble of its own, whose first pause is short again.
CALM = timedelta(seconds=60)


class BudgetStore(Access):
    """The catalog's part that counts calls."""

    @writes
    def pay_for_call(self, session: Session, cloud: str, *, per_s: float, longest_s: float) -> float:
        """After how many seconds the call may be made; it is paid for unless that is more than `longest_s`."""
        now = self._now()
        row = the_round(session, _account(cloud), CALLS, now)
        wait_s = max(0.0, (row.due_at - now).total_seconds() - BURST_S)
        if wait_s <= longest_s:
            row.number += 1
            row.due_at = max(row.due_at, now) + timedelta(seconds=1 / per_s)
        return wait_s

    @writes
    def stop_calls(self, session: Session, cloud: str) -> None:
        """No calls for a second, and for twice as long each time that does not help; those under way are one lesson."""
        now = self._now()
        row = the_round(session, _account(cloud), CALLS, now)
        if row.lease_until is not None and now < row.lease_until:
            return
        again = row.lease_until is not None and now < row.lease_until + CALM
        row.failures = row.failures + 1 if again else 1
        row.lease_until = now + timedelta(seconds=min(MOST_PAUSE_S, 2.0 ** (row.failures - 1)))
        row.due_at = max(row.due_at, row.lease_until + timedelta(seconds=BURST_S))


def _account(cloud: str) -> str:
    """A cloud's name is its connection's, and so its account's; no other account on the board has a space."""
    return f"cloud {cloud}"
