r"""What a simulated machine answers to a command over SSH.

Two clients are understood: image builders that upload a script and run it, and our own, whose commands read
`sh -s -- imagesmith VERB BUILD ARGUMENT...` with the shell text on standard input (src/imagesmith/remote.sh, whose
answers these are). To add a verb, add it to VERBS. No script is run, but a script may say in comments what to pretend:

    # sandbox: take 5        seconds, instead of the sandbox's script_s
    # sandbox: print hello   a line of output, at once; \e in it is the escape that a terminal's colours begin with
    # sandbox: repeat 1000 line {number}   as many of them, each with its number
    # sandbox: reveal token  the value of a variable, likewise
    # sandbox: exit 3
    # sandbox: install htop 3.2.2-2        a package that an inventory lists from now on
    # sandbox: write /root/notes of $NAME  a file, with the script's own variables put in
    # sandbox: drift htop 3.2.3-1          a package as only machines booted from the saved image list it

With `on CLOUD` in front of the word it is for builds on that cloud only: # sandbox: on ec2 install htop 3.2.2-2
"""

import asyncio
import base64
import functools
import json
import re
import shlex
import string
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from imagesmith.sandbox import simulated_disk
from imagesmith.sandbox.machines import Timings
from imagesmith.sandbox.simulated_disk import Disk, Identity


@dataclass
class SimulatedMachine:
    """A machine as its shell sees it: its uploads, what the verbs remember, its power button, whom it lets in.

    What it must know after the death of the sandbox's process, as a machine of its own would, is in the file `kept`.
    """

    instance_id: str
    timings: Timings
    press_power_button: Callable[[], None]
    uploaded: Callable[[str], bool]
    forget_key: Callable[[str], None] = lambda public_key: None
    memory: dict[str, Any] = field(default_factory=dict)
    boot_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    disk: Disk = field(default_factory=Disk)
    keep_disk: Callable[[], None] = lambda: None
    identity: Callable[[], Identity] = lambda: Identity("", "", {})
    kept: Path | None = None
    runs: dict[str, "_Run"] = field(default_factory=dict)

    def keep(self) -> None:
        """Write down which boot this is and what was run."""
        if self.kept is not None:
            runs = {key: asdict(run) for key, run in self.runs.items()}
            written = self.kept.with_suffix(".new")
            written.write_text(json.dumps({"boot_id": self.boot_id, "runs": runs}))
            written.replace(self.kept)

    def recall(self) -> None:
        """Be what was written down; must be called in the event loop, because what runs goes on."""
        if self.kept is None or not self.kept.exists():
            return
        known = json.loads(self.kept.read_text())
        self.boot_id = known["boot_id"]
        self.runs = {key: _Run(**run) for key, run in known["runs"].items()}
        for run in self.runs.values():
            _forget_in_time(self, run)


Answer = tuple[bytes, int]
Verb = Callable[[SimulatedMachine, list[str], bytes], Awaitable[Answer]]

_OURS = re.compile(r"\bsh -s -- imagesmith (\S+)(.*)$", re.DOTALL)
_POWER_OFF = re.compile(r"\b(poweroff|shutdown|halt)\b")
_ASSIGNMENT = re.compile(r"^\w+=")
_RUNNERS = {"sudo", "sh", "bash", "/bin/sh", "/bin/bash", "env", "-E", "-S", "-x", "-e", "exec"}
_DATA = re.compile(rb"<<'END_OF_DATA'\n(.*?)END_OF_DATA\n", re.DOTALL)
_FORGOTTEN = re.compile(rb"^IMAGESMITH_PUBLIC_KEY=(.+)$", re.MULTILINE)
_DIRECTIVE = re.compile(
    r"^# sandbox: (?:on (\S+) )?(take|print|repeat|reveal|exit|install|write|drift) (.*)$", re.MULTILINE
)


def needs_input(command: str) -> bool:
    """True if the command reads its standard input to the end."""
    return _OURS.search(command) is not None


async def answer(machine: SimulatedMachine, command: str, stdin: bytes) -> Answer:
    """The command's output and exit status."""
    ours = _OURS.search(command)
    if ours is not None:
        verb = VERBS.get(ours[1])
        return await verb(machine, shlex.split(ours[2]), _data_of(stdin)) if verb else (b"", 0)
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


@dataclass
class _Run:
    """A script that was started; it ends at a moment of the wall clock. Afterwards the key `forgets` lets nobody in.

    `said` is lines, each with how often it comes: a hundred megabytes are not kept as such.
    """

    ends_at: float
    said: list[tuple[int, str]]
    status: int
    forgets: str = ""

    @property
    def left_s(self) -> float:
        return max(0.0, self.ends_at - time.time())

    @property
    def output(self) -> bytes:
        return _printed(tuple((times, line) for times, line in self.said))


@functools.lru_cache(maxsize=1)
def _printed(said: tuple[tuple[int, str], ...]) -> bytes:
    return b"".join(
        (line.replace("{number}", str(number)) if times > 1 else line).encode() + b"\n"
        for times, line in said
        for number in range(1, times + 1)
    )


async def _look(machine: SimulatedMachine, arguments: list[str], data: bytes) -> Answer:
    return f"boot={machine.boot_id}\nroot=yes\ncloud_init=done\n".encode(), 0


async def _place(machine: SimulatedMachine, arguments: list[str], data: bytes) -> Answer:
    machine.memory[f"placed {arguments[1]}"] = data
    return b"", 0


async def _run(machine: SimulatedMachine, arguments: list[str], data: bytes) -> Answer:
    build, name, _user, _size, offset, *_ = arguments
    key = f"run {build} {name}"
    run = machine.runs.get(key)
    if run is None and int(offset):
        return b"", 67
    if run is None:
        environment, script = (base64.b64decode(part) for part in data.split(b"\n", 1))
        last_act = b"IMAGESMITH_POWER_OFF=yes" in environment
        words = list(_directives(script.decode(errors="replace"), _variables(environment)))
        run = _pretended(words, duration_s=0.0 if last_act else machine.timings.script_s)
        _change(machine, words)
        run.forgets = "" if last_act or run.status else _key_to_forget(environment)
        machine.runs[key] = run
        machine.keep()
        if last_act:
            machine.press_power_button()
        _forget_in_time(machine, run)
    await asyncio.sleep(run.left_s)
    return run.output[int(offset) :], 0


def _key_to_forget(environment: bytes) -> str:
    """The build's key, which a clean-up that leaves the machine on takes away; "" if it is none."""
    found = _FORGOTTEN.search(environment)
    return shlex.split(found[1].decode())[0] if found else ""


def _forget_in_time(machine: SimulatedMachine, run: _Run) -> None:
    if run.forgets:
        asyncio.get_running_loop().call_later(run.left_s, machine.forget_key, run.forgets)


def _variables(environment: bytes) -> dict[str, str]:
    words = shlex.split(environment.decode(errors="replace"))
    return dict(word.split("=", 1) for word in words if "=" in word)


def _directives(script: str, variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What a script says to pretend on the cloud at hand: word and value."""
    for cloud, word, value in _DIRECTIVE.findall(script):
        if cloud in ("", variables.get("IMAGESMITH_CLOUD")):
            if word == "reveal":
                yield "print", variables.get(value, "")
            else:
                yield word, string.Template(value).safe_substitute(variables) if word == "write" else value


def _pretended(words: list[tuple[str, str]], *, duration_s: float) -> _Run:
    said: list[tuple[int, str]] = []
    status = 0
    for word, value in words:
        if word == "take":
            duration_s = float(value)
        elif word == "exit":
            status = int(value)
        elif word == "print":
            said.append((1, _escaped(value)))
        elif word == "repeat":
            times, _, line = value.partition(" ")
            said.append((int(times) if times.isdecimal() else 0, _escaped(line)))
    return _Run(time.time() + duration_s, said, status)


def _escaped(line: str) -> str:
    return line.replace("\\e", "\x1b")


def _change(machine: SimulatedMachine, words: list[tuple[str, str]]) -> None:
    """The disk as the script leaves it."""
    places = {"install": machine.disk.packages, "drift": machine.disk.drift, "write": machine.disk.files}
    for word, value in words:
        if word in places:
            name, _, content = value.partition(" ")
            places[word][name] = content.strip()
    machine.keep_disk()


async def _status(machine: SimulatedMachine, arguments: list[str], data: bytes) -> Answer:
    build, name = arguments
    run = machine.runs.get(f"run {build} {name}")
    if run is None:
        return f"boot={machine.boot_id}\nsize=0\nstate=absent\n".encode(), 0
    state = "state=running" if run.left_s else f"rc={run.status}\nstate=done"
    return f"boot={machine.boot_id}\nsize={len(run.output)}\n{state}\n".encode(), 0


async def _inspect(machine: SimulatedMachine, arguments: list[str], data: bytes) -> Answer:
    """Two scripts of ours look; each is known by the head of what it prints."""
    script = data.decode(errors="replace")
    if "== imagesmith inventory 1" in script:
        return simulated_disk.inventory(machine.disk, machine.identity()), 0
    secrets = simulated_disk.secrets_in(script)
    return simulated_disk.remains(machine.disk, machine.identity(), secrets=secrets), 0


async def _sync(machine: SimulatedMachine, arguments: list[str], data: bytes) -> Answer:
    return b"", 0


VERBS: dict[str, Verb] = {
    "look": _look,
    "place": _place,
    "run": _run,
    "status": _status,
    "inspect": _inspect,
    "sync": _sync,
}


def _data_of(stdin: bytes) -> bytes:
    """What the client sent for the verb: base64 in a here-document behind the shell text."""
    found = _DATA.search(stdin)
    return base64.b64decode(found[1]) if found else b""
