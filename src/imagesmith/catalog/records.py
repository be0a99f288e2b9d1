"""What the catalog gives to read: one frozen record per row, and the shapes it takes.

Text that is not known yet is "", a time that has not come is None. All times are UTC and say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypedDict

from imagesmith.core import ImageState, ResourceKind, TargetState


class BuildState(StrEnum):
    """How far a build is as a whole."""

    SUBMITTED = "submitted"
    RUNNING = "running"
    SUCCESSFUL = "successful"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """True for the three states that only a restart leaves."""
        return self in (BuildState.SUCCESSFUL, BuildState.FAILED, BuildState.CANCELLED)


@dataclass(frozen=True)
class NewTarget:
    """One cloud's part of a build that is about to begin."""

    cloud: str
    required: bool = True
    image_name: str = ""
    sealed_credential: str = field(default="", repr=False)


class TargetChanges(TypedDict, total=False):
    """What steps learn about a target; its state moves by `advance_target` and `fail_target` only."""

    instance_id: str
    address: str
    source_image_id: str
    source_image_name: str
    image_name: str
    script_index: int
    output_offset: int
    output_lines: int
    output_tail: str
    cleanup_started_at: datetime | None
    customized_instance_id: str
    host_key: str
    sealed_credential: str
    inventory_digest: str
    verify_instance_id: str
    verify_address: str
    verify_host_key: str
    verify_inspected_id: str
    identity: str
    test_index: int
    test_output_offset: int
    test_output_lines: int
    test_output_tail: str


@dataclass(frozen=True)
class GeneratorVersionRecord:
    """All that one version of a generator consisted of."""

    name: str
    version: str
    content: Mapping[str, Any]
    created_at: datetime


# How a build was asked for that is known by its images' tags alone.
READ_BACK = "read back from the clouds"


@dataclass(frozen=True)
class BuildRecord:
    """One build; `attempt` counts from 1 and grows each time the same run is started again.

    `verdict` says whether its images are alike and `comparison` in what they differ; `provenance` is the signed
    statement (a DSSE envelope, JSON). `sealed_secrets` are the secret parameters by name, until the build has ended.
    Images that were available at `announced_at` were made known to those who wait for them; None: none was yet.
    """

    build_id: str
    generator: str
    version: str
    dag_id: str
    run_id: str
    attempt: int
    requested_by: str
    requested_how: str
    plan: Mapping[str, Any]
    state: BuildState
    created_at: datetime
    deadline: datetime
    ended_at: datetime | None
    error: str
    verdict: str
    comparison: Mapping[str, Any] | None
    provenance: str
    sealed_secrets: Mapping[str, Any] | None = field(repr=False)
    announced_at: datetime | None

    @property
    def read_back(self) -> bool:
        """Whether its images' tags are all that is known of it: its run, scripts, log and verification are not."""
        return self.requested_how == READ_BACK


@dataclass(frozen=True)
class TargetRecord:
    """One cloud's part of a build.

    `output_offset` and `output_lines` count the bytes and lines of the script's output seen so far, `output_tail` holds
    the last 16 KiB.
    `host_key` is one line of OpenSSH. `sealed_credential` stands for a password that was asked, until the target has
    ended. `customized_instance_id` is the instance whose scripts all ended well, `inventory_digest` what it held then.
    `identity` are hashes of what that instance was told from others by, a line each. `verify_instance_id` was launched
    from the saved image, `verify_inspected_id` is it, too, once it was found right; `test_index` is the
    number of tests that ended well there.
    `kept_image_id` is an earlier build's image, where a new one would have been the same and none was made.
    """

    build_id: str
    cloud: str
    required: bool
    state: TargetState
    attempt: int
    instance_id: str
    address: str
    source_image_id: str
    source_image_name: str
    image_name: str
    script_index: int
    output_offset: int
    output_lines: int
    output_tail: str
    cleanup_started_at: datetime | None
    customized_instance_id: str
    host_key: str
    sealed_credential: str = field(repr=False)
    inventory_digest: str
    verify_instance_id: str
    verify_address: str
    verify_host_key: str
    kept_image_id: str
    verify_inspected_id: str
    identity: str
    test_index: int
    test_output_offset: int
    test_output_lines: int
    test_output_tail: str
    error: str
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def customized(self) -> bool:
        """True when the instance at hand is the very one that was customized, so that saving it is right."""
        return bool(self.instance_id) and self.instance_id == self.customized_instance_id


@dataclass(frozen=True)
class StepRecord:
    """One step of one attempt of a target."""

    build_id: str
    cloud: str
    step: str
    attempt: int
    started_at: datetime
    ended_at: datetime | None
    error: str


@dataclass(frozen=True)
class ResourceRecord:
    """A thing on a cloud: intended, perhaps made (then `resource_id` is known), perhaps gone."""

    id: int
    build_id: str
    cloud: str
    kind: ResourceKind
    name: str
    resource_id: str | None
    intended_at: datetime
    made_at: datetime | None
    gone_at: datetime | None


@dataclass(frozen=True)
class ImageRecord:
    """An image a build saved, and where it came from; `inventory_digest` is its content's, "" where none was taken."""

    build_id: str
    cloud: str
    image_id: str
    name: str
    generator: str
    version: str
    source_image_id: str
    public: bool
    state: ImageState
    created_at: datetime
    available_at: datetime | None
    deleted_at: datetime | None
    inventory_digest: str
    verified_at: datetime | None
