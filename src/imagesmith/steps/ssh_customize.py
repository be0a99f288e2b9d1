"""SSHCustomize: the generator's scripts run once on the instance, and no trace of the build left on its disk.

The scripts run detached (`remote.sh`), so everything here may be cut off and entered again: at a lost connection, in
another process, after a reboot that a script asked for.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

from imagesmith import settings
from imagesmith.catalog.records import TargetRecord
from imagesmith.core import InstanceState, TargetState
from imagesmith.errors import (
    BuildStateError,
    ConnectionLost,
    InstanceLost,
    ScriptError,
)
from imagesmith.masking import MaskedStream
from imagesmith.printed import SAID
from imagesmith.ssh import Remote, connect, is_shut_out
from imagesmith.steps.context import TargetContext
from imagesmith.steps.inspection import machine_is_ready, take_inventory
from imagesmith.steps.script_runs import has_begun, next_chunk, run_series, scripts_of
from imagesmith.waiting import in_thread

log = logging.getLogger(__name__)

CLEAN_UP = "clean-up.sh"
RECONNECT_S = 1.0
# After this many connections that failed in a row the cloud is asked whether the instance still lives.
ALIVE_LOOK_EVERY = 5
STOPPED_LOOKS_S = (0.3, 1, 2)
ENDING_LOOK_S = 1.0
# The clean-up's last acts, from the one that shuts us out to its end, take less than so many looks.
SHUT_OUT_LOOKS = 5


async def ssh_customize(context: TargetContext) -> dict[str, str]:
    """Run what is left of the scripts and of the clean-up; the id of the instance that is ready to be saved."""
    build_id = context.plan.build_id
    row = await in_thread(context.catalog.advance_target, build_id, context.name, TargetState.CUSTOMIZING)
    if row.state is TargetState.SUCCESSFUL or (row.instance_id and row.customized_instance_id == row.instance_id):
        return {"instance_id": row.instance_id or ""}
    if not row.instance_id:
        raise BuildStateError(f"{context.name}: this build has no instance; clear its launch_vm task as well")
    failures = 0
    while not await _cleaned(context):
        try:
            async with connect(context.login(row), build_id) as remote:
                failures = 0
                await _work(context, remote)
                break
        except ConnectionLost as error:
            failures += 1
            await _after_loss(context, error, failures)
    await context.update(customized_instance_id=row.instance_id)
    context.emit(f"{context.name}: instance {row.instance_id} is customized and clean")
    return {"instance_id": row.instance_id}


async def _work(context: TargetContext, remote: Remote) -> None:
    """Everything that is left to do on the instance, over one connection; returns if the clean-up was seen to end."""
    row = await context.row()
    if not row.cleanup_started_at:
        scripts = scripts_of(context.plan)
        if not await has_begun(context, remote, scripts):
            await machine_is_ready(context, remote)
            await _place_files(context, remote)
        await run_series(context, remote, scripts)
        if not row.inventory_digest:
            await _record_inventory(context, remote)
    await _clean_up(context, remote)


async def _place_files(context: TargetContext, remote: Remote) -> None:
    for file in context.plan.files:
        await remote.place(file.path, file.content)
        context.emit(f"{context.name}: {file.name} placed at {file.path}")


async def _record_inventory(context: TargetContext, remote: Remote) -> None:
    """What the scripts have made of the machine, told before the clean-up, after which nobody gets in."""
    reading = await take_inventory(context, remote)
    digest = await in_thread(context.catalog.record_inventory, reading.inventory)
    await context.update(inventory_digest=digest, identity="\n".join(reading.identity))


async def _clean_up(context: TargetContext, remote: Remote) -> None:
    """Start the clean-up, or find it started, and stay with it until it ends; raises ScriptError if it fails."""
    row = await context.row()
    if not row.cleanup_started_at:
        await context.update(cleanup_started_at=datetime.now(UTC))
        context.emit(f"{context.name}: clean-up starts")
    environment = {
        "IMAGESMITH_PUBLIC_KEY": context.key("login", row.attempt).public,
        "IMAGESMITH_POWER_OFF": "yes" if context.cloud.traits.powers_off else "no",
    }
    script = (settings.include_dir() / "scripts" / CLEAN_UP).read_bytes()
    await _stay_with_clean_up(context, remote, remote.run(CLEAN_UP, script, environment=environment, as_root=True))


async def _stay_with_clean_up(context: TargetContext, remote: Remote, output: AsyncGenerator[bytes, None]) -> None:
    said, shown = b"", MaskedStream(context.mask)
    async with contextlib.aclosing(output) as stream:
        while (chunk := await next_chunk(context, stream, f"{context.name}: clean up")) is not None:
            said = (said + b"".join(piece.text for piece in shown.feed(chunk)))[-4_000:]
    said += b"".join(piece.text for piece in shown.flush())
    while True:
        state = await remote.status(CLEAN_UP)
        if state.state == "done" and state.rc:
            raise ScriptError(
                f"{context.name}: clean-up failed with {state.rc}, so nothing is saved{SAID}"
                f"{said.decode(errors='replace').strip()}"
            )
        # "absent" on a connection that saw it start: it has removed the build's directory, its last act but power-off.
        if not context.cloud.traits.powers_off and state.state in ("absent", "done"):
            await remote.sync()  # a save may cut the power
            return
        if await remote.wait_lost(ENDING_LOOK_S):
            raise ConnectionLost(f"{context.name}: the machine goes down")
        await context.waits.pause(0, f"{context.name}: wait for the power-off")


async def _cleaned(context: TargetContext) -> bool:
    """True when the clean-up is known to have ended: the machine is off, or (where it stays on) lets us in no more."""
    row = await context.row()
    if not row.cleanup_started_at:
        return False
    if not context.cloud.traits.powers_off:
        return await _shut_out_for_good(context, row)
    instance = await context.see_instance(row.instance_id or "")
    _refuse_dead(context, instance.state, instance.reason)
    return instance.state is InstanceState.STOPPED


async def _shut_out_for_good(context: TargetContext, row: TargetRecord) -> bool:
    for _ in range(SHUT_OUT_LOOKS):
        if not await is_shut_out(context.login(row), context.plan.build_id):
            return False
        await context.waits.pause(RECONNECT_S, f"{context.name}: see that the clean-up has ended")
    return True


async def _after_loss(context: TargetContext, error: ConnectionLost, failures: int) -> None:
    """Wait a moment before the next connection, and end the wait when there is nothing left to connect to."""
    row = await context.row()
    log.debug("connection lost: %s", error)
    what = f"{context.name}: reach instance {row.instance_id} again"
    if row.cleanup_started_at and context.cloud.traits.powers_off:
        await _wait_until_off_or_back(context, error, failures)
        return
    if failures % ALIVE_LOOK_EVERY == 0:
        instance = await context.see_instance(row.instance_id or "")
        _refuse_dead(context, instance.state, instance.reason)
        if instance.state is InstanceState.STOPPED:
            raise InstanceLost(
                f"{context.name}: instance {instance.id} stopped before its clean-up "
                f"({instance.reason or 'no reason'}); a script may restart the machine but not power it off"
            )
    await context.waits.pause(RECONNECT_S, what, cause=error)


async def _wait_until_off_or_back(context: TargetContext, error: ConnectionLost, failures: int) -> None:
    """While the machine goes down the connection breaks first and `stopped` comes seconds later."""
    pause_s = STOPPED_LOOKS_S[min(failures - 1, len(STOPPED_LOOKS_S) - 1)]
    await context.waits.pause(pause_s, f"{context.name}: wait for the power-off", cause=error)


def _refuse_dead(context: TargetContext, state: InstanceState, reason: str) -> None:
    if state in (InstanceState.GONE, InstanceState.FAILED):
        raise InstanceLost(
            f"{context.name}: the instance is {state} under the build: {reason or 'no reason given'}; build again"
        )
