"""SSH to an instance: a pinned host key, the build's own key, and the remote protocol of `remote.sh`.

Every trouble of the network is a ConnectionLost: what runs on the instance runs detached and goes on, so the caller
connects again and asks. Only a wrong host key is final.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import re
import shlex
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import asyncssh

from imagesmith.errors import ConnectionLost, HostKeyMismatch, ImagesmithError
from imagesmith.keys import KeyPair
from imagesmith.printed import SAID

CONNECT_TIMEOUT_S = 15.0
# A dead peer is noticed after interval × count; NAT boxes forget silent connections after a minute or more.
KEEPALIVE_INTERVAL_S = 10.0
KEEPALIVE_COUNT = 3
READ_BYTES = 65_536
# More than any machine has to tell of itself; what a machine prints without end must not fill our memory.
INSPECT_MOST_BYTES = 32 << 20
# A booting instance may accept and say nothing (a port forwarder does it for it); who waits for it asks again soon.
BANNER_TIMEOUT_S = 3.0

RUN_STATES = ("absent", "running", "done", "rebooted", "lost")

# Exit statuses of the verb `run`.
_NOT_STARTED = 66
_VANISHED = 67

# Its lines about every connection and channel would drown the script's output in the task log.
logging.getLogger("asyncssh").setLevel(logging.WARNING)


class KeyRefused(ConnectionLost):
    """SSH answered but does not take the build's key: not there yet, already gone, or another user's name is needed."""


class NoGreeting(ConnectionLost):
    """A connection was accepted and closed unanswered."""


class RemoteFailure(ImagesmithError):
    """A verb of `remote.sh` failed on the instance; the message holds what it printed."""


class ScriptVanished(ImagesmithError):
    """A script that had begun, and of which the machine knows nothing any more."""


@dataclass(frozen=True)
class Login:
    """How to reach one instance; `host_key` is its public key line, or None to take the first one seen."""

    address: str
    port: int
    username: str
    key: KeyPair
    host_key: str | None

    def __str__(self) -> str:
        return f"{self.username}@{self.address}:{self.port}"


@dataclass(frozen=True)
class RunState:
    """What became of a detached script: `state` absent, running, done, rebooted or lost; `size` is its output's."""

    state: str
    size: int
    rc: int | None


class Remote:
    """One open connection to an instance, for one build."""

    def __init__(self, connection: asyncssh.SSHClientConnection, login: Login, build_id: str) -> None:
        self._connection = connection
        self._login = login
        self._build_id = build_id

    def host_key(self) -> str:
        """The public key line of the machine that answered."""
        key = self._connection.get_server_host_key()
        if key is None:
            raise ConnectionLost(f"{self._login}: the connection ended before its host key was seen")
        return " ".join(key.export_public_key("openssh").decode().split()[:2])

    async def look(self) -> dict[str, str]:
        """What the machine is like: `boot`, `root` (yes/no), `cloud_init` (absent, running, done, error)."""
        return await self._ask("look", keys=("boot", "root", "cloud_init"))

    async def place(self, path: str, content: bytes) -> None:
        """Write the machine's file `path` (absolute), root's where we may become root."""
        await self._call("place", path, data=content)

    async def status(self, name: str) -> RunState:
        """What became of the file `name` that was started."""
        pairs = await self._ask("status", name, keys=("size", "state"))
        state = run_state_of(pairs)
        if state is None:
            raise ConnectionLost(
                f"{self._login}: the answer to status makes no sense ({pairs!r:.200}); see whether the login shell of "
                "the image prints something"
            )
        return state

    async def sync(self) -> None:
        """Return when all that was written on the machine is on its disk."""
        await self._call("sync")

    async def run(
        self,
        name: str,
        script: bytes,
        *,
        environment: dict[str, str],
        as_root: bool = False,
        offset: int = 0,
        in_memory: bool = False,
    ) -> AsyncGenerator[bytes, None]:
        """Run the script detached, once however often this is called; its output from byte `offset` on until it ends.

        `in_memory`: its environment must not touch the machine's disk; nothing starts where it can't be kept off that.
        Raises ConnectionLost, RemoteFailure if it could not be started, and ScriptVanished if output was read before
        (`offset`) and the machine knows nothing of the script now.
        """
        account, where = "root" if as_root else "user", "memory" if in_memory else "any"
        command = self._command("run", name, account, str(len(script)), str(offset), where)
        data = b"\n".join(base64.b64encode(part) for part in (_assignments(environment), script))
        with _as_connection_lost(self._login):
            async with self._connection.create_process(command, encoding=None) as process:
                process.stdin.write(_stdin(data))
                process.stdin.write_eof()
                while chunk := await process.stdout.read(READ_BYTES):
                    yield chunk
                if process.exit_status is None:
                    await process.wait_closed()
                if process.exit_status is None:
                    raise ConnectionLost(f"{self._login}: the connection broke while the output was read")
                if process.exit_status == _VANISHED:
                    raise ScriptVanished(f"{self._login}: the files of {name} are gone")
                if process.exit_status == _NOT_STARTED:
                    raise RemoteFailure(f"{self._login}: {name} did not start: {_text(await process.stderr.read())}")

    async def inspect(self, script: bytes) -> bytes:
        """What a script of ours that only looks prints as root; it runs attached, and again if the connection breaks.

        Raises RemoteFailure where it fails or prints too much.
        """
        printed = bytearray()
        with _as_connection_lost(self._login):
            async with self._connection.create_process(self._command("inspect"), encoding=None) as process:
                process.stdin.write(_stdin(script))
                process.stdin.write_eof()
                while chunk := await process.stdout.read(READ_BYTES):
                    printed += chunk
                    if len(printed) > INSPECT_MOST_BYTES:
                        raise RemoteFailure(f"{self._login}: inspect printed more than {INSPECT_MOST_BYTES >> 20} MiB")
                said = _text(await process.stderr.read(READ_BYTES)).strip()
                if process.exit_status is None:
                    await process.wait_closed()
        if process.exit_status is None or process.exit_status < 0:
            raise ConnectionLost(f"{self._login}: the connection broke during inspect")
        if process.exit_status != 0:
            raise RemoteFailure(f"{self._login}: inspect failed with {process.exit_status}{SAID}{said[-2000:]}")
        return bytes(printed)

    async def wait_lost(self, seconds: float) -> bool:
        """True as soon as the connection has ended, False if it still stands after so many seconds."""
        try:
            await asyncio.wait_for(self._connection.wait_closed(), seconds)
        except TimeoutError:
            return False
        return True

    async def _ask(self, verb: str, *arguments: str, keys: tuple[str, ...]) -> dict[str, str]:
        """The verb's KEY=VALUE lines; without all of `keys` the machine went down over its answer."""
        pairs = _pairs(await self._call(verb, *arguments))
        if not pairs.keys() >= set(keys):
            raise ConnectionLost(f"{self._login}: the answer to {verb} was cut short")
        return pairs

    async def _call(self, verb: str, *arguments: str, data: bytes | None = None) -> str:
        with _as_connection_lost(self._login):
            done = await self._connection.run(
                self._command(verb, *arguments), input=_stdin(data), encoding=None, timeout=None
            )
        if done.exit_status is None or done.exit_status < 0:
            raise ConnectionLost(f"{self._login}: the connection broke during {verb}")
        if done.exit_status != 0:
            said = _text(done.stderr).strip() or _text(done.stdout).strip()
            raise RemoteFailure(
                f"{self._login}: {verb} {' '.join(arguments)} failed with {done.exit_status}: {said[-2000:]}"
            )
        return _text(done.stdout)

    def _command(self, verb: str, *arguments: str) -> str:
        return shlex.join(["sh", "-s", "--", "imagesmith", verb, self._build_id, *arguments])


@contextlib.asynccontextmanager
async def connect(login: Login, build_id: str) -> AsyncIterator[Remote]:
    """An open connection; raises HostKeyMismatch, KeyRefused (a ConnectionLost) or ConnectionLost."""
    options: dict[str, Any] = {}
    if login.host_key is not None:
        options["server_host_key_algs"] = [login.host_key.split()[0]]
    with _as_connection_lost(login):
        connection = await asyncssh.connect(
            login.address,
            login.port,
            username=login.username,
            client_keys=[asyncssh.import_private_key(login.key.private)],
            known_hosts=_known_hosts(login),
            # Nothing of the person or machine we happen to run as: no agent, no ~/.ssh, no passwords.
            config=[],
            agent_path=None,
            preferred_auth="publickey",
            connect_timeout=CONNECT_TIMEOUT_S,
            login_timeout=CONNECT_TIMEOUT_S,
            keepalive_interval=KEEPALIVE_INTERVAL_S,
            keepalive_count_max=KEEPALIVE_COUNT,
            **options,
        )
    try:
        yield Remote(connection, login, build_id)
    finally:
        connection.abort()


async def await_banner(login: Login) -> None:
    """Return once an SSH server greets at the login's address; raises ConnectionLost within `BANNER_TIMEOUT_S`."""
    with _as_connection_lost(login):
        async with asyncio.timeout(BANNER_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(login.address, login.port)
            try:
                greeting = await reader.readline()
            finally:
                writer.close()
    if not greeting:
        raise NoGreeting(f"{login}: connections are closed unanswered there")
    if not greeting.startswith(b"SSH-"):
        raise ConnectionLost(f"{login}: no SSH server greets there")


async def is_shut_out(login: Login, build_id: str) -> bool:
    """True if SSH refuses the build's key, or closes connections unanswered, as sshd does without host keys."""
    try:
        async with connect(login, build_id):
            return False
    except KeyRefused:
        return True
    except HostKeyMismatch:
        return False
    except ConnectionLost:
        pass
    try:
        await await_banner(login)
    except NoGreeting:
        return True
    except ConnectionLost:
        pass
    return False


def _known_hosts(login: Login) -> Any:
    if login.host_key is None:
        return None
    return ([asyncssh.import_public_key(login.host_key)], [], [])


@contextlib.contextmanager
def _as_connection_lost(login: Login) -> Iterator[None]:
    try:
        yield
    except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed) as error:
        raise HostKeyMismatch(
            f"{login}: the machine that answers does not have the host key this build gave it ({error.reason}); "
            "somebody may stand between, or the image ignores the host key in user data (does it run cloud-init?)"
        ) from error
    except asyncssh.PermissionDenied as error:
        raise KeyRefused(f"{login}: SSH answers but refuses the build's key") from error
    except (asyncssh.Error, OSError) as error:
        raise ConnectionLost(f"{login}: {getattr(error, 'reason', '') or error or type(error).__name__}") from error


def _stdin(data: bytes | None) -> bytes:
    """`remote.sh`, and the braces that keep a text cut short from running, with the data in a here-document.

    A shell may write a here-document to a file, which it deletes; bash does. That file, too, has to be in memory.
    """
    script = resources.files("imagesmith").joinpath("remote.sh").read_bytes()
    encoded = base64.encodebytes(data or b"")
    call = b'{\nkeep_here_documents_in_memory "$@"\nimagesmith_main "$@" <<\'END_OF_DATA\'\n'
    return script + call + encoded + b"END_OF_DATA\n}\n"


def _assignments(environment: dict[str, str]) -> bytes:
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in environment.items()).encode()


def run_state_of(pairs: Mapping[str, str]) -> RunState | None:
    """What the verb `status` has told, None if it is not what that verb tells."""
    state, size, rc = pairs.get("state", ""), pairs.get("size", ""), pairs.get("rc", "")
    if state not in RUN_STATES or not re.fullmatch(r"[0-9]{1,18}", size) or not re.fullmatch(r"[0-9]{0,3}", rc):
        return None
    return RunState(state=state, size=int(size), rc=int(rc) if rc else None)


def _pairs(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _text(output: Any) -> str:
    return bytes(output or b"").decode(errors="replace")
