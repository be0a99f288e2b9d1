"""The first tables: generators' versions, builds, targets, steps, resources and images."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
WORD = sa.String(20)


def upgrade() -> None:
    """From nothing."""
    _create_generator_versions()
    _create_builds()
    _create_targets()
    _create_steps()
    _create_resources()
    _create_images()


def downgrade() -> None:
    """To nothing: all that the catalog remembers is lost."""
    for table in ("images", "resources", "steps", "targets", "builds", "generator_versions"):
        op.drop_table(table)


def _create_generator_versions() -> None:
    op.create_table(
        "generator_versions",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", "version", name="pk_generator_versions"),
    )


def _create_builds() -> None:
    op.create_table(
        "builds",
        sa.Column("build_id", sa.Text, nullable=False),
        sa.Column("generator", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("dag_id", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("requested_how", sa.Text, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("deadline", TIME, nullable=False),
        sa.Column("ended_at", TIME),
        sa.Column("error", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("build_id", name="pk_builds"),
        sa.UniqueConstraint("dag_id", "run_id", name="uq_builds_dag_id_run_id"),
        _version_key("builds"),
    )
    op.create_index("ix_builds_generator_created_at", "builds", ["generator", "created_at"])
    op.create_index("ix_builds_state", "builds", ["state"])


def _create_targets() -> None:
    op.create_table(
        "targets",
        sa.Column("build_id", sa.Text, nullable=False),
        sa.Column("cloud", sa.Text, nullable=False),
        sa.Column("required", sa.Boolean, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("instance_id", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("source_image_id", sa.Text, nullable=False),
        sa.Column("source_image_name", sa.Text, nullable=False),
        sa.Column("image_name", sa.Text, nullable=False),
        sa.Column("script_index", sa.Integer, nullable=False),
        sa.Column("output_offset", sa.BigInteger, nullable=False),
        sa.Column("output_tail", sa.Text, nullable=False),
        sa.Column("cleanup_started_at", TIME),
        sa.Column("customized_instance_id", sa.Text, nullable=False),
        sa.Column("host_key", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("started_at", TIME),
        sa.Column("ended_at", TIME),
        sa.PrimaryKeyConstraint("build_id", "cloud", name="pk_targets"),
        sa.ForeignKeyConstraint(["build_id"], ["builds.build_id"], name="fk_targets_build_id"),
    )


def _create_steps() -> None:
    op.create_table(
        "steps",
        sa.Column("build_id", sa.Text, nullable=False),
        sa.Column("cloud", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("ended_at", TIME),
        sa.Column("error", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("build_id", "cloud", "step", "attempt", name="pk_steps"),
        _target_key("steps"),
    )


def _create_resources() -> None:
    op.create_table(
        "resources",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("build_id", sa.Text, nullable=False),
        sa.Column("cloud", sa.Text, nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("resource_id", sa.Text),
        sa.Column("intended_at", TIME, nullable=False),
        sa.Column("made_at", TIME),
        sa.Column("gone_at", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_resources"),
        sa.UniqueConstraint("build_id", "cloud", "kind", "name", name="uq_resources_build_id_cloud_kind_name"),
        _target_key("resources"),
    )
    still_there = sa.text("gone_at IS NULL")
    op.create_index(
        "ix_resources_open",
        "resources",
        ["build_id", "cloud"],
        sqlite_where=still_there,
        postgresql_where=still_there,
    )


def _create_images() -> None:
    op.create_table(
        "images",
        sa.Column("cloud", sa.Text, nullable=False),
        sa.Column("image_id", sa.Text, nullable=False),
        sa.Column("build_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("generator", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("source_image_id", sa.Text, nullable=False),
        sa.Column("public", sa.Boolean, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("available_at", TIME),
        sa.Column("deleted_at", TIME),
        sa.PrimaryKeyConstraint("cloud", "image_id", name="pk_images"),
        _target_key("images"),
        _version_key("images"),
    )
    op.create_index("ix_images_generator_created_at", "images", ["generator", "created_at"])
    op.create_index("ix_images_build_id", "images", ["build_id"])


def _target_key(table: str) -> sa.ForeignKeyConstraint:
    columns = ["build_id", "cloud"]
    return sa.ForeignKeyConstraint(
        columns, [f"targets.{column}" for column in columns], name=f"fk_{table}_build_id_cloud"
    )


def _version_key(table: str) -> sa.ForeignKeyConstraint:
    columns = ["generator_versions.name", "generator_versions.version"]
    return sa.ForeignKeyConstraint(["generator", "version"], columns, name=f"fk_{table}_generator_version")
