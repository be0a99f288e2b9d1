"""What the processes of a deployment ask a cloud account together."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Two tables that nothing else hangs on."""
    op.create_table(
        "rounds",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("lease_until", TIME),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("account", "kind", name="pk_rounds"),
    )
    op.create_table(
        "questions",
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("wanted", sa.Integer, nullable=False),
        sa.Column("wanted_at", TIME, nullable=False),
        sa.Column("answered", sa.Integer, nullable=False),
        sa.Column("asked_at", TIME),
        sa.Column("answer", sa.Text),
        sa.PrimaryKeyConstraint("account", "kind", "key", name="pk_questions"),
    )


def downgrade() -> None:
    """Whoever waits for an answer asks again."""
    op.drop_table("questions")
    op.drop_table("rounds")
