"""What an instance of a target is for: the one that is customized, and the one that shows what was saved."""

from __future__ import annotations

from dataclasses import dataclass

from imagesmith.catalog.records import TargetChanges, TargetRecord


@dataclass(frozen=True)
class Role:
    """One of a target's instances: its name, keys and columns are its own, all else is the same.

    `step` launches it, `suffix` ends its name, `prefix` begins its columns in the target's row and its keys' purposes.
    """

    step: str
    suffix: str
    prefix: str

    def instance_id(self, row: TargetRecord) -> str:
        """The cloud's id of it, "" before there is one."""
        return str(getattr(row, f"{self.prefix}instance_id"))

    def address(self, row: TargetRecord) -> str:
        """Where its SSH answers, "" before it is known."""
        return str(getattr(row, f"{self.prefix}address"))

    def host_key(self, row: TargetRecord) -> str:
        """The host key that was taken on first use, "" where one was injected."""
        return str(getattr(row, f"{self.prefix}host_key"))

    def columns(self, **known: str) -> TargetChanges:
        """What is known of it (`instance_id`, `address`, `host_key`) as changes of the target's row."""
        changes: TargetChanges = {}
        for name, value in known.items():
            changes[f"{self.prefix}{name}"] = value  # type: ignore[literal-required]  # the prefix makes another of its keys
        return changes


CUSTOMIZED = Role(step="launch_vm", suffix="", prefix="")
VERIFYING = Role(step="verify_image", suffix="-verify", prefix="verify_")
