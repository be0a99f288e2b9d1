"""Lists of builds and images by age, of however many there are."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What all lists are ordered by."""
    op.create_index("ix_builds_created_at", "builds", ["created_at"])
    op.create_index("ix_images_created_at", "images", ["created_at"])


def downgrade() -> None:
    """Lists are sorted anew each time."""
    op.drop_index("ix_images_created_at", "images")
    op.drop_index("ix_builds_created_at", "builds")
