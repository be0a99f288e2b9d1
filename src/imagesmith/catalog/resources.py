"""Resources in the catalog: the ledger of what builds make on clouds."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from imagesmith import crash_points
from imagesmith.catalog.access import Access, reads, record, the_target, writes
from imagesmith.catalog.records import ResourceRecord
from imagesmith.catalog.schema import Resource
from imagesmith.core import ResourceKind


class ResourceStore(Access):
    """The catalog's part about resources. Rule 1 of the design: a row before the call, the id right after."""

    @writes
    def intend_resource(
        self, session: Session, build_id: str, cloud: str, kind: ResourceKind, name: str
    ) -> ResourceRecord:
        """An open row for the thing; if an earlier thing of that name is gone, its row is used again."""
        the_target(session, build_id, cloud, lock=True)
        row = _named(session, build_id, cloud, kind, name)
        if row is None:
            row = self._add(session, build_id, cloud, kind, name)
        elif row.gone_at is not None:
            row.intended_at, row.resource_id, row.made_at, row.gone_at = self._now(), None, None, None
        return record(ResourceRecord, row)

    @writes
    def made_resource(
        self, session: Session, build_id: str, cloud: str, kind: ResourceKind, name: str, resource_id: str
    ) -> ResourceRecord:
        """The row with the id the cloud gave, open whatever was said before: what was made may be there.

        No id is lost: where another living thing has the name, that one's row goes on as `name#its-id`.
        """
        the_target(session, build_id, cloud, lock=True)
        known = _with_id(session, build_id, cloud, kind, resource_id)
        if known:
            known[0].gone_at = None
            return record(ResourceRecord, known[0])
        row = _named(session, build_id, cloud, kind, name)
        if row is not None and row.resource_id is not None and row.gone_at is None:
            row.name = f"{name}#{row.resource_id}"
            session.flush()
            row = None
        row = row or self._add(session, build_id, cloud, kind, name)
        row.resource_id, row.made_at, row.gone_at = resource_id, self._now(), None
        return record(ResourceRecord, row)

    @writes
    def gone_resource(self, session: Session, build_id: str, cloud: str, kind: ResourceKind, resource_id: str) -> None:
        """Closes the row of that id; for an id the catalog never heard of there is nothing to close."""
        the_target(session, build_id, cloud, lock=True)
        for row in _with_id(session, build_id, cloud, kind, resource_id):
            row.gone_at = row.gone_at or self._now()

    @writes
    def abandon_resource(self, session: Session, build_id: str, cloud: str, kind: ResourceKind, name: str) -> bool:
        """True if no intent of that name is open any more; one whose thing was made after all stays open."""
        the_target(session, build_id, cloud, lock=True)
        row = _named(session, build_id, cloud, kind, name)
        if row is not None and row.gone_at is None and row.resource_id is None:
            row.gone_at = self._now()
        return row is None or row.gone_at is not None

    @reads
    def resources(
        self,
        session: Session,
        *,
        build_id: str | None = None,
        cloud: str | None = None,
        include_gone: bool = False,
    ) -> list[ResourceRecord]:
        """Resources in the order of their intents; without those that are gone unless asked for."""
        query = select(Resource).order_by(Resource.id)
        if build_id is not None:
            query = query.where(Resource.build_id == build_id)
        if cloud is not None:
            query = query.where(Resource.cloud == cloud)
        if not include_gone:
            query = query.where(Resource.gone_at.is_(None))
        return [record(ResourceRecord, row) for row in session.scalars(query)]

    @reads
    def shared_resource(self, session: Session, cloud: str, kind: ResourceKind, name: str) -> str:
        """The id of the living thing of that name with which a target on this cloud has gone on to its instance, or "".

        Whoever intends an instance has done with the thing all that is to be done before.
        """
        used, after = aliased(Resource), aliased(Resource)
        same_target = (after.build_id == used.build_id) & (after.cloud == used.cloud)
        query = (
            select(used.resource_id)
            .join(after, same_target & (after.kind == ResourceKind.INSTANCE) & (after.intended_at >= used.made_at))
            .where(used.cloud == cloud, used.kind == kind, used.name == name)
            .where(used.gone_at.is_(None), used.resource_id.is_not(None))
            .order_by(used.id.desc())
            .limit(1)
        )
        return session.scalar(query) or ""

    @writes
    def let_go(self, session: Session, build_id: str, cloud: str, kind: ResourceKind, resource_id: str) -> bool:
        """True if other targets have open rows for the thing, and this one's has been closed: it is not ours to delete.

        Of many that let go at once the last is told False.
        """
        own = _with_id(session, build_id, cloud, kind, resource_id)
        names = [row.name for row in own]
        same = (Resource.resource_id == resource_id) | (Resource.resource_id.is_(None) & Resource.name.in_(names))
        users = (
            select(Resource)
            .where(Resource.cloud == cloud, Resource.kind == kind, same, Resource.gone_at.is_(None))
            .order_by(Resource.id)
            .with_for_update()
        )
        if all(row.build_id == build_id for row in session.scalars(users)):
            return False
        for row in own:
            row.gone_at = row.gone_at or self._now()
        return True

    def ledger(self, build_id: str, cloud: str) -> TargetLedger:
        """Where a driver writes what it makes for this target."""
        return TargetLedger(self, build_id, cloud)

    def _add(self, session: Session, build_id: str, cloud: str, kind: ResourceKind, name: str) -> Resource:
        row = Resource(build_id=build_id, cloud=cloud, kind=kind, name=name, intended_at=self._now())
        session.add(row)
        session.flush()  # the database gives the row its number
        return row


@dataclass(frozen=True)
class TargetLedger:
    """One target's `core.Ledger`, written straight into the catalog."""

    store: ResourceStore
    build_id: str
    cloud: str

    def intend(self, kind: ResourceKind, name: str) -> None:
        """Before the call: a row for the thing, without its id."""
        self.store.intend_resource(self.build_id, self.cloud, kind, name)
        crash_points.reach(crash_points.BEFORE_CALL, kind=kind)

    def made(self, kind: ResourceKind, name: str, resource_id: str) -> None:
        """Right after the call: the id the cloud gave."""
        crash_points.reach(crash_points.AFTER_CALL, kind=kind)
        self.store.made_resource(self.build_id, self.cloud, kind, name, resource_id)

    def gone(self, kind: ResourceKind, resource_id: str) -> None:
        """The cloud says the thing is no more."""
        crash_points.reach(crash_points.AFTER_CALL, kind=kind)
        self.store.gone_resource(self.build_id, self.cloud, kind, resource_id)

    def shared(self, kind: ResourceKind, name: str) -> str:
        """The id of the living thing of that name which a launch on this cloud has used, or ""."""
        return self.store.shared_resource(self.cloud, kind, name)


def _named(session: Session, build_id: str, cloud: str, kind: ResourceKind, name: str) -> Resource | None:
    of_target = (Resource.build_id == build_id) & (Resource.cloud == cloud)
    return session.scalar(select(Resource).where(of_target, Resource.kind == kind, Resource.name == name))


def _with_id(session: Session, build_id: str, cloud: str, kind: ResourceKind, resource_id: str) -> list[Resource]:
    of_target = (Resource.build_id == build_id) & (Resource.cloud == cloud)
    same = select(Resource).where(of_target, Resource.kind == kind, Resource.resource_id == resource_id)
    return list(session.scalars(same.order_by(Resource.id)))
