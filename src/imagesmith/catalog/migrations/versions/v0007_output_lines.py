"""The lines of a script's output, which bound what its log takes, whoever goes on with it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

COLUMNS = ("output_lines", "test_output_lines")


def upgrade() -> None:
    """What runs while this is done is counted from here on."""
    for name in COLUMNS:
        op.add_column("targets", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Each task and trigger counts for itself again."""
    for name in COLUMNS:
        op.drop_column("targets", name)
