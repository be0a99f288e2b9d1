"""`remote.sh` over real SSH connections: an SSH server in this process whose commands run in a real shell."""

import asyncio
import base64
import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path

import asyncssh
import pytest

from imagesmith import ssh
from imagesmith.errors import ConnectionLost, HostKeyMismatch
from imagesmith.keys import derive
from imagesmith.ssh import KeyRefused, Login, RemoteFailure, ScriptVanished, connect, is_shut_out

# The server's own redirection leaves a queue behind when a connection is cut on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine 'Queue.join':RuntimeWarning")

SECRET = b"s" * 32
BUILD = f"20260101-000000-{os.getpid():06x}"  # of its own: tests side by side share /dev/shm


class Machine:
    """An SSH server with a home directory of its own; `drop()` cuts every connection."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.work = home / ".imagesmith" / BUILD
        self.login_key = derive(SECRET, build_id=BUILD, cloud="c", attempt=1, purpose="login")
        self.host_key = derive(SECRET, build_id=BUILD, cloud="c", attempt=1, purpose="host")
        self.connections: list[asyncssh.SSHServerConnection] = []
        self.answer_with = ""

    async def start(self) -> None:
        machine = self

        class Server(asyncssh.SSHServer):
            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                machine.connections.append(conn)

        authorized = asyncssh.import_authorized_keys(self.login_key.public)
        self.server = await asyncssh.create_server(
            Server,
            "127.0.0.1",
            0,
            server_host_keys=[asyncssh.import_private_key(self.host_key.private)],
            authorized_client_keys=authorized,
            process_factory=self._run,
            encoding=None,
        )
        self.port = self.server.sockets[0].getsockname()[1]

    async def _run(self, process: "asyncssh.SSHServerProcess[bytes]") -> None:
        local = await asyncio.create_subprocess_shell(
            self.answer_with or process.command or "",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"HOME": str(self.home), "PATH": os.environ["PATH"]},
        )
        await process.redirect(stdin=local.stdin, stdout=local.stdout, stderr=local.stderr)
        process.exit(await local.wait())

    def login(self, **changes: object) -> Login:
        values = {
            "address": "127.0.0.1",
            "port": self.port,
            "username": "admin",
            "key": self.login_key,
            "host_key": self.host_key.public,
        }
        return Login(**{**values, **changes})  # type: ignore[arg-type]

    def drop(self) -> None:
        for connection in self.connections:
            connection.abort()


@contextlib.asynccontextmanager
async def machine(home: Path):
    made = Machine(home)
    await made.start()
    try:
        yield made
    finally:
        made.drop()
        made.server.close()


async def ran(remote, script: bytes = b"", *, environment: dict[str, str] | None = None, offset: int = 0) -> bytes:
    """The whole output of script-0, which runs only the first time."""
    stream = remote.run("script-0", script, environment=environment or {}, offset=offset)
    return b"".join([chunk async for chunk in stream])


async def ended(remote, name: str):
    for _ in range(100):
        state = await remote.status(name)
        if state.state != "running":
            return state
        await asyncio.sleep(0.05)
    raise AssertionError(f"{name} still runs")


def test_a_script_runs_detached_with_its_output_exit_code_and_environment(tmp_path):
    async def go():
        async with machine(tmp_path) as vm, connect(vm.login(), BUILD) as remote:
            script = b'#!/bin/sh\necho "<$extra>"; umask; echo to-stderr >&2; exit 3\n'
            output = await ran(remote, script, environment={"extra": "a 'quoted' $HOME\nand a line; `date`"})
            return output, await ended(remote, "script-0")

    output, state = asyncio.run(go())
    assert output == b"<a 'quoted' $HOME\nand a line; `date`>\n0022\nto-stderr\n"
    assert (state.state, state.rc, state.size) == ("done", 3, len(output))


def test_the_environment_is_gone_from_memory_and_disk_once_the_script_runs(tmp_path):
    async def go():
        async with machine(tmp_path) as vm, connect(vm.login(), BUILD) as remote:
            await ran(remote, b"#!/bin/sh\necho $secret\n", environment={"secret": "hunter2"})
            return vm

    vm = asyncio.run(go())
    assert not list(Path("/dev/shm").glob(f"imagesmith-{BUILD}*"))
    left = [path for path in vm.work.rglob("*") if path.is_file() and path.name != "script-0.out"]
    assert all(b"hunter2" not in path.read_bytes() for path in left)


def test_starting_twice_runs_once(tmp_path):
    async def go():
        async with machine(tmp_path) as vm, connect(vm.login(), BUILD) as remote:
            script = f"#!/bin/sh\necho ran >>{tmp_path}/count; echo said\n".encode()
            return [await ran(remote, script) for _ in range(3)]

    assert asyncio.run(go()) == [b"said\n"] * 3
    assert (tmp_path / "count").read_text() == "ran\n"


def test_a_start_cut_off_before_its_process_is_made_good(tmp_path):
    async def go():
        async with machine(tmp_path) as vm, connect(vm.login(), BUILD) as remote:
            mark = vm.work / "script-0.once"
            mark.mkdir(parents=True)
            (vm.work / "script-0").write_text("#!/bin/sh\necho half of")
            (mark / "boot").write_text(Path("/proc/sys/kernel/random/boot_id").read_text())
            return await ran(remote, b"#!/bin/sh\necho ran\n")

    assert asyncio.run(go()) == b"ran\n"


def test_a_script_whose_files_are_gone_does_not_run_again(tmp_path):
    async def go():
        async with machine(tmp_path) as vm, connect(vm.login(), BUILD) as remote:
            await ran(remote, b"#!/bin/sh\necho ran\n")
            shutil.rmtree(vm.work)
            await ran(remote, b"#!/bin/sh\necho again\n", offset=4)

    with pytest.raises(ScriptVanished, match="script-0"):
        asyncio.run(go())


def test_a_script_that_cannot_be_written_does_not_start(tmp_path):
    async def go():
        async with machine(tmp_path) as vm, connect(vm.login(), BUILD) as remote:
            (vm.work / "script-0").mkdir(parents=True)
            await ran(remote, b"#!/bin/sh\necho ran\n")

    with pytest.raises(RemoteFailure, match="script-0 did not start: .*[Ii]s a directory|cannot create"):
        asyncio.run(go())
    assert not (tmp_path / ".imagesmith" / BUILD / "script-0.pid").exists()


def test_output_goes_on_at_the_offset_after_a_lost_connection(tmp_path):
    script = b"#!/bin/sh\necho one\nwhile [ ! -e go ]; do sleep 0.05; done\necho two\n"

    async def go():
        async with machine(tmp_path) as vm:
            first = b""
            with pytest.raises(ConnectionLost):
                async with connect(vm.login(), BUILD) as remote:
                    async for chunk in remote.run("script-0", script, environment={}):
                        first += chunk
                        vm.drop()
            (tmp_path / "go").touch()
            async with connect(vm.login(), BUILD) as remote:
                second = await ran(remote, offset=len(first))
                return first, second, await ended(remote, "script-0")

    first, second, state = asyncio.run(go())
    assert (first, second, state.rc) == (b"one\n", b"two\n", 0)


def test_a_script_killed_without_an_exit_code_is_lost(tmp_path):
    async def go():
        async with machine(tmp_path) as vm, connect(vm.login(), BUILD) as remote:
            await ran(remote, b"#!/bin/sh\necho on\nkill -9 $PPID\nsleep 0.1\n")
            return await ended(remote, "script-0")

    assert asyncio.run(go()).state == "lost"


@pytest.mark.parametrize(("marked", "state"), [(True, "rebooted"), (False, "lost")])
def test_a_reboot_is_told_from_a_crash_by_the_mark_of_an_orderly_stop(tmp_path, marked, state):
    async def go():
        async with machine(tmp_path) as vm, connect(vm.login(), BUILD) as remote:
            await ran(remote, b"#!/bin/sh\nsleep 0.1\n")
            (vm.work / "script-0.rc").unlink()
            (vm.work / "script-0.boot").write_text("an-earlier-boot\n")
            if marked:
                (vm.work / "script-0.stopping").write_text("an-earlier-boot\n")
            return await remote.status("script-0")

    assert asyncio.run(go()).state == state


def test_after_a_restart_no_stranger_with_the_old_number_is_followed(tmp_path):
    async def go():
        async with machine(tmp_path) as vm, connect(vm.login(), BUILD) as remote:
            await ran(remote, b"#!/bin/sh\necho before\n")
            (vm.work / "script-0.rc").unlink()
            (vm.work / "script-0.boot").write_text("an-earlier-boot\n")
            (vm.work / "script-0.stopping").write_text("an-earlier-boot\n")
            (vm.work / "script-0.pid").write_text(f"{os.getpid()}\n")
            async with asyncio.timeout(10):
                return await ran(remote, offset=3), await remote.status("script-0")

    output, state = asyncio.run(go())
    assert (output, state.state) == (b"ore\n", "rebooted")


def test_a_script_without_a_process_is_lost(tmp_path):
    async def go():
        async with machine(tmp_path) as vm, connect(vm.login(), BUILD) as remote:
            await ran(remote, b"#!/bin/sh\necho on\n")
            for name in ("script-0.rc", "script-0.pid"):
                (vm.work / name).unlink()
            return await remote.status("script-0")

    assert asyncio.run(go()).state == "lost"


def test_a_stop_signal_leaves_its_mark_while_the_script_goes_on(tmp_path):
    async def go():
        async with machine(tmp_path) as vm, connect(vm.login(), BUILD) as remote:
            script = b"#!/bin/sh\necho on\nwhile [ ! -e go ]; do sleep 0.05; done\nexit 143\n"
            running = asyncio.create_task(ran(remote, script))
            while not (vm.work / "script-0.pid").exists():
                await asyncio.sleep(0.02)
            os.kill(int((vm.work / "script-0.pid").read_text()), 15)
            (tmp_path / "go").touch()
            assert await running == b"on\n"
            return await remote.status("script-0")

    # Ended by a stop in this very boot: the machine is on its way down, so it still counts as running.
    assert asyncio.run(go()).state == "running"


def test_a_question_leaves_nothing_behind(tmp_path):
    async def go():
        async with machine(tmp_path) as vm, connect(vm.login(), BUILD) as remote:
            await remote.look()
            await remote.sync()
            return await remote.status("clean-up.sh")

    assert asyncio.run(go()).state == "absent"
    assert list(tmp_path.iterdir()) == []


def test_an_answer_cut_short_is_a_lost_connection(tmp_path):
    async def go():
        async with machine(tmp_path) as vm, connect(vm.login(), BUILD) as remote:
            vm.answer_with = "cat >/dev/null; echo boot=1"
            with pytest.raises(ConnectionLost, match="cut short"):
                await remote.status("script-0")
            with pytest.raises(ConnectionLost, match="cut short"):
                await remote.look()

    asyncio.run(go())


def test_an_upload_cut_short_runs_nothing(tmp_path):
    from imagesmith.ssh import _stdin

    text = _stdin(b"content")
    for cut in (len(text) - 3, len(text) - 20, len(text) // 2):
        command = ["sh", "-s", "--", "imagesmith", "place", BUILD, f"{tmp_path}/x"]
        subprocess.run(command, input=text[:cut], env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]}, check=False)
    assert not (tmp_path / "x").exists()


def test_a_script_that_came_cut_short_does_not_start(tmp_path):
    from imagesmith.ssh import _stdin

    data = base64.b64encode(b"a=1\n") + b"\n" + base64.b64encode(b"#!/bin/sh\n")
    command = ["sh", "-s", "--", "imagesmith", "run", BUILD, "script-0", "user", "99", "0"]
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(command, input=_stdin(data), env=environment, check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (66, b"script-0 did not come whole\n")
    assert not (tmp_path / ".imagesmith" / BUILD / "script-0.pid").exists()


def test_another_host_key_is_refused(tmp_path):
    other = derive(SECRET, build_id="other", cloud="c", attempt=1, purpose="host").public

    async def go():
        async with machine(tmp_path) as vm, connect(vm.login(host_key=other), BUILD):
            raise AssertionError("connected to a machine with another host key")

    with pytest.raises(HostKeyMismatch, match="does not have the host key"):
        asyncio.run(go())


def test_another_login_key_is_refused_and_tried_again(tmp_path):
    async def go():
        other = derive(SECRET, build_id="other", cloud="c", attempt=1, purpose="login")
        async with machine(tmp_path) as vm, connect(vm.login(key=other), BUILD):
            raise AssertionError("logged in with another key")

    with pytest.raises(KeyRefused):
        asyncio.run(go())


def test_who_is_let_in_is_not_shut_out_and_who_has_another_key_is(tmp_path):
    async def go():
        other = derive(SECRET, build_id="other", cloud="c", attempt=1, purpose="login")
        async with machine(tmp_path) as vm:
            return [await is_shut_out(login, BUILD) for login in (vm.login(), vm.login(key=other))]

    assert asyncio.run(go()) == [False, True]


def test_a_server_without_host_keys_shuts_us_out_and_one_that_is_down_does_not(tmp_path):
    async def go():
        closing = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        async with machine(tmp_path) as vm:
            port = closing.sockets[0].getsockname()[1]
            seen = [await is_shut_out(vm.login(port=port), BUILD)]
            closing.close()
            return [*seen, await is_shut_out(vm.login(port=port), BUILD)]

    assert asyncio.run(go()) == [True, False]


def test_without_a_pinned_key_the_first_is_told(tmp_path):
    async def go():
        async with machine(tmp_path) as vm, connect(vm.login(host_key=None), BUILD) as remote:
            return remote.host_key() == vm.host_key.public

    assert asyncio.run(go())


def test_a_verb_that_fails_says_what_it_printed(tmp_path):
    async def go():
        async with machine(tmp_path) as vm, connect(vm.login(), BUILD) as remote:
            (tmp_path / "file").touch()
            await remote.place(f"{tmp_path}/file/below", b"x")

    with pytest.raises(RemoteFailure, match="[Nn]ot a directory|File exists"):
        asyncio.run(go())


def test_nobody_listening_is_a_lost_connection(tmp_path):
    async def go():
        async with machine(tmp_path) as vm:
            vm.server.close()
            await vm.server.wait_closed()
            async with connect(vm.login(), BUILD):
                pass

    started = time.monotonic()
    with pytest.raises(ConnectionLost):
        asyncio.run(go())
    assert time.monotonic() - started < 5


def run_text(data: bytes, *, script: bytes = b"") -> bytes:
    """The text on stdin of a call that runs a script."""
    return ssh._stdin(b"\n".join(base64.b64encode(part) for part in (data, script)))


def called(
    text: bytes, home: Path, *words: str, shell: str = "sh", **environment: str
) -> "subprocess.CompletedProcess[bytes]":
    argv = [shell, "-s", "--", "imagesmith", *words]
    ours = {"HOME": str(home), "PATH": os.environ["PATH"], **environment}
    return subprocess.run(argv, input=text, env=ours, capture_output=True, check=False, timeout=60)


def test_a_secret_environment_reaches_the_script(tmp_path):
    async def go():
        async with machine(tmp_path) as vm, connect(vm.login(), BUILD) as remote:
            stream = remote.run("script-0", b"#!/bin/sh\necho $secret\n", environment={"secret": "x"}, in_memory=True)
            return b"".join([chunk async for chunk in stream])

    assert asyncio.run(go()) == b"x\n"


def test_the_environments_file_has_no_name_when_something_is_in_it(tmp_path):
    """A start that is killed leaves nothing: looked at when each program begins that a start runs."""
    watched, seen = tmp_path / "bin", tmp_path / "seen"
    watched.mkdir()
    for program in ("base64", "setsid"):
        found = shutil.which(program)
        (watched / program).write_text(
            f"#!/bin/sh\ncat /dev/shm/imagesmith-{BUILD}-* >>{seen} 2>/dev/null; echo {program} >>{seen}\n"
            f'exec {found} "$@"\n'
        )
        (watched / program).chmod(0o755)
    text = run_text(b"secret=hunter2\n", script=b"#!/bin/sh\necho $secret\n")
    words = ("run", BUILD, "script-0", "user", "23", "0", "memory")
    done = called(text, tmp_path, *words, PATH=f"{watched}:{os.environ['PATH']}")
    assert (done.stdout, done.stderr) == (b"hunter2\n", b"")
    assert seen.read_text().split() == ["base64"] * 3 + ["setsid"]
    assert not list(Path("/dev/shm").glob(f"imagesmith-{BUILD}*"))


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_what_a_shell_writes_of_the_data_is_in_memory(tmp_path, shell):
    """bash writes a here-document that is too large for a pipe to a file."""
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    text = run_text(b"secret=hunter2\n", script=b"#" * 200_000)
    where = text.replace(b'imagesmith_main "$@" <<', b"readlink /proc/self/fd/0 <<")
    assert where != text
    done = called(
        where, tmp_path, "run", BUILD, "script-0", "user", "0", "0", "memory", shell=shell, TMPDIR=str(tmp_path)
    )
    place = done.stdout.decode()
    assert place.startswith("/dev/shm/" if shell == "bash" else ("/dev/shm/", "pipe:"))


@pytest.mark.parametrize("theirs", [{}, {"TMPDIR": "/var/tmp"}])
def test_the_script_has_the_directory_for_temporary_files_that_is_the_machines(tmp_path, theirs):
    script = b"#!/bin/sh\necho ${TMPDIR-none}\n"
    words = ("run", BUILD, "script-0", "user", str(len(script)), "0", "memory")
    done = called(run_text(b"", script=script), tmp_path, *words, **theirs)
    assert done.stdout.decode() == f"{theirs.get('TMPDIR', 'none')}\n"


@pytest.mark.parametrize(("where", "status"), [("memory", 66), ("any", 0)])
def test_without_memory_nothing_secret_is_written_or_started(tmp_path, where, status):
    """As on a machine whose /dev/shm is a directory on its disk."""
    disk = tmp_path / "shm"
    disk.mkdir()
    script = b"#!/bin/sh\necho ran\n"
    text = run_text(b"secret=hunter2\n", script=script).replace(b"/dev/shm", str(disk).encode())
    done = called(text, tmp_path, "run", BUILD, "script-0", "user", str(len(script)), "0", where)
    assert (done.returncode, done.stdout) == (status, b"" if status else b"ran\n")
    assert (b"/shm is not in memory; mount a tmpfs there" in done.stderr) == bool(status)
    assert list(disk.iterdir()) == []
    assert (tmp_path / ".imagesmith").exists() != bool(status)
