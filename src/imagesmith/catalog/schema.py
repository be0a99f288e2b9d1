"""The catalog's tables.

A change here needs a migration in `migrations/versions`; a test compares the two.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from imagesmith.catalog.records import BuildState
from imagesmith.core import ImageState, ResourceKind, TargetState

WORD_LENGTH = 20  # room for every state and kind in core.py, and for longer ones to come
OPEN_RESOURCE = "gone_at IS NULL"


class UtcTime(TypeDecorator[datetime]):
    """A time with its zone, in UTC on both sides; SQLite itself knows no zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """UTC for the database; a time without a zone is refused, as nobody can tell what it means."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value}: the catalog takes times with a zone only; use datetime.now(UTC)")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The same moment, marked as UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class PlainText(TypeDecorator[str]):
    """Text from anywhere: what PostgreSQL cannot hold (NUL, halves of surrogate pairs) is replaced.

    Scripts and clouds print what they like, and a strange byte must not fail a build.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Storable text."""
        if value is None:
            return None
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


class JsonText(TypeDecorator[dict[str, Any]]):
    """A document as ASCII JSON, which reads back equal on every database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: dict[str, Any] | None, dialect: Dialect) -> str | None:
        """The document as text; NaN, which JSON does not know, is refused."""
        return None if value is None else json.dumps(value, allow_nan=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> dict[str, Any] | None:
        """The document again."""
        return None if value is None else json.loads(value)


def word_of(kind: type[StrEnum]) -> Enum:
    """A column of the words of `kind`, stored as they are so that people can read the table."""
    return Enum(
        kind,
        native_enum=False,
        length=WORD_LENGTH,
        values_callable=lambda words: [word.value for word in words],
        validate_strings=True,
    )


class Base(DeclarativeBase):
    """All tables; constraints bear names that the migrations can count on."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        str: PlainText,
        datetime: UtcTime,
        dict[str, Any]: JsonText,
        BuildState: word_of(BuildState),
        TargetState: word_of(TargetState),
        ResourceKind: word_of(ResourceKind),
        ImageState: word_of(ImageState),
    }


class GeneratorVersion(Base):
    """What a generator consisted of, once per content."""

    __tablename__ = "generator_versions"

    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(primary_key=True)
    content: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class Build(Base):
    """One build: one DAG run."""

    __tablename__ = "builds"
    __table_args__ = (
        UniqueConstraint("dag_id", "run_id"),
        ForeignKeyConstraint(["generator", "version"], ["generator_versions.name", "generator_versions.version"]),
        Index(None, "generator", "created_at"),
        Index(None, "created_at"),
        Index(None, "state"),
    )

    build_id: Mapped[str] = mapped_column(primary_key=True)
    generator: Mapped[str]
    version: Mapped[str]
    dag_id: Mapped[str]
    run_id: Mapped[str]
    attempt: Mapped[int] = mapped_column(default=1)
    requested_by: Mapped[str]
    requested_how: Mapped[str]
    plan: Mapped[dict[str, Any]]
    state: Mapped[BuildState]
    created_at: Mapped[datetime]
    deadline: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(default="")
    verdict: Mapped[str] = mapped_column(default="", server_default="")
    comparison: Mapped[dict[str, Any] | None]
    provenance: Mapped[str] = mapped_column(default="", server_default="")
    sealed_secrets: Mapped[dict[str, Any] | None]
    announced_at: Mapped[datetime | None]


class Target(Base):
    """One cloud's part of a build."""

    __tablename__ = "targets"

    build_id: Mapped[str] = mapped_column(ForeignKey("builds.build_id"), primary_key=True)
    cloud: Mapped[str] = mapped_column(primary_key=True)
    required: Mapped[bool]
    state: Mapped[TargetState] = mapped_column(default=TargetState.SUBMITTED)
    attempt: Mapped[int] = mapped_column(default=1)
    instance_id: Mapped[str] = mapped_column(default="")
    address: Mapped[str] = mapped_column(default="")
    source_image_id: Mapped[str] = mapped_column(default="")
    source_image_name: Mapped[str] = mapped_column(default="")
    image_name: Mapped[str] = mapped_column(default="")
    script_index: Mapped[int] = mapped_column(default=0)
    output_offset: Mapped[int] = mapped_column(BigInteger, default=0)
    output_tail: Mapped[str] = mapped_column(default="")
    cleanup_started_at: Mapped[datetime | None]
    customized_instance_id: Mapped[str] = mapped_column(default="")
    host_key: Mapped[str] = mapped_column(default="")
    error: Mapped[str] = mapped_column(default="")
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    sealed_credential: Mapped[str] = mapped_column(default="", server_default="")
    inventory_digest: Mapped[str] = mapped_column(default="", server_default="")
    identity: Mapped[str] = mapped_column(default="", server_default="")
    verify_instance_id: Mapped[str] = mapped_column(default="", server_default="")
    verify_address: Mapped[str] = mapped_column(default="", server_default="")
    verify_host_key: Mapped[str] = mapped_column(default="", server_default="")
    verify_inspected_id: Mapped[str] = mapped_column(default="", server_default="")
    test_output_tail: Mapped[str] = mapped_column(default="", server_default="")
    test_index: Mapped[int] = mapped_column(default=0, server_default="0")
    test_output_offset: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    kept_image_id: Mapped[str] = mapped_column(default="", server_default="")
    output_lines: Mapped[int] = mapped_column(default=0, server_default="0")
    test_output_lines: Mapped[int] = mapped_column(default=0, server_default="0")


class Step(Base):
    """One step of one attempt of a target."""

    __tablename__ = "steps"
    __table_args__ = (ForeignKeyConstraint(["build_id", "cloud"], ["targets.build_id", "targets.cloud"]),)

    build_id: Mapped[str] = mapped_column(primary_key=True)
    cloud: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[str] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(default="")


class Resource(Base):
    """A thing on a cloud, from the intent to its end."""

    __tablename__ = "resources"
    __table_args__ = (
        UniqueConstraint("build_id", "cloud", "kind", "name"),
        ForeignKeyConstraint(["build_id", "cloud"], ["targets.build_id", "targets.cloud"]),
        Index(
            "ix_resources_open",
            "build_id",
            "cloud",
            sqlite_where=text(OPEN_RESOURCE),
            postgresql_where=text(OPEN_RESOURCE),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    build_id: Mapped[str]
    cloud: Mapped[str]
    kind: Mapped[ResourceKind]
    name: Mapped[str]
    resource_id: Mapped[str | None]
    intended_at: Mapped[datetime]
    made_at: Mapped[datetime | None]
    gone_at: Mapped[datetime | None]


class SavedImage(Base):
    """An image a build saved."""

    __tablename__ = "images"
    __table_args__ = (
        ForeignKeyConstraint(["build_id", "cloud"], ["targets.build_id", "targets.cloud"]),
        ForeignKeyConstraint(["generator", "version"], ["generator_versions.name", "generator_versions.version"]),
        Index(None, "generator", "created_at"),
        Index(None, "created_at"),
        Index(None, "build_id"),
        Index(None, "cloud", "source_image_id"),
        Index(None, "image_id"),
        Index(None, "name"),
    )

    cloud: Mapped[str] = mapped_column(primary_key=True)
    image_id: Mapped[str] = mapped_column(primary_key=True)
    build_id: Mapped[str]
    name: Mapped[str]
    generator: Mapped[str]
    version: Mapped[str]
    source_image_id: Mapped[str]
    public: Mapped[bool]
    state: Mapped[ImageState]
    created_at: Mapped[datetime]
    available_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    inventory_digest: Mapped[str] = mapped_column(default="", server_default="", index=True)
    verified_at: Mapped[datetime | None]


class StoredInventory(Base):
    """What is inside an image, once per content."""

    __tablename__ = "inventories"

    digest: Mapped[str] = mapped_column(primary_key=True)
    document: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class StoredPackage(Base):
    """One version of one package, once, however many images hold it."""

    __tablename__ = "packages"
    __table_args__ = (UniqueConstraint("name", "manager", "version", "architecture", "origin"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    manager: Mapped[str]
    version: Mapped[str]
    architecture: Mapped[str]
    origin: Mapped[str]


class InventoryPackage(Base):
    """Which inventories hold which packages, for searches."""

    __tablename__ = "inventory_packages"
    __table_args__ = (Index(None, "package_id"),)

    digest: Mapped[str] = mapped_column(ForeignKey("inventories.digest"), primary_key=True)
    package_id: Mapped[int] = mapped_column(ForeignKey("packages.id"), primary_key=True)


class Round(Base):
    """How often a kind of question was put to an account, and who may put it next (board.py)."""

    __tablename__ = "rounds"

    account: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)


class Question(Base):
    """A question to an account, from which round on it is to be answered, and its newest answer."""

    __tablename__ = "questions"

    account: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    wanted: Mapped[int] = mapped_column(default=0)
    wanted_at: Mapped[datetime]
    answered: Mapped[int] = mapped_column(default=0)
    asked_at: Mapped[datetime | None]
    answer: Mapped[dict[str, Any] | None]
