"""Which schema a catalog has, and the way to the newest. Alembic is imported only when it is needed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from imagesmith.errors import SetupError

if TYPE_CHECKING:
    from alembic.config import Config

# Not Alembic's own default: a catalog may lie in one database with Airflow, whose table bears that name.
VERSION_TABLE = "imagesmith_schema_version"

NEWER_CURE = "a newer Imagesmith wrote it, so update this one"

# Any number that no other application is likely to lock on.
ADVISORY_LOCK = 0x1_4A6E_5317

# Alembic keeps its context in module globals, so one process can migrate in one thread at a time.
_one_at_a_time = threading.Lock()


def current(connection: Connection) -> str | None:
    """The revision the database has, or None for one that was never set up."""
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def newest() -> str:
    """The revision this code works with."""
    return known()[0]


def known() -> list[str]:
    """All revisions this code has migrations for, the newest first."""
    from alembic.script import ScriptDirectory

    revisions = [script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()]
    if not revisions:
        raise SetupError("imagesmith was installed without its catalog's migrations; install it anew")
    return revisions


def bring_to_newest(connection: Connection) -> None:
    """Migrate inside the connection's transaction; whoever comes second waits and finds nothing to do."""
    from alembic import command
    from alembic.util import CommandError

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    config = alembic_config()
    config.attributes["connection"] = connection
    with _one_at_a_time:
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise SetupError(
                f"catalog {connection.engine.url.render_as_string(hide_password=True)}: {error}; {NEWER_CURE}"
            ) from error


def alembic_config() -> Config:
    """Alembic's settings, made here so that no ini file has to be found."""
    from alembic.config import Config

    config = Config()
    # A % would be taken for the start of an interpolation.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
