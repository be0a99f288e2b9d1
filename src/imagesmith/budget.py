"""The budget of calls that an account has a second, kept by all processes of a deployment together.

Each call is paid for on the catalog before it is made. Who finds the account a little ahead of its pace waits in its
thread; who would wait long is told that the cloud is busy, and comes again inside its own limit. An answer that there
were too many calls keeps everybody away for a while, longer each time.
"""

from __future__ import annotations

from imagesmith.catalog.store import Catalog
from imagesmith.core import Budget
from imagesmith.errors import CloudBusy
from imagesmith.waiting import wait_in_thread

# Where a cloud's settings do not say: those of plans from before there was a budget.
DEFAULT_PER_S = 10.0
# What a call waits for its turn in a thread, of which the triggerer has a few dozen for all builds.
WAITS_S = 2.0


class SharedBudget(Budget):
    """The budget of the account behind one cloud; `per_s` is how many calls it may make a second."""

    def __init__(self, catalog: Catalog, cloud: str, *, per_s: float = DEFAULT_PER_S) -> None:
        self._catalog = catalog
        self._cloud = cloud
        self._per_s = per_s

    def spend(self, tried: str) -> None:
        """Return when the call may be made; raises CloudBusy when that will be long."""
        wait_s = self._catalog.pay_for_call(self._cloud, per_s=self._per_s, longest_s=WAITS_S)
        if wait_s > WAITS_S:
            raise CloudBusy(
                f"{self._cloud}: {tried}: not asked for {wait_s:.0f} s more: {self._per_s:g} calls a second "
                f"(calls_per_second of {self._cloud} in include/clouds.yaml) are used up, or the cloud has said that "
                "there were too many; it is tried again"
            )
        wait_in_thread(wait_s)

    def overspent(self) -> None:
        """The cloud says that there were too many calls: everybody makes none for a while."""
        self._catalog.stop_calls(self._cloud)
