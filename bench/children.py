"""Processes started together and waited for together; none of them outlives the call."""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LOOK_S = 0.02
TAIL_CHARACTERS = 600


@dataclass(frozen=True)
class Command:
    """One process to start; its output goes to `log`."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    log: Path


@dataclass(frozen=True)
class Outcome:
    """Seconds from the first start to the last end, processor seconds, and why processes failed."""

    seconds: float
    cpu_s: float
    errors: tuple[str, ...]


def run_together(
    commands: Sequence[Command], *, limit_s: float, started: Callable[[int], None] = lambda pid: None
) -> Outcome:
    """All commands run at once to their ends; `started` is told each pid. What passes the limit is killed."""
    began, cpu_before = time.monotonic(), _cpu_of_children_s()
    running: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            running.append(_start(command))
            started(running[-1].pid)
        in_time = _await(running, ends=began + limit_s)
        seconds = time.monotonic() - began
    finally:
        for process in running:
            _end_group(process)
    errors = [] if in_time else [f"not over after {limit_s:.0f} s"]
    errors += [
        f"{Path(command.argv[0]).name} ended with {process.returncode}: {_tail(command.log)}"
        for command, process in zip(commands, running, strict=True)
        if process.returncode
    ]
    return Outcome(seconds, _cpu_of_children_s() - cpu_before, tuple(errors))


def _cpu_of_children_s() -> float:
    """Of all children that were waited for, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _start(command: Command) -> "subprocess.Popen[bytes]":
    with command.log.open("wb") as log:
        return subprocess.Popen(
            list(command.argv),
            env=dict(command.environment),
            cwd=command.directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _await(running: Sequence["subprocess.Popen[bytes]"], *, ends: float) -> bool:
    while any(process.poll() is None for process in running):
        if time.monotonic() > ends:
            return False
        time.sleep(LOOK_S)
    return True


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """Ends what is left of the process and of all it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # the usual case: nothing is left
    process.wait()


def _tail(log: Path) -> str:
    return log.read_text(errors="replace").strip()[-TAIL_CHARACTERS:]
