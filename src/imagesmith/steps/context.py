"""What a step of one target works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from imagesmith import keys
from imagesmith.catalog.records import TargetRecord
from imagesmith.catalog.store import Catalog
from imagesmith.core import (
    TAG_BUILD,
    TAG_CLOUD,
    TAG_DEPLOYMENT,
    TAG_DIGEST,
    TAG_GENERATOR,
    TAG_SCRIPT,
    TAG_SOURCE,
    TAG_VERSION,
    Cloud,
    Image,
    Instance,
    ResourceKind,
)
from imagesmith.errors import BuildStateError
from imagesmith.masking import Mask
from imagesmith.plan import Plan, PlannedTarget
from imagesmith.shared_looks import SharedLooks
from imagesmith.ssh import Login
from imagesmith.steps.roles import CUSTOMIZED, Role
from imagesmith.waiting import Waits, in_thread

DEFAULT_SSH_PORT = 22
# How often something new is looked at that the cloud does not know yet.
UNKNOWN_LOOK_S = 1.0


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
    # The values of the secret parameters, in the clear: for the scripts, and never for what is stored or shown.
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """What is emitted holds no secret, whoever emits it."""
        if self.secrets:
            emit = self.emit
            self.emit = lambda line: emit(self.mask.text(line))

    @property
    def name(self) -> str:
        """The cloud's name."""
        return self.target.cloud

    @cached_property
    def mask(self) -> Mask:
        """What hides the values of the secret parameters in a script's output."""
        return Mask(self.secrets.values())

    def environment(self) -> dict[str, str]:
        """The variables of the generator's scripts here, the secret ones among them."""
        return {**self.secrets, **self.plan.environment(self.name)}

    async def row(self) -> TargetRecord:
        """The target's record as it is now."""
        return await in_thread(self.catalog.target, self.plan.build_id, self.name)

    async def update(self, **changes: Any) -> TargetRecord:
        """The target's record after `changes`."""
        return await in_thread(self.catalog.update_target, self.plan.build_id, self.name, **changes)

    async def see_instance(self, instance_id: str) -> Instance:
        """A look at the instance, made again while the cloud is busy, or may not know yet what it has just made."""
        what = f"{self.name}: look at instance {instance_id}"
        while True:
            seen = await self.waits.again(what, lambda: self.looks.instance(instance_id, self.waits))
            if seen.known or not await self._is_new(ResourceKind.INSTANCE, instance_id):
                return seen
            await self.waits.pause(UNKNOWN_LOOK_S, what)

    async def see_image(self, image_id: str) -> Image:
        """A look at the image, as `see_instance` looks."""
        what = f"{self.name}: look at image {image_id}"
        while True:
            seen = await self.waits.again(what, lambda: self.looks.image(image_id, self.waits))
            if seen.known or not await self._is_new(ResourceKind.IMAGE, image_id):
                return seen
            await self.waits.pause(UNKNOWN_LOOK_S, what)

    async def let_settle(self, kind: ResourceKind) -> None:
        """Before a thing is made: if an earlier call for it was lost, wait until the cloud's listings must show it.

        Not where the cloud itself sees to it that the same request can't make two.
        """
        traits = self.cloud.traits
        rows = await in_thread(self.catalog.resources, build_id=self.plan.build_id, cloud=self.name)
        if traits.client_token or not any(row.kind is kind and not row.resource_id for row in rows):
            return
        self.emit(f"{self.name}: a call for the {kind} was cut off; looking again in {traits.settle_s:g} s")
        await self.waits.pause(traits.settle_s, f"{self.name}: wait for the cloud's listings")

    async def _is_new(self, kind: ResourceKind, resource_id: str) -> bool:
        rows = await in_thread(self.catalog.resources, build_id=self.plan.build_id, cloud=self.name)
        made = [row.made_at for row in rows if row.kind is kind and row.resource_id == resource_id and row.made_at]
        return any((datetime.now(UTC) - at).total_seconds() < self.cloud.traits.settle_s for at in made)

    def key(self, purpose: str, attempt: int) -> keys.KeyPair:
        """The key pair `login`, `host` or, with the prefix of a role, another's of one attempt at this target."""
        return keys.derive(self.secret, build_id=self.plan.build_id, cloud=self.name, attempt=attempt, purpose=purpose)

    def login(self, row: TargetRecord, role: Role = CUSTOMIZED) -> Login:
        """How to reach the target's instance of that role; raises BuildStateError when it has none."""
        if not role.instance_id(row) or not role.address(row):
            raise BuildStateError(
                f"{self.name}: this build has no instance to log in to; clear its {role.step} task as well"
            )
        injected = self.cloud.traits.host_key_injection
        return Login(
            address=role.address(row),
            port=int(self.target.settings.get("ssh_port") or DEFAULT_SSH_PORT),
            username=self.target.ssh_username,
            key=self.key(f"{role.prefix}login", row.attempt),
            host_key=self.key(f"{role.prefix}host", row.attempt).public if injected else role.host_key(row) or None,
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
            TAG_DEPLOYMENT: keys.deployment_id(self.secret),
            **({TAG_DIGEST: row.inventory_digest} if row.inventory_digest else {}),
        }
