"""What a step of one target works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from imagesmith import keys
from imagesmith.catalog.records import TargetRecord
from imagesmith.catalog.store import Catalog
from imagesmith.core import (
    TAG_BUILD,
    TAG_CLOUD,
    TAG_GENERATOR,
    TAG_SCRIPT,
    TAG_SOURCE,
    TAG_VERSION,
    Cloud,
)
from imagesmith.errors import BuildStateError
from imagesmith.plan import Plan, PlannedTarget
from imagesmith.ssh import Login
from imagesmith.waiting import SharedLooks, Waits, in_thread

DEFAULT_SSH_PORT = 22


@dataclass
class TargetContext:
    """One target of one build, with its cloud, its record and its limits; `emit` writes a line to the task log."""

    plan: Plan
    target: PlannedTarget
    catalog: Catalog
    cloud: Cloud
    looks: SharedLooks
    waits: Waits
    secret: bytes
    emit: Callable[[str], None]

    @property
    def name(self) -> str:
        """The cloud's name."""
        return self.target.cloud

    async def row(self) -> TargetRecord:
        """The target's record as it is now."""
        return await in_thread(self.catalog.target, self.plan.build_id, self.name)

    async def update(self, **changes: Any) -> TargetRecord:
        """The target's record after `changes`."""
        return await in_thread(self.catalog.update_target, self.plan.build_id, self.name, **changes)

    def key(self, purpose: str, attempt: int) -> keys.KeyPair:
        """The key pair `login` or `host` of one attempt at this target."""
        return keys.derive(self.secret, build_id=self.plan.build_id, cloud=self.name, attempt=attempt, purpose=purpose)

    def login(self, row: TargetRecord) -> Login:
        """How to reach the target's instance; raises BuildStateError when it has none."""
        if not row.instance_id or not row.address:
            raise BuildStateError(
                f"{self.name}: this build has no instance to log in to; clear its launch_vm task as well"
            )
        injected = self.key("host", row.attempt).public if self.cloud.traits.host_key_injection else None
        return Login(
            address=row.address,
            port=int(self.target.settings.get("ssh_port") or DEFAULT_SSH_PORT),
            username=self.target.ssh_username,
            key=self.key("login", row.attempt),
            host_key=injected or row.host_key or None,
        )

    def tags(self, row: TargetRecord) -> dict[str, str]:
        """The tags of everything this target makes: the user's, then ours, which no user's tag can replace."""
        return {
            **self.target.tags,
            TAG_BUILD: self.plan.build_id,
            TAG_CLOUD: self.name,
            TAG_GENERATOR: self.plan.generator,
            TAG_VERSION: self.plan.version,
            TAG_SCRIPT: self.plan.script_sha256,
            TAG_SOURCE: row.source_image_id or "",
        }
