"""What simulated machines answer to commands."""

import asyncio
import base64
import time
from collections.abc import Callable

import pytest

from imagesmith.sandbox import simulated_shell
from imagesmith.sandbox.machines import Timings
from imagesmith.sandbox.simulated_shell import SimulatedMachine, runs_uploaded_script


@pytest.fixture
def pressed() -> list[str]:
    return []


@pytest.fixture
def machine(pressed: list[str]) -> SimulatedMachine:
    return SimulatedMachine(
        "i-1",
        Timings(script_s=0.05),
        press_power_button=lambda: pressed.append("off"),
        uploaded=lambda path: path == "/tmp/script.sh",
    )


def ask(machine: SimulatedMachine, verb: str, *arguments: str, data: bytes = b"") -> tuple[str, int]:
    stdin = b"shell text\nmain <<'END_OF_DATA'\n" + base64.encodebytes(data) + b"END_OF_DATA\n}\n"
    command = " ".join(("sh -s -- imagesmith", verb, "b1", *arguments))
    stdout, status = asyncio.run(simulated_shell.answer(machine, command, stdin))
    return stdout.decode(), status


def sent(script: bytes, environment: bytes = b"") -> bytes:
    """The data of the verb `run`."""
    return base64.b64encode(environment) + b"\n" + base64.b64encode(script)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("chmod +x /tmp/script.sh; PACKER_BUILD_NAME='x' /tmp/script.sh", True),
        ("sudo -E bash -x /tmp/script.sh", True),
        ("chmod 0755 /tmp/script.sh", False),
        ("rm -f /tmp/script.sh", False),
        ("/tmp/other.sh", False),
        ("echo it's", False),
    ],
)
def test_which_commands_run_an_upload(command: str, *, expected: bool) -> None:
    assert runs_uploaded_script(command, lambda path: path == "/tmp/script.sh") is expected


def test_a_script_runs_once_and_takes_its_time(machine: SimulatedMachine) -> None:
    assert ask(machine, "status", "script-0")[0].endswith("state=absent\n")
    began = time.monotonic()
    data = sent(b"#!/bin/sh\n# sandbox: print hello\n")
    assert ask(machine, "run", "script-0", "user", "9", "0", data=data) == ("hello\n", 0)
    assert time.monotonic() - began >= 0.05
    assert ask(machine, "run", "script-0", "user", "9", "2", data=sent(b"# sandbox: exit 3\n")) == ("llo\n", 0)
    assert ask(machine, "status", "script-0")[0].endswith("size=6\nrc=0\nstate=done\n")


def test_a_machine_knows_after_the_death_of_the_sandbox_what_it_ran_and_forgets_the_key_in_time(tmp_path) -> None:
    def machine(forget_key: Callable[[str], None]) -> SimulatedMachine:
        nothing = {"press_power_button": lambda: None, "uploaded": lambda path: False}
        kept = tmp_path / "machine.json"
        return SimulatedMachine("i-1", Timings(script_s=0.05), **nothing, forget_key=forget_key, kept=kept)

    async def run(machine: SimulatedMachine, name: str, data: bytes) -> bytes:
        stdin = b"main <<'END_OF_DATA'\n" + base64.encodebytes(data) + b"END_OF_DATA\n"
        return (await simulated_shell.answer(machine, f"sh -s -- imagesmith run b1 {name} user 9 0", stdin))[0]

    async def live_twice() -> tuple[bool, list[bytes]]:
        first, second = machine(lambda key: None), machine(forgotten.append)
        clean_up = asyncio.ensure_future(run(first, "clean-up", sent(b"", b"IMAGESMITH_PUBLIC_KEY='ssh-x a'\n")))
        await asyncio.sleep(0)
        said = [await run(first, "script-0", sent(b"# sandbox: take 0\n# sandbox: print once\n"))]
        second.recall()
        said.append(await run(second, "script-0", sent(b"# sandbox: print twice\n")))
        await clean_up
        await run(second, "clean-up", sent(b""))
        await asyncio.sleep(0.01)
        return first.boot_id == second.boot_id, said

    forgotten: list[str] = []
    assert asyncio.run(live_twice()) == (True, [b"once\n", b"once\n"])
    assert forgotten == ["ssh-x a"]


def test_a_script_says_how_it_ends(machine: SimulatedMachine) -> None:
    ask(machine, "run", "bad", "user", "9", "0", data=sent(b"# sandbox: take 0\n# sandbox: exit 3\n"))
    assert "rc=3\nstate=done" in ask(machine, "status", "bad")[0]


def test_a_script_prints_much_and_in_colour(machine: SimulatedMachine) -> None:
    script = b"# sandbox: take 0\n# sandbox: repeat 2000 \\e[32mGet:{number}\\e[0m %s\n" % (b"x" * 80)
    assert ask(machine, "run", "loud", "user", "9", "0", data=sent(script))[0].startswith("\x1b[32mGet:1\x1b[0m x")
    size = int(ask(machine, "status", "loud")[0].split("size=")[1].split()[0])
    assert size > 190_000
    end = ask(machine, "run", "loud", "user", "9", str(size - 99))[0]
    assert end.startswith("\x1b[32mGet:2000\x1b[0m x")


def test_a_script_that_says_no_number_repeats_nothing(machine: SimulatedMachine) -> None:
    data = sent(b"# sandbox: take 0\n# sandbox: repeat many words\n# sandbox: print end\n")
    assert ask(machine, "run", "odd", "user", "9", "0", data=data)[0] == "end\n"


def test_going_on_with_what_never_ran_fails(machine: SimulatedMachine) -> None:
    assert ask(machine, "run", "none", "user", "9", "5", data=sent(b"")) == ("", 67)


def test_the_clean_up_presses_the_power_button(machine: SimulatedMachine, pressed: list[str]) -> None:
    ask(machine, "run", "clean-up.sh", "root", "9", "0", data=sent(b"#!/bin/sh\n", b"IMAGESMITH_POWER_OFF=yes\n"))
    assert pressed == ["off"]


def test_a_plain_power_off(machine: SimulatedMachine, pressed: list[str]) -> None:
    assert asyncio.run(simulated_shell.answer(machine, "sudo systemctl poweroff", b"")) == (b"", 0)
    assert pressed == ["off"]


def test_an_unknown_verb_is_no_failure(machine: SimulatedMachine) -> None:
    assert ask(machine, "dance") == ("", 0)
