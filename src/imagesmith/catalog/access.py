"""What the catalog's parts share: a database, a clock, and methods that each are one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from imagesmith.catalog.database import Database
from imagesmith.catalog.schema import Base, Build, Target
from imagesmith.errors import BuildStateError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")
P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound="Access")


class Access:
    """A part of the catalog; `clock` gives the time that goes into the rows."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._now = clock


def reads(method: Callable[Concatenate[S, Session, P], T]) -> Callable[Concatenate[S, P], T]:
    """The method as one short reading transaction, tried again when the connection is lost."""

    @wraps(method)
    def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._database.read(lambda session: method(self, session, *args, **kwargs))

    return run


def writes(method: Callable[Concatenate[S, Session, P], T]) -> Callable[Concatenate[S, P], T]:
    """The method as one short writing transaction; it may be tried again, so it must be idempotent."""

    @wraps(method)
    def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._database.write(lambda session: method(self, session, *args, **kwargs))

    return run


def record(kind: type[R], row: object) -> R:
    """The row as a record of `kind`, whose fields bear the columns' names."""
    return kind(**{field.name: getattr(row, field.name) for field in fields(kind)})


def the_build(session: Session, build_id: str, *, lock: bool = False) -> Build:
    """The build's row, if asked for locked until the end of the transaction."""
    row = session.get(Build, build_id, with_for_update=lock)
    if row is None:
        raise BuildStateError(f"{build_id}: no such build in the catalog; see `imagesmith status`")
    return row


def the_target(session: Session, build_id: str, cloud: str, *, lock: bool = False) -> Target:
    """The target's row; a lock on it puts all writers of this target in line."""
    row = session.get(Target, (build_id, cloud), with_for_update=lock)
    if row is None:
        the_build(session, build_id)
        raise BuildStateError(f"{build_id}: has no target on {cloud}; start a build that chooses this cloud")
    return row


def insert_unless_there(
    session: Session, table: type[Base], values: Mapping[str, Any] | Sequence[Mapping[str, Any]]
) -> sqlite.Insert | postgresql.Insert:
    """The statement that adds the row or rows; those whose key is taken stay as they are."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    return insert(table).values(values).on_conflict_do_nothing()
