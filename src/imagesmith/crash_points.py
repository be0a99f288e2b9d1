"""Named instants of a step at which a test of durability holds this process, and kills it or another.

Off, which they are unless `IMAGESMITH_CRASH_POINTS` names a directory, they cost the look at a constant. An instant's
name is STEP.CLOUD.INSTANT; that of a call which makes or ends a certain kind of thing is also STEP.CLOUD.INSTANT.KIND.
A file of that name in the directory arms it: the first process to get there renames it to NAME.reached, writes its
number into that, and goes on once NAME.go is there, or after `HELD_S`.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import time
from pathlib import Path

from imagesmith import settings

# Before the call that makes or changes something on a cloud or an instance; when it has answered and its row is not
# written; in a wait; when a wait is over; and when the step has its result and has not written that down.
BEFORE_CALL, AFTER_CALL, IN_WAIT, AFTER_WAIT, RESULT = INSTANTS = (
    "before_call",
    "after_call",
    "in_wait",
    "after_wait",
    "result",
)
HELD_S = 120.0
_LOOK_S = 0.05

_directory = settings.crash_points()
_step: contextvars.ContextVar[str] = contextvars.ContextVar("step", default="")


def enter(step: str, cloud: str) -> None:
    """What follows in this context belongs to the step of that cloud."""
    if _directory:
        _step.set(f"{step}.{cloud}")


def reach(instant: str, *, kind: str = "") -> None:
    """Be at the instant in this thread, `kind` of thing in hand; returns at once unless that is armed."""
    if _directory:
        _be_held(instant)
        if kind:
            _be_held(f"{instant}.{kind}")


async def areach(instant: str) -> None:
    """Be at the instant in a coroutine, whose loop goes on meanwhile."""
    if _directory:
        await asyncio.to_thread(reach, instant)


def _be_held(instant: str) -> None:
    if go := _taken(instant):
        ends = time.monotonic() + HELD_S
        while not go.exists() and time.monotonic() < ends:
            time.sleep(_LOOK_S)


def _taken(instant: str) -> Path | None:
    """The file to wait for, if the instant is armed and nobody else was there before."""
    armed = Path(_directory) / f"{_step.get()}.{instant}"
    reached = armed.with_name(f"{armed.name}.reached")
    try:
        armed.rename(reached)
    except OSError:
        return None
    reached.write_text(str(os.getpid()))
    return armed.with_name(f"{armed.name}.go")
