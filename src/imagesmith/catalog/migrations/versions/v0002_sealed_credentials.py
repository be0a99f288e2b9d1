"""What a target on a cloud that asks for a password works with, until it has ended."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A column of the targets; those there are have none."""
    op.add_column("targets", sa.Column("sealed_credential", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    """Builds under way on such clouds can't go on."""
    with op.batch_alter_table("targets") as targets:
        targets.drop_column("sealed_credential")
