"""Inventories in the catalog: what is inside images, each content once, its packages to be searched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from sqlalchemy import Tuple, select, tuple_
from sqlalchemy.orm import Session

from imagesmith.catalog.access import Access, insert_unless_there, reads, writes
from imagesmith.catalog.schema import InventoryPackage, StoredInventory, StoredPackage
from imagesmith.inventory import Inventory, Package

# Rows of one statement: five values each stay below SQLite's 32,766 and PostgreSQL's 65,535.
BATCH = 1_000


class InventoryStore(Access):
    """The catalog's part about what is inside images."""

    @writes
    def record_inventory(self, session: Session, inventory: Inventory) -> str:
        """The digest under which the inventory is stored, from now on or already."""
        digest = inventory.digest
        if session.get(StoredInventory, digest) is not None:
            return digest
        row = {"digest": digest, "document": inventory.model_dump(mode="json"), "created_at": self._now()}
        session.execute(insert_unless_there(session, StoredInventory, row))
        for packages in _batches(sorted(set(inventory.packages), key=_key)):
            session.execute(insert_unless_there(session, StoredPackage, [package.model_dump() for package in packages]))
            ids = session.scalars(select(StoredPackage.id).where(_columns().in_([_key(each) for each in packages])))
            links = [{"digest": digest, "package_id": package_id} for package_id in ids]
            session.execute(insert_unless_there(session, InventoryPackage, links))
        return digest

    @reads
    def inventory(self, session: Session, digest: str) -> Inventory | None:
        """The inventory of that digest, or None where none is stored."""
        row = session.get(StoredInventory, digest)
        return None if row is None else Inventory.model_validate(row.document)


def _columns() -> Tuple:
    row = StoredPackage
    return tuple_(row.manager, row.name, row.version, row.architecture, row.origin)


def _key(package: Package) -> tuple[str, str, str, str, str]:
    return (package.manager, package.name, package.version, package.architecture, package.origin)


def _batches(packages: Sequence[Package]) -> Iterator[list[Package]]:
    left = iter(packages)
    while batch := list(islice(left, BATCH)):
        yield batch
