"""Scripts of the generator that run on an instance one after the other, each once, their output in the task log.

They run detached (`remote.sh`), so all here may be cut off and entered again: at a lost connection, in another process,
after a restart that a script asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from imagesmith import crash_points
from imagesmith.errors import ImagesmithError, ScriptError, TimeLimitExceeded, VerificationFailed
from imagesmith.plan import Plan, PlannedScript
from imagesmith.printed import LAST_PRINTED
from imagesmith.ssh import Remote, RunState, ScriptVanished
from imagesmith.steps.context import TargetContext
from imagesmith.steps.output import OutputLines
from imagesmith.waiting import StillWaiting

# How often the read offset is written to the catalog: what a killed process may emit a second time.
SAVE_OFFSET_S = 1.0
ENDING_LOOK_S = 1.0
# How often a script is looked at whose output is no longer followed.
LONG_LOOK_S = 3.0


@dataclass(frozen=True)
class Progress:
    """How far a series is: scripts that ended well, and of the next the bytes and lines of output and their tail."""

    index: int
    offset: int
    lines: int
    tail: str


@dataclass(frozen=True)
class Series:
    """Scripts, the error that one raises which does not end well, and where the target's row keeps their progress.

    `noun` begins their files' names over there and the column that counts them, `prefix` those of their output.
    """

    scripts: tuple[PlannedScript, ...]
    noun: str
    prefix: str
    failure: type[ImagesmithError]

    async def progress(self, context: TargetContext) -> Progress:
        """How far they are."""
        row = await context.row()
        output = f"{self.prefix}output"
        offset, lines, tail = (getattr(row, f"{output}_{what}") for what in ("offset", "lines", "tail"))
        return Progress(getattr(row, f"{self.noun}_index"), offset, lines, tail)

    async def update(self, context: TargetContext, **changes: Any) -> None:
        """Write down how far they are: `index`, `output_offset`, `output_lines`, `output_tail`."""
        if "index" in changes:
            changes[f"{self.noun}_index"] = changes.pop("index")
        columns = {f"{self.prefix}{key}" if key.startswith("output") else key: changes[key] for key in changes}
        await context.update(**columns)


def scripts_of(plan: Plan) -> Series:
    """What makes the image."""
    return Series(plan.scripts, noun="script", prefix="", failure=ScriptError)


def tests_of(plan: Plan) -> Series:
    """What tells of the saved image whether it is good."""
    return Series(plan.tests, noun="test", prefix="test_", failure=VerificationFailed)


@dataclass(frozen=True)
class _Run:
    """One script of a series, over one connection."""

    context: TargetContext
    remote: Remote
    series: Series
    index: int

    @property
    def script(self) -> PlannedScript:
        return self.series.scripts[self.index]

    @property
    def file_name(self) -> str:
        return f"{self.series.noun}-{self.index}"

    @property
    def what(self) -> str:
        return f"{self.context.name}: run {self.script.name}"


async def run_series(context: TargetContext, remote: Remote, series: Series) -> None:
    """Run what is left of them, one after the other; raises the series' error for the first that does not end well."""
    done = (await series.progress(context)).index
    for index in range(done, len(series.scripts)):
        await _run(_Run(context, remote, series, index))


async def has_begun(context: TargetContext, remote: Remote, series: Series) -> bool:
    """True once the machine has started the first script, whether or not anything was seen of its output."""
    progress = await series.progress(context)
    if progress.index or progress.offset:
        return True
    return (await remote.status(_Run(context, remote, series, 0).file_name)).state != "absent"


async def _run(run: _Run) -> None:
    context, script = run.context, run.script
    await crash_points.areach(crash_points.BEFORE_CALL)
    state = await _follow(run)
    await crash_points.areach(crash_points.AFTER_WAIT)
    _judge(run, state, (await run.series.progress(context)).tail)
    if state.state == "rebooted":
        context.emit(f"{context.name}: {script.name} restarted the machine, which is fine")
    await run.series.update(context, index=run.index + 1, output_offset=0, output_lines=0)
    context.emit(f"{context.name}: {script.name} ended well")


async def _follow(run: _Run) -> RunState:
    """Start the script unless it runs or ran, and emit its output until it ends; what became of it."""
    context, script = run.context, run.script
    progress = await run.series.progress(context)
    if progress.offset == 0:
        context.emit(f"{context.name}: {script.name} starts")
    lines = OutputLines(
        context.emit, offset=progress.offset, lines=progress.lines, tail=progress.tail, mask=context.mask
    )
    try:
        return await _follow_to_end(run, lines)
    except ScriptVanished as error:
        raise run.series.failure(
            f"{context.name}: {script.name} had started, but its files on the instance are gone; does it remove "
            "or replace the SSH user's home directory?"
        ) from error
    except TimeLimitExceeded as error:
        lines.flush()  # a question that nobody answers has no line end
        last = lines.tail[-1000:].strip() or "(nothing)"
        raise TimeLimitExceeded(f"{error}{LAST_PRINTED}{last}") from error


async def _follow_to_end(run: _Run, lines: OutputLines) -> RunState:
    ended: RunState | None = None
    while True:
        if ended is not None and lines.full:
            lines.skip_to_end(ended.size)
        if ended is not None or not lines.full:
            await _stream(run, lines, to_end=ended is not None)
        state = await run.remote.status(run.file_name)
        if state.state != "running":
            if lines.offset < state.size and not (lines.full and ended is None):
                lines.flush()
                await _save_offset(run, lines)
            if lines.offset >= state.size:
                return state
            ended = state
        await run.context.waits.pause(LONG_LOOK_S if lines.full and ended is None else ENDING_LOOK_S, run.what)


async def _stream(run: _Run, lines: OutputLines, *, to_end: bool) -> None:
    """Feed the output to `lines` until the stream ends, or they are full and it is not the end that is read.

    StillWaiting and TimeLimitExceeded find the offset saved.
    """
    context, script = run.context, run.script
    saved_at = asyncio.get_running_loop().time()
    lines.begin()
    output = run.remote.run(
        run.file_name,
        script.text.encode(),
        environment=context.environment(),
        offset=lines.offset,
        in_memory=bool(context.secrets),
    )
    try:
        async with contextlib.aclosing(output) as stream:
            while (chunk := await next_chunk(context, stream, run.what)) is not None:
                await crash_points.areach(crash_points.AFTER_CALL)
                lines.feed(chunk)
                if lines.full and not to_end:
                    context.emit(
                        f"{context.name}: {script.name} prints so much that only its end is shown from here on"
                    )
                    return
                if asyncio.get_running_loop().time() - saved_at > SAVE_OFFSET_S:
                    await _save_offset(run, lines)
                    saved_at = asyncio.get_running_loop().time()
    finally:
        await _save_offset(run, lines)


async def next_chunk(context: TargetContext, stream: AsyncIterator[bytes], what: str) -> bytes | None:
    """More of the output, None at its end; raises StillWaiting, TimeLimitExceeded."""
    context.waits.check(what)
    await crash_points.areach(crash_points.IN_WAIT)
    left_s = context.waits.patience_left_s()
    try:
        return await asyncio.wait_for(anext(stream, None), max(0.05, left_s))
    except TimeoutError:
        context.waits.check(what)
        raise StillWaiting(what) from None


async def _save_offset(run: _Run, lines: OutputLines) -> None:
    await run.series.update(run.context, output_offset=lines.offset, output_lines=lines.count, output_tail=lines.tail)


def _judge(run: _Run, state: RunState, tail: str) -> None:
    """Raise the series' error unless the script ended well, or ended by the restart it asked for."""
    if state.state == "rebooted" or (state.state == "done" and state.rc == 0):
        return
    if state.state == "done":
        how = f"exited {state.rc}"
    else:
        how = "vanished without an exit code: the machine crashed or ran out of memory, or the script was killed"
    raise run.series.failure(
        f"{run.context.name}: {run.script.name} {how}{LAST_PRINTED}{tail[-2000:].strip() or '(nothing)'}"
    )
