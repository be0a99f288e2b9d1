"""Nimbus's own cloud client (a program of the site), run with a configuration of its own each time.

Configuration, certificate and key lie in a directory in memory that nobody else can read and that is removed with the
process, however it ends: what runs on is a shell that waits for the client and cleans up, and what even that leaves
behind when it is killed is removed by the next call.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from imagesmith.clouds.nimbus_errors import failed, trouble_in
from imagesmith.clouds.nimbus_words import (
    EPR_FILE,
    HANDLE,
    NimbusCredentials,
    NimbusSettings,
    configuration,
    endpoint_reference,
    number_in,
    pkcs1,
)
from imagesmith.core import Budget
from imagesmith.errors import CloudBusy, SetupError

# A status takes a Java program some seconds; a launch answers when the service has accepted it.
CALL_LIMIT_S = 120.0
CREATE_LIMIT_S = 180.0
_PREFIX = "imagesmith-nimbus-"
# What a Java program and the shell script that starts it look at.
_TOLD = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "_JAVA_OPTIONS"}
_TOLD_OF = ("LC_", "JAVA_", "GLOBUS_")
# Ends with the client, or with us, and takes the directory of secrets ($1) along; $2 is written only when the client
# came to an end by itself: a signal's exit codes are above 128. $3 gets the number of this process and when it began
# (field 22 of proc(5), the 20th behind the name) before the client runs, whatever becomes of whoever started it.
_KEEPER = """secrets=$1 ended=$2 own=$3; shift 3
trap 'rm -rf "$secrets"' EXIT; trap 'exit 143' TERM INT HUP
read -r stat </proc/$$/stat
(set -- ${stat##*) }; shift 19; echo "$$ $1" >"$own.new")
mv "$own.new" "$own"; printf %s $$ >"$secrets/pid"
"$@" & wait $!; code=$?
[ "$code" -gt 128 ] || echo "$code" >"$ended"
"""
# Ends the client as soon as the process that started it is no more, be it killed: nobody would learn what the client
# has made. That process holds the other end of standard input. Ended itself, the shell ends after the client.
_TETHER = """exec 3<&0; trap : TERM
"$@" 3<&- </dev/null & client=$!
{ read -r _ <&3; trap '' TERM; kill -TERM 0; sleep 5; kill -KILL 0; } >/dev/null 2>&1 & tether=$!
wait "$client"; wait "$client"
kill -KILL "$tether" 2>/dev/null || :
"""


@dataclass(frozen=True)
class Output:
    """What a run of the client left: exit code and both streams."""

    code: int
    out: str
    err: str

    @property
    def trouble(self) -> str:
        """What went wrong, in the client's words."""
        return trouble_in(self.err, self.out)


class CloudClient:
    """The client of one cloud with one user's credentials."""

    def __init__(
        self,
        cloud: str,
        settings: NimbusSettings,
        credentials: NimbusCredentials,
        *,
        budget: Callable[[], Budget] = Budget,
    ) -> None:
        self.cloud = cloud
        self._budget = budget
        self._settings = settings
        self._credentials = credentials

    def ask(self, tried: str, history: Path, *arguments: str) -> Output:
        """One short call; raises CloudBusy when the client hangs, SetupError when it is not there."""
        self._budget().spend(tried)
        with self._secrets() as secrets:
            argv = self._argv(secrets, history, *arguments)
            try:
                done = subprocess.run(
                    argv,
                    env=environment(),
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=CALL_LIMIT_S,
                )
            except subprocess.TimeoutExpired as error:
                raise CloudBusy(
                    f"{self.cloud}: {tried}: the cloud client gave no answer in {CALL_LIMIT_S:g} s and was ended; "
                    "it is tried again"
                ) from error
        return Output(done.returncode, done.stdout, done.stderr)

    def create(self, tried: str, history: Path, *, source: str, minutes: int, key: Path, memory_mb: int) -> str:
        """Launch, and return the workspace's number as soon as the service has given one.

        The client would wait until the workspace runs; it is ended before, and it ends with this process. Raises what
        the client says went wrong.
        """
        self._budget().spend(tried)
        # The service counts whole minutes, and cuts off what is more.
        arguments = ("--run", "--hours", f"{(minutes + 0.5) / 60:.4f}", "--name", source, "--ssh-pubkey", str(key))
        with self._secrets(memory_mb=memory_mb) as secrets, tempfile.TemporaryFile("w+") as said:
            argv = self._argv(secrets, history, *arguments)
            child = subprocess.Popen(
                ["/bin/sh", "-c", _TETHER, "sh", *argv],
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                number = self._await_number(history, child)
                child_ended = child.poll() is not None
            finally:
                _end(child)
            said.seek(0)
            words = said.read()
        if number:
            return number
        if child_ended:
            last = trouble_in(words) or f"it ended without a workspace: {words[-300:].strip()}"
            raise failed(self.cloud, tried, last, unclear="Creating workspace" in words)
        raise CloudBusy(
            f"{self.cloud}: {tried}: the cloud client created nothing in {CREATE_LIMIT_S:g} s and was ended; "
            "it is tried again"
        )

    def begin_save(
        self, history: Path, *, newname: str, common: bool, out: Path, err: Path, ended: Path, keeper: Path
    ) -> None:
        """Start a save that runs on without us.

        `out` and `err` get what the client says, `ended` its exit code once it has come to an end by itself, `keeper`
        the number of the process that keeps its secrets, and when that process began (as `processes.started_at` says).
        """
        self._budget().spend(f"save {newname}")
        secrets = self._make_secrets()
        arguments = ["--save", "--handle", HANDLE, "--newname", newname, *(["--common"] if common else [])]
        files = [str(secrets), str(ended), str(keeper)]
        argv = ["/bin/sh", "-c", _KEEPER, "sh", *files, *self._argv(secrets, history, *arguments)]
        with out.open("w") as out_stream, err.open("w") as err_stream:
            child = subprocess.Popen(
                argv,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=out_stream,
                stderr=err_stream,
                start_new_session=True,
            )
        while not keeper.exists() and child.poll() is None:
            time.sleep(0.01)

    @contextlib.contextmanager
    def history_of(self, number: str) -> Iterator[Path]:
        """A history directory that knows the one workspace: the client's own may be on another machine, or lost."""
        with tempfile.TemporaryDirectory(prefix=_PREFIX) as directory:
            handle = Path(directory) / HANDLE
            handle.mkdir()
            (handle / EPR_FILE).write_text(endpoint_reference(self._settings.factory, number))
            yield Path(directory)

    def _argv(self, secrets: Path, history: Path, *arguments: str) -> list[str]:
        return [self._program(), "--conf", str(secrets / "conf"), "--history-dir", str(history), *arguments]

    def _program(self) -> str:
        named = Path(self._settings.cloud_client).expanduser()
        program = named / "bin" / "cloud-client.sh" if named.is_dir() else named
        if not self._settings.cloud_client or not os.access(program, os.X_OK) or program.is_dir():
            raise SetupError(
                f"{self.cloud}: no cloud client at {program}; unpack the site's client on every worker and write its "
                f"directory as cloud_client of {self.cloud} in include/clouds.yaml"
            )
        return str(program.absolute())

    @contextlib.contextmanager
    def _secrets(self, *, memory_mb: int = 0) -> Iterator[Path]:
        directory = self._make_secrets(memory_mb=memory_mb)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _make_secrets(self, *, memory_mb: int = 0) -> Path:
        self._credentials.check(self.cloud)
        self._program()
        remove_stale_secrets()
        directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=secrets_root()))
        _write_private(directory / "pid", str(os.getpid()))
        certificate, key = directory / "certificate.pem", directory / "key.pem"
        _write_private(certificate, self._credentials.certificate + "\n")
        _write_private(key, pkcs1(self.cloud, self._credentials.private_key))
        memory_mb = memory_mb or self._settings.memory_mb
        text = configuration(
            self._settings, self._credentials, certificate=str(certificate), key=str(key), memory_mb=memory_mb
        )
        _write_private(directory / "conf", text)
        return directory

    def _await_number(self, history: Path, child: subprocess.Popen[bytes]) -> str:
        reference = history / HANDLE / EPR_FILE
        deadline = time.monotonic() + CREATE_LIMIT_S
        while True:
            ended = child.poll() is not None
            number = number_in(reference.read_text(errors="replace")) if reference.exists() else ""
            if number or ended or time.monotonic() > deadline:
                return number
            time.sleep(0.1)


def environment() -> dict[str, str]:
    """What the client is told of ours: ours may hold the credentials of every cloud."""
    return {name: value for name, value in os.environ.items() if name in _TOLD or name.startswith(_TOLD_OF)}


def secrets_root() -> Path:
    """Where files that hold secrets lie: in memory where the system has such a place."""
    shared = Path("/dev/shm")
    return shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())


def remove_stale_secrets() -> None:
    """Remove the directories of secrets whose processes are no more."""
    for directory in secrets_root().glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, ValueError):
            if directory.stat().st_uid == os.getuid() and not is_running(int((directory / "pid").read_text())):
                shutil.rmtree(directory, ignore_errors=True)


def is_running(pid: int) -> bool:
    """Whether a process of that number runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.stdin:
        child.stdin.close()
    for number in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=10)


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
