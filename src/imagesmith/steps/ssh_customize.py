"""SSHCustomize: the generator's scripts run once on the instance, and no trace of the build left on its disk.

The scripts run detached (`remote.sh`), so everything here may be cut off and entered again: at a lost connection, in
another process, after a reboot that a script asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime

from imagesmith import crash_points, settings
from imagesmith.catalog.records import TargetRecord
from imagesmith.core import InstanceState, TargetState
from imagesmith.errors import (
    BuildStateError,
    ConnectionLost,
    DefinitionError,
    InstanceLost,
    ScriptError,
    TimeLimitExceeded,
)
from imagesmith.masking import MaskedStream
from imagesmith.plan import PlannedScript
from imagesmith.ssh import Remote, RunState, ScriptVanished, connect, is_shut_out
from imagesmith.steps.context import TargetContext
from imagesmith.steps.inspection import take_inventory
from imagesmith.steps.output import OutputLines
from imagesmith.waiting import StillWaiting, in_thread

log = logging.getLogger(__name__)

CLEAN_UP = "clean-up.sh"
RECONNECT_S = 1.0
# After this many connections that failed in a row the cloud is asked whether the instance still lives.
ALIVE_LOOK_EVERY = 5
CLOUD_INIT_LOOK_S = 2.0
# How often the read offset is written to the catalog: what a killed process may emit a second time.
SAVE_OFFSET_S = 1.0
STOPPED_LOOKS_S = (0.3, 1, 2)
ENDING_LOOK_S = 1.0
# How often a script is looked at whose output is no longer followed.
LONG_LOOK_S = 3.0
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
        if row.script_index == 0 and row.output_offset == 0:
            await _ready(context, remote)
            await _place_files(context, remote)
        for index in range(row.script_index, len(context.plan.scripts)):
            await _run_script(context, remote, index)
        if not row.inventory_digest:
            await _record_inventory(context, remote)
    await _clean_up(context, remote)


async def _ready(context: TargetContext, remote: Remote) -> None:
    """Wait for the end of cloud-init, and see that the clean-up will be able to become root."""
    what = f"{context.name}: wait for the end of cloud-init"
    while (seen := await remote.look())["cloud_init"] == "running":
        await context.waits.pause(CLOUD_INIT_LOOK_S, what)
    if seen["cloud_init"] == "error":
        context.emit(
            f"{context.name}: WARNING: cloud-init ended with an error; see `cloud-init status --long` in the image"
        )
    if seen["root"] != "yes":
        raise DefinitionError(
            f"{context.name}: {context.target.ssh_username} can't become root without a password, which the clean-up "
            f"needs; set ssh_username in include/generators/{context.plan.generator}.yaml to root or a sudoer"
        )


async def _place_files(context: TargetContext, remote: Remote) -> None:
    for file in context.plan.files:
        await remote.place(file.path, file.content)
        context.emit(f"{context.name}: {file.name} placed at {file.path}")


async def _run_script(context: TargetContext, remote: Remote, index: int) -> None:
    script = context.plan.scripts[index]
    await crash_points.areach(crash_points.BEFORE_CALL)
    state = await _follow(context, remote, f"script-{index}", script)
    await crash_points.areach(crash_points.AFTER_WAIT)
    _judge(context, script, state, (await context.row()).output_tail)
    if state.state == "rebooted":
        context.emit(f"{context.name}: {script.name} restarted the machine, which is fine")
    await context.update(script_index=index + 1, output_offset=0)
    context.emit(f"{context.name}: {script.name} ended well")


async def _follow(context: TargetContext, remote: Remote, file_name: str, script: PlannedScript) -> RunState:
    """Start the script unless it runs or ran, and emit its output until it ends; what became of it."""
    row = await context.row()
    if row.output_offset == 0:
        context.emit(f"{context.name}: {script.name} starts")
    lines = OutputLines(context.emit, offset=row.output_offset, tail=row.output_tail, mask=context.mask)
    try:
        return await _follow_to_end(context, remote, file_name, script, lines=lines)
    except ScriptVanished as error:
        raise ScriptError(
            f"{context.name}: {script.name} had started, but its files on the instance are gone; does it remove "
            "or replace the SSH user's home directory?"
        ) from error
    except TimeLimitExceeded as error:
        lines.flush()  # a question that nobody answers has no line end
        last = lines.tail[-1000:].strip() or "(nothing)"
        raise TimeLimitExceeded(f"{error}; the last it printed:\n{last}") from error


async def _follow_to_end(
    context: TargetContext, remote: Remote, file_name: str, script: PlannedScript, *, lines: OutputLines
) -> RunState:
    what = f"{context.name}: run {script.name}"
    ended: RunState | None = None
    while True:
        if ended is not None and lines.full:
            lines.skip_to_end(ended.size)
        if ended is not None or not lines.full:
            await _stream(context, remote, file_name, script, lines=lines, to_end=ended is not None)
        state = await remote.status(file_name)
        if state.state != "running":
            if lines.offset < state.size and not (lines.full and ended is None):
                lines.flush()
                await _save_offset(context, lines)
            if lines.offset >= state.size:
                return state
            ended = state
        await context.waits.pause(LONG_LOOK_S if lines.full and ended is None else ENDING_LOOK_S, what)


async def _stream(
    context: TargetContext, remote: Remote, file_name: str, script: PlannedScript, *, lines: OutputLines, to_end: bool
) -> None:
    """Feed the output to `lines` until the stream ends, or they are full and it is not the end that is read.

    StillWaiting and TimeLimitExceeded find the offset saved.
    """
    what = f"{context.name}: run {script.name}"
    saved_at = asyncio.get_running_loop().time()
    lines.begin()
    output = remote.run(
        file_name,
        script.text.encode(),
        environment=context.environment(),
        offset=lines.offset,
        in_memory=bool(context.secrets),
    )
    try:
        async with contextlib.aclosing(output) as stream:
            while (chunk := await _next_chunk(context, stream, what)) is not None:
                await crash_points.areach(crash_points.AFTER_CALL)
                lines.feed(chunk)
                if lines.full and not to_end:
                    context.emit(
                        f"{context.name}: {script.name} prints so much that only its end is shown from here on"
                    )
                    return
                if asyncio.get_running_loop().time() - saved_at > SAVE_OFFSET_S:
                    await _save_offset(context, lines)
                    saved_at = asyncio.get_running_loop().time()
    finally:
        await _save_offset(context, lines)


async def _next_chunk(context: TargetContext, stream: AsyncIterator[bytes], what: str) -> bytes | None:
    context.waits.check(what)
    await crash_points.areach(crash_points.IN_WAIT)
    left_s = context.waits.patience_left_s()
    try:
        return await asyncio.wait_for(anext(stream, None), max(0.05, left_s))
    except TimeoutError:
        context.waits.check(what)
        raise StillWaiting(what) from None


async def _save_offset(context: TargetContext, lines: OutputLines) -> None:
    await context.update(output_offset=lines.offset, output_tail=lines.tail)


def _judge(context: TargetContext, script: PlannedScript, state: RunState, tail: str) -> None:
    """Raise ScriptError unless the script ended well, or ended by the restart it asked for."""
    if state.state == "rebooted" or (state.state == "done" and state.rc == 0):
        return
    if state.state == "done":
        how = f"exited {state.rc}"
    else:
        how = "vanished without an exit code: the machine crashed or ran out of memory, or the script was killed"
    raise ScriptError(
        f"{context.name}: {script.name} {how}; the last it printed:\n{tail[-2000:].strip() or '(nothing)'}"
    )


async def _record_inventory(context: TargetContext, remote: Remote) -> None:
    """What the scripts have made of the machine, told before the clean-up, after which nobody gets in."""
    reading = await take_inventory(context, remote)
    digest = await in_thread(context.catalog.record_inventory, reading.inventory)
    await context.update(inventory_digest=digest, identity="\n".join(reading.identity))
    context.emit(f"{context.name}: inventory {digest[:12]}: {len(reading.inventory.packages)} packages")


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
        while (chunk := await _next_chunk(context, stream, f"{context.name}: clean up")) is not None:
            said = (said + b"".join(piece.text for piece in shown.feed(chunk)))[-4_000:]
    said += b"".join(piece.text for piece in shown.flush())
    while True:
        state = await remote.status(CLEAN_UP)
        if state.state == "done" and state.rc:
            raise ScriptError(
                f"{context.name}: clean-up failed with {state.rc}, so nothing is saved; it said:\n"
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
