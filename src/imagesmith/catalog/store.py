"""The catalog: the only memory that tasks, triggers, the janitor and the command line share.

    catalog = Catalog()          # IMAGESMITH_CATALOG_URL, by default SQLite in .imagesmith
    catalog.upgrade()            # once per deployment; harmless when repeated
    build = catalog.begin_build(build_id=…, generator="dstat", …)

Each method is one short transaction, idempotent, and tried again for a while when the database is away; after
that it raises Transient. A database that is missing, closed to us or of another version raises SetupError.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from imagesmith import settings
from imagesmith.catalog import schema_version
from imagesmith.catalog.board import BoardStore
from imagesmith.catalog.budgets import BudgetStore
from imagesmith.catalog.builds import BuildStore
from imagesmith.catalog.database import UPGRADE_CURE, Database
from imagesmith.catalog.images import ImageStore
from imagesmith.catalog.inventories import InventoryStore
from imagesmith.catalog.lineage import LineageStore
from imagesmith.catalog.pages import PageStore
from imagesmith.catalog.recovery import RecoveryStore
from imagesmith.catalog.resources import ResourceStore
from imagesmith.catalog.targets import TargetStore
from imagesmith.catalog.watching import WatchStore
from imagesmith.errors import SetupError, Transient


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Catalog(
    BuildStore,
    TargetStore,
    ResourceStore,
    ImageStore,
    InventoryStore,
    LineageStore,
    PageStore,
    WatchStore,
    RecoveryStore,
    BoardStore,
    BudgetStore,
):
    """A catalog by its URL (SQLite or PostgreSQL), safe to share between threads and across a fork.

    `clock` gives the times that are written.
    """

    def __init__(self, url: str | None = None, *, clock: Callable[[], datetime] = _utc_now) -> None:
        super().__init__(Database(url or settings.catalog_url()), clock)

    def upgrade(self) -> None:
        """Bring the schema to this version from nothing or an older one; several callers at once are fine."""
        with self._database.alone():
            self._database.connect_once(schema_version.bring_to_newest, writing=True)

    def check(self) -> None:
        """Nothing if the catalog can be used now; otherwise raises SetupError, which names the cure."""
        name, path = self._database.name, self._database.path
        if path is not None and not path.exists():
            raise SetupError(f"catalog {name}: there is no such file yet; {UPGRADE_CURE}")
        try:
            found = self._database.connect_once(schema_version.current, writing=False)
        except Transient as error:
            raise SetupError(str(error)) from error
        if found is None:
            raise SetupError(f"catalog {name}: has no tables yet; {UPGRADE_CURE}")
        if found not in schema_version.known():
            raise SetupError(f"catalog {name}: has schema {found}; {schema_version.NEWER_CURE}")
        if found != schema_version.newest():
            raise SetupError(f"catalog {name}: has the older schema {found}; {UPGRADE_CURE}")

    def close(self) -> None:
        """Give back the idle connections; the catalog can still be used and then opens new ones."""
        self._database.engine.dispose()
