"""What a simulated machine answers to a command over SSH.

Two clients are understood: image builders that upload a script and run it, and our own, whose commands read
`sh -s -- imagesmith VERB ARGUMENT...` with the shell text on standard input. To add a verb, add it to VERBS.
"""

import asyncio
import re
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from imagesmith.sandbox.machines import Timings


@dataclass
class SimulatedMachine:
    """A machine as its shell sees it: its uploads, what the verbs remember, its power button."""

    instance_id: str
    timings: Timings
    press_power_button: Callable[[], None]
    uploaded: Callable[[str], bool]
    memory: dict[str, Any] = field(default_factory=dict)


Answer = tuple[bytes, int]
Verb = Callable[[SimulatedMachine, list[str], bytes], Awaitable[Answer]]

VERBS: dict[str, Verb] = {}

_OURS = re.compile(r"\bsh -s -- imagesmith (\S+)(.*)$", re.DOTALL)
_POWER_OFF = re.compile(r"\b(poweroff|shutdown|halt)\b")
_ASSIGNMENT = re.compile(r"^\w+=")
_RUNNERS = {"sudo", "sh", "bash", "/bin/sh", "/bin/bash", "env", "-E", "-S", "-x", "-e", "exec"}


def needs_input(command: str) -> bool:
    """True if the command reads its standard input to the end."""
    return _OURS.search(command) is not None


async def answer(machine: SimulatedMachine, command: str, stdin: bytes) -> Answer:
    """The command's output and exit status."""
    ours = _OURS.search(command)
    if ours is not None:
        verb = VERBS.get(ours[1])
        return await verb(machine, shlex.split(ours[2]), stdin) if verb else (b"", 0)
    if runs_uploaded_script(command, machine.uploaded):
        await asyncio.sleep(machine.timings.script_s)
    if _POWER_OFF.search(command):
        machine.press_power_button()
    return b"", 0


def runs_uploaded_script(command: str, uploaded: Callable[[str], bool]) -> bool:
    """True if one of the command's parts starts a file that was uploaded before."""
    for part in re.split(r"&&|\|\||[;|\n]", command):
        try:
            words = shlex.split(part, comments=True)
        except ValueError:
            words = part.split()
        for word in words:
            if word in _RUNNERS or _ASSIGNMENT.match(word):
                continue
            if uploaded(word):
                return True
            break
    return False
