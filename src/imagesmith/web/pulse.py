"""What goes on in the catalog, for all who watch: one look a tick, whoever and however many they are.

The first who watches sets it going and the last who leaves ends it. Each process of the API server has its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import UTC, datetime, timedelta

from imagesmith.catalog.watching import WatchedBuild
from imagesmith.errors import ImagesmithError
from imagesmith.waiting import rest

TICK_S = 1.0
# A build that ended within this time is still looked at: clocks of several machines differ, and a tick may be late.
LATE_S = 60.0
# After so long without news whoever watches hears that there is none.
QUIET_S = 15.0
log = logging.getLogger(__name__)


class Pulse:
    """The catalog's news; `look` blocks, and gives the builds that are open or ended since then."""

    def __init__(self, look: Callable[[datetime], Sequence[WatchedBuild]], *, tick_s: float = TICK_S) -> None:
        self._look = look
        self._tick_s = tick_s
        self._watchers: set[_Watcher] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def watchers(self) -> int:
        """How many watch now."""
        return len(self._watchers)

    async def news(self, since: datetime, *, quiet_s: float = QUIET_S) -> AsyncGenerator[Sequence[WatchedBuild], None]:
        """Builds that changed, as they do; at first all that are open or ended since then, and nothing now and then."""
        watcher = _Watcher()
        self._watchers.add(watcher)
        try:
            # Begun before the first look, so that nothing falls in between.
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._beat())
            yield await asyncio.to_thread(self._look, since)
            while True:
                yield await watcher.changed(quiet_s)
        finally:
            self._watchers.discard(watcher)
            if not self._watchers and self._task is not None:
                self._task.cancel()
                self._task = None  # whoever comes before it has ended begins another

    async def _beat(self) -> None:
        known: dict[str, WatchedBuild] = {}
        while self._watchers:
            try:
                since = datetime.now(UTC) - timedelta(seconds=LATE_S)
                found = await asyncio.to_thread(self._look, since)
            except ImagesmithError as error:  # a database that restarts; what changed meanwhile is seen afterwards
                log.warning("builds are not watched for the moment: %s", error)
            else:
                changed = [each for each in found if known.get(each.summary.build_id) != each]
                known = {each.summary.build_id: each for each in found}
                for watcher in self._watchers:
                    watcher.tell(changed)
            await rest(self._tick_s)


class _Watcher:
    """One who watches; what he did not take yet is kept once a build, however slow he is."""

    def __init__(self) -> None:
        self._pending: dict[str, WatchedBuild] = {}
        self._event = asyncio.Event()

    def tell(self, changed: Sequence[WatchedBuild]) -> None:
        """Keep the news for him."""
        self._pending |= {each.summary.build_id: each for each in changed}
        if self._pending:
            self._event.set()

    async def changed(self, quiet_s: float) -> Sequence[WatchedBuild]:
        """The news, or nothing after so long without any."""
        try:
            await asyncio.wait_for(self._event.wait(), quiet_s)
        except TimeoutError:
            return []
        self._event.clear()
        found, self._pending = list(self._pending.values()), {}
        return found
