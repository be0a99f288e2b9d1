"""Images that a target kept instead of building them again, and until when a build's images were made known."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A column each; no build of before kept an image, and none made any known."""
    op.add_column("targets", sa.Column("kept_image_id", sa.Text, nullable=False, server_default=""))
    op.add_column("builds", sa.Column("announced_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    """Targets that kept an image look as if they had none."""
    with op.batch_alter_table("builds") as builds:
        builds.drop_column("announced_at")
    with op.batch_alter_table("targets") as targets:
        targets.drop_column("kept_image_id")
