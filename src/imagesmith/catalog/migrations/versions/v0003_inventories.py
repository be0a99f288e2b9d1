"""What is inside images: inventories and their packages; a build's verdict, provenance and (until it ends) secrets."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
BUILD_COLUMNS = ("verdict", "comparison", "provenance", "sealed_secrets")
BUILD_DOCUMENTS = ("comparison", "sealed_secrets")
# By content, by what they were made from, and by what people call them.
IMAGE_INDEXES = {
    "ix_images_inventory_digest": ["inventory_digest"],
    "ix_images_cloud_source_image_id": ["cloud", "source_image_id"],
    "ix_images_image_id": ["image_id"],
    "ix_images_name": ["name"],
}
TARGET_TEXTS = (
    *("inventory_digest", "identity", "verify_instance_id", "verify_address", "verify_host_key"),
    *("verify_inspected_id", "test_output_tail"),
)
TARGET_NUMBERS = {"test_index": sa.Integer(), "test_output_offset": sa.BigInteger()}


def upgrade() -> None:
    """Three tables and some columns; builds and images of before have no inventory."""
    op.create_table(
        "inventories",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_inventories"),
    )
    _create_packages()
    for name in BUILD_COLUMNS:
        op.add_column("builds", sa.Column(name, sa.Text) if name in BUILD_DOCUMENTS else _text(name))
    for name in TARGET_TEXTS:
        op.add_column("targets", _text(name))
    for name, kind in TARGET_NUMBERS.items():
        op.add_column("targets", sa.Column(name, kind, nullable=False, server_default="0"))
    op.add_column("images", _text("inventory_digest"))
    op.add_column("images", sa.Column("verified_at", TIME))
    for name, columns in IMAGE_INDEXES.items():
        op.create_index(name, "images", columns)


def downgrade() -> None:
    """What is known of the content of images is lost."""
    with op.batch_alter_table("images") as images:
        for name in IMAGE_INDEXES:
            images.drop_index(name)
        images.drop_column("verified_at")
        images.drop_column("inventory_digest")
    with op.batch_alter_table("targets") as targets:
        for name in (*TARGET_TEXTS, *TARGET_NUMBERS):
            targets.drop_column(name)
    with op.batch_alter_table("builds") as builds:
        for name in BUILD_COLUMNS:
            builds.drop_column(name)
    for table in ("inventory_packages", "packages", "inventories"):
        op.drop_table(table)


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def _create_packages() -> None:
    words = ("name", "manager", "version", "architecture", "origin")
    op.create_table(
        "packages",
        sa.Column("id", sa.Integer, nullable=False),
        *(sa.Column(word, sa.Text, nullable=False) for word in words),
        sa.PrimaryKeyConstraint("id", name="pk_packages"),
        sa.UniqueConstraint(*words, name="uq_packages_name_manager_version_architecture_origin"),
    )
    op.create_table(
        "inventory_packages",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("package_id", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("digest", "package_id", name="pk_inventory_packages"),
        sa.ForeignKeyConstraint(["digest"], ["inventories.digest"], name="fk_inventory_packages_digest"),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name="fk_inventory_packages_package_id"),
    )
    op.create_index("ix_inventory_packages_package_id", "inventory_packages", ["package_id"])
