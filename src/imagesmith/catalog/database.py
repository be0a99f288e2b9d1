"""Connections to the catalog's database, and short transactions that survive a lost one.

Every piece of work handed in here may run more than once, so it must be fine to do twice.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeVar

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.orm import Session
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from imagesmith.errors import SetupError, Transient

RETRY_FOR_S = 20.0  # a PostgreSQL that restarts is back within this
BUSY_TIMEOUT_MS = 30_000  # a SQLite writer waits for the others, each of which takes milliseconds
CONNECT_TIMEOUT_S = 10
UPGRADE_CURE = "`make up` or Catalog().upgrade() brings it to this version"

_URL_CURE = "set IMAGESMITH_CATALOG_URL to sqlite:////path/catalog.db or postgresql://user:password@host/database"
_PLACE_CURE = "set IMAGESMITH_HOME or IMAGESMITH_CATALOG_URL to a place that can be written"
_POINTS_CURE = "check what IMAGESMITH_CATALOG_URL points to"

# PostgreSQL's codes for a table or column that is not there, or not for this user.
_SCHEMA_CODES = ("42P01", "42703", "42501")
# A server that will not have us now will not have us in a second; its other refusals pass.
# "invalid" is said of what the URL holds, and by what is no PostgreSQL.
_LASTING_REFUSALS = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "could not translate",
    "invalid ",
)

T = TypeVar("T")


class Database:
    """One catalog's database: a SQLite file, or PostgreSQL by URL."""

    def __init__(self, url: str) -> None:
        self.url = usable_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite_engine(self.url) if self.is_sqlite else _postgresql_engine(self.url)
        self._pid = os.getpid()
        # SQLite must hear at the start that a transaction will write; later it may refuse.
        self._writer = self.engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")

    @property
    def name(self) -> str:
        """The URL for messages, without the password."""
        return self.url.render_as_string(hide_password=True)

    @property
    def path(self) -> Path | None:
        """The file of a SQLite catalog."""
        return Path(self.url.database) if self.is_sqlite and self.url.database else None

    def read(self, work: Callable[[Session], T]) -> T:
        """What `work` returns, from one short transaction."""
        return self._persist(self.engine, work)

    def write(self, work: Callable[[Session], T]) -> T:
        """What `work` returns, once it is committed."""
        return self._persist(self._writer, work)

    def connect_once(self, work: Callable[[Connection], T], *, writing: bool) -> T:
        """What `work` returns, from a transaction that is not tried again."""
        self._open_own_connections()
        try:
            with (self._writer if writing else self.engine).begin() as connection:
                return work(connection)
        except (DBAPIError, PoolExhausted) as error:
            raise self._explained(error) from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes' migrations of a SQLite file out; PostgreSQL has a lock of its own for it."""
        if self.path is None:
            yield
            return
        with self._lock_file(self.path) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._allow_readers_beside_a_writer()
            yield

    def _lock_file(self, path: Path) -> TextIO:
        try:
            return path.with_name(f"{path.name}.lock").open("w")
        except OSError as error:
            raise SetupError(f"catalog {path}: {error.strerror}; {_PLACE_CURE}") from error

    def _allow_readers_beside_a_writer(self) -> None:
        """Set SQLite's write-ahead log, which the file remembers; it can't be set within a transaction."""
        try:
            with closing(self.engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA journal_mode = WAL")
        except (sqlite3.Error, DBAPIError) as error:
            raise SetupError(f"catalog {self.name}: {error}; {_POINTS_CURE}") from error

    def _persist(self, engine: Engine, work: Callable[[Session], T]) -> T:
        self._open_own_connections()
        persistent = Retrying(
            retry=retry_if_exception(self._passes),
            stop=stop_after_delay(RETRY_FOR_S),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            reraise=True,
        )
        try:
            result: T = persistent(_in_one_transaction, engine, work)
            return result
        except (DBAPIError, PoolExhausted) as error:
            raise self._explained(error) from error

    def _open_own_connections(self) -> None:
        """Leave a parent's connections to the parent: two processes on one would read each other's answers."""
        if self._pid != os.getpid():
            self.engine.dispose(close=False)
            self._pid = os.getpid()

    def _passes(self, error: BaseException) -> bool:
        if isinstance(error, PoolExhausted):
            return True
        if not isinstance(error, DBAPIError):
            return False
        if self.is_sqlite:
            return isinstance(error, OperationalError) and "locked" in str(error.orig)
        lasting = any(refusal in str(error.orig) for refusal in _LASTING_REFUSALS)
        return error.connection_invalidated or (isinstance(error, OperationalError) and not lasting)

    def _explained(self, error: DBAPIError | PoolExhausted) -> Exception:
        """Our own error where somebody can act, the error itself where the fault is ours."""
        reason = str(getattr(error, "orig", None) or error).strip()
        if self._passes(error):
            return Transient(f"catalog {self.name}: {reason}; see that the database is up and not overloaded")
        if "no such table" in reason or "no such column" in reason or _code(error) in _SCHEMA_CODES:
            return SetupError(f"catalog {self.name}: {reason}; {UPGRADE_CURE}")
        if isinstance(error, OperationalError) or type(error) is DatabaseError or "invalid dsn" in reason:
            return SetupError(f"catalog {self.name}: {reason}; {_POINTS_CURE}")
        return error


def _in_one_transaction(engine: Engine, work: Callable[[Session], T]) -> T:
    with Session(engine) as session, session.begin():
        return work(session)


def _code(error: DBAPIError | PoolExhausted) -> str | None:
    return getattr(getattr(error, "orig", None), "pgcode", None)


def usable_url(text: str) -> URL:
    """The URL with a driver that is installed; raises SetupError for what the catalog does not run on."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise SetupError(f"the catalog's address is no database URL; {_URL_CURE}") from error
    if url.get_backend_name() in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg2")
    if url.get_backend_name() != "sqlite":
        raise SetupError(f"the catalog cannot live on {url.get_backend_name()}; {_URL_CURE}")
    if not url.database or ":memory:" in url.database:
        raise SetupError(f"a catalog in memory is lost with its process; {_URL_CURE}")
    return url


def _sqlite_engine(url: URL) -> Engine:
    if url.database:
        _make_parent(Path(url.database))
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver must not open transactions of its own; see `begin`
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")  # an intent must be on the disk before the cloud acts

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))

    return engine


def _make_parent(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"catalog {path}: {error.strerror}; {_PLACE_CURE}") from error


def _postgresql_engine(url: URL) -> Engine:
    return create_engine(
        url,
        pool_size=1,  # most processes have one thread; a triggerer's others get passing connections
        max_overflow=15,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "imagesmith"},
    )
