"""What Alembic runs for each command: it works on the connection, and in the transaction, it is given."""

from alembic import context

from imagesmith.catalog.schema import Base
from imagesmith.catalog.schema_version import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite alters a table only by making it anew
)
context.run_migrations()
