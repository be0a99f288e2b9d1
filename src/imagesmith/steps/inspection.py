"""What an instance tells of itself, over an open connection."""

from __future__ import annotations

import asyncio
import time

from imagesmith import settings
from imagesmith.errors import DefinitionError
from imagesmith.inventory_text import Reading, read_inventory
from imagesmith.ssh import Remote
from imagesmith.steps.context import TargetContext
from imagesmith.waiting import StillWaiting

INVENTORY = "inventory.sh"
CLOUD_INIT_LOOK_S = 2.0


async def machine_is_ready(context: TargetContext, remote: Remote) -> None:
    """Wait for the end of cloud-init, and see that we can become root there; raises DefinitionError."""
    what = f"{context.name}: wait for the end of cloud-init"
    while (seen := await remote.look())["cloud_init"] == "running":
        await context.waits.pause(CLOUD_INIT_LOOK_S, what)
    if seen["cloud_init"] == "error":
        context.emit(
            f"{context.name}: WARNING: cloud-init ended with an error; see `cloud-init status --long` in the image"
        )
    if seen["root"] != "yes":
        raise DefinitionError(
            f"{context.name}: {context.target.ssh_username} can't become root without a password, which "
            f"looking and cleaning up need; set ssh_username in include/generators/{context.plan.generator}.yaml to "
            "root or a sudoer"
        )


async def take_inventory(context: TargetContext, remote: Remote) -> Reading:
    """The instance's inventory as of now; the log has its digest and how long it took. Raises InventoryUnreadable."""
    begun = time.monotonic()
    reading = read_inventory(await inspect(context, remote, INVENTORY))
    digest, packages = reading.inventory.digest[:12], len(reading.inventory.packages)
    context.emit(f"{context.name}: inventory {digest}: {packages} packages, in {time.monotonic() - begun:.1f} s")
    return reading


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
