"""What an instance tells of itself, over an open connection."""

from __future__ import annotations

import asyncio

from imagesmith import settings
from imagesmith.inventory_text import Reading, read_inventory
from imagesmith.ssh import Remote
from imagesmith.steps.context import TargetContext
from imagesmith.waiting import StillWaiting

INVENTORY = "inventory.sh"


async def take_inventory(context: TargetContext, remote: Remote) -> Reading:
    """The instance's inventory as of now; raises InventoryUnreadable."""
    return read_inventory(await inspect(context, remote, INVENTORY))


async def inspect(context: TargetContext, remote: Remote, name: str, *, given: str = "") -> bytes:
    """What our own script `name` prints as root over there; `given` are lines of shell in front of it.

    Raises StillWaiting, TimeLimitExceeded; being cut short leaves nothing behind.
    """
    what = f"{context.name}: {name} looks at the instance"
    context.waits.check(what)
    script = (settings.include_dir() / "scripts" / name).read_text()
    try:
        return await asyncio.wait_for(
            remote.inspect((given + script).encode()), max(0.05, context.waits.patience_left_s())
        )
    except TimeoutError:
        context.waits.check(what)
        raise StillWaiting(what) from None
