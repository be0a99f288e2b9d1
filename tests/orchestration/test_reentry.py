"""Steps that are killed at every point and entered again: one instance, one image, one run of the script, nothing left.

The steps run over the memory cloud; the machine is an SSH server in this process whose commands run in a real shell.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import hashlib
import os
import re
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import asyncssh
import pytest

from imagesmith.catalog.records import NewTarget
from imagesmith.catalog.store import Catalog
from imagesmith.clouds.memory import MemoryCloud
from imagesmith.clouds.memory_world import Fault
from imagesmith.core import Cloud, InstanceState, ResourceKind, TargetState
from imagesmith.definition import DEFAULT_TIME_LIMITS_S
from imagesmith.errors import (
    BuildStateError,
    ImagesmithError,
    InstanceLost,
    LaunchRefused,
    QuotaExceeded,
    SaveFailed,
    ScriptError,
    TimeLimitExceeded,
    Unreachable,
    VerificationFailed,
)
from imagesmith.keys import derive
from imagesmith.plan import Plan, PlannedFile, PlannedTarget
from imagesmith.sealing import seal_value
from imagesmith.shared_looks import SharedLooks
from imagesmith.steps.runner import Deployment, Step, run_step

# The server's own redirection leaves a queue behind when a connection is cut on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine 'Queue.join':RuntimeWarning")

SECRET = b"s" * 32
BUILD = f"20260101-000000-{os.getpid():06x}"  # of its own: tests side by side share /dev/shm
CLOUD = "memory1"
SCRIPT = '#!/bin/sh\necho run >>"$HOME/runs"\necho "from $IMAGESMITH_CLOUD"\necho bye\n'
IMAGES_ID = "the-machine-booted-from-the-image"
CLEAN_UP = '#!/bin/sh\nset -eu\nrm -rf "$IMAGESMITH_WORK"\ntouch "$HOME/off"\n'
# What the machine's home shows of itself, in the words of include/scripts/inventory.sh.
INVENTORY = """\
echo "== imagesmith inventory 1"
for part in files architecture kernels passwords dpkg rpm apk pacman pip npm gem services setuid configuration end; do
  echo "== $part"
  case $part in
    files) echo "/etc/machine-id:$(cat "$HOME/machine-id" 2>/dev/null)" ;;
    architecture) echo x86_64 ;;
    dpkg) cat "$HOME/packages" 2>/dev/null ;;
  esac
done
"""
REMAINS = """\
for part in "imagesmith remains 1" keys histories directories secrets end; do
  echo "== $part"
  if [ "$part" = keys ] && [ -e "$HOME/authorized" ]; then sed 's/^/KEYS:/' "$HOME/authorized"; fi
  if [ "$part" = histories ] && [ -e "$HOME/.sh_history" ]; then echo "$HOME/.sh_history"; fi
done
"""
SUDO = '#!/bin/sh\n[ "$1" = -n ] && shift\nexec "$@"\n'


class Killed(BaseException):
    """The process is gone; nothing catches it."""


class Mortal:
    """An object in whose calls the process dies, once at each place: before the effect, or after it."""

    def __init__(self, inner: Any, life: Life, *, only: tuple[str, ...] = ()) -> None:
        self._inner, self._life, self._only = inner, life, only

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name.startswith("_") or not callable(found) or (self._only and name not in self._only):
            return found
        if name == "ledger":
            return lambda *words: Mortal(found(*words), self._life)
        return self._life.wrap(name, found)


class Life:
    """One process after the other: `rise` begins the next. `deaths` are the places where one has ended."""

    def __init__(self, *, after_effect: bool) -> None:
        self.deaths: set[tuple[str, ...]] = set()
        self._after_effect = after_effect
        self._dead = False
        self._lock = threading.Lock()

    def rise(self) -> None:
        self._dead = False

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            place = (name, *(str(word) for word in args if isinstance(word, str)), *sorted(kwargs))
            with self._lock:
                dies = self._dead or place not in self.deaths
                self.deaths.add(place)
                alive_so_far, self._dead = not self._dead, self._dead or dies
            if dies and not (alive_so_far and self._after_effect):
                raise Killed(place)
            result = function(*args, **kwargs)
            if dies:
                raise Killed(place)
            return result

        return call


class Machine:
    """A guest: SSH with the build's keys, commands in a real shell, off once its clean-up says so."""

    def __init__(self, home: Path, power_off: Callable[[], None], boots_again: Callable[[], bool]) -> None:
        self.home = home
        self._power_off = power_off
        self._boots_again = boots_again
        self._loop = asyncio.new_event_loop()
        self._connections: list[asyncssh.SSHServerConnection] = []
        self._children: list[asyncio.subprocess.Process] = []
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        (home / "bin").mkdir(parents=True)
        (home / "bin" / "sudo").write_text(SUDO)
        (home / "bin" / "sudo").chmod(0o755)
        (home / "machine-id").write_text("the-machine-of-the-build")
        self.server = self._do(self._listen("", port=0))
        self.port = self.server.sockets[0].getsockname()[1]
        self._loop.call_soon_threadsafe(lambda: self._loop.create_task(self._watch()))

    def runs(self) -> int:
        """How often the script ran."""
        return len((self.home / "runs").read_text().splitlines())

    def connected(self) -> int:
        """How often somebody connected."""
        return len(self._connections)

    def drop(self) -> None:
        """Cut every connection."""
        self._loop.call_soon_threadsafe(self._abort)

    def switch_off(self) -> None:
        """No SSH any more."""
        self._do(self._end())

    def close(self) -> None:
        self.switch_off()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _listen(self, role: str, *, port: int) -> Any:
        machine = self

        class Server(asyncssh.SSHServer):
            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                machine._connections.append(conn)

        return await asyncssh.create_server(
            Server,
            "127.0.0.1",
            port,
            server_host_keys=[asyncssh.import_private_key(_key(f"{role}host").private)],
            authorized_client_keys=asyncssh.import_authorized_keys(_key(f"{role}login").public),
            process_factory=self._run,
            encoding=None,
        )

    async def _run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        local = await asyncio.create_subprocess_shell(
            process.command or "",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={"HOME": str(self.home), "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}"},
        )
        self._children.append(local)
        await process.redirect(stdin=local.stdin, stdout=local.stdout, stderr=local.stderr)
        process.exit(await local.wait())

    async def _watch(self) -> None:
        while not (self.home / "off").exists():
            await asyncio.sleep(0.02)
        self._power_off()
        self.server.close()
        self._abort()
        while not self._boots_again():
            await asyncio.sleep(0.02)
        (self.home / "machine-id").write_text(IMAGES_ID)
        self.server = await self._listen("verify_", port=self.port)

    async def _end(self) -> None:
        self.server.close()
        self._abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for child in self._children:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                await child.wait()

    def _abort(self) -> None:
        for connection in self._connections:
            connection.abort()


def _key(purpose: str) -> Any:
    return derive(SECRET, build_id=BUILD, cloud=CLOUD, attempt=1, purpose=purpose)


def _plan(port: int, *, script: str, tests: tuple[str, ...], verify: bool, limits_s: dict[str, int]) -> Plan:
    target = {
        "cloud": CLOUD,
        "cloud_type": "memory",
        "settings": {"ssh_port": port},
        "source_image": {"name": "base-*", "owner": "vendor"},
        "ssh_username": "admin",
        "instance_type": "small",
        "image_name": f"tools-{BUILD}",
        "public": False,
        "tags": {},
        "required": True,
        "disk_gib": None,
        "time_limits_s": {**DEFAULT_TIME_LIMITS_S, **limits_s},
        "verify": verify,
    }
    return Plan.model_validate(
        {
            "build_id": BUILD,
            "generator": "tools",
            "version": "0123456789ab",
            "description": "",
            "script_sha256": "0" * 64,
            "scripts": [{"name": "install.sh", "text": script, "sha256": "0" * 64}],
            "tests": [{"name": f"test-{n}", "text": text, "sha256": "0" * 64} for n, text in enumerate(tests)],
            "files": [],
            "parameters": {},
            "created": datetime.now(UTC),
            "time_limit_s": 3600,
            "targets": {CLOUD: target},
        }
    )


def _planned(path: Path, content: bytes) -> PlannedFile:
    encoded = base64.b64encode(content).decode()
    return PlannedFile(
        name=path.name, path=str(path), content_base64=encoded, sha256=hashlib.sha256(content).hexdigest()
    )


class World:
    """A build on one memory cloud, and the machine that its instance is."""

    def __init__(self, directory: Path) -> None:
        self.catalog = Catalog(f"sqlite:///{directory / 'catalog.db'}")
        self.catalog.upgrade()
        self.cloud = MemoryCloud(CLOUD, directory / "memory.json")
        self.machine = Machine(directory / "guest", self._power_off, self._image_boots)
        self.said: list[str] = []
        self.life: Life | None = None

    def begin(
        self,
        *,
        script: str = SCRIPT,
        tests: tuple[str, ...] = (),
        verify: bool = True,
        token: str = "",
        files: Mapping[Path, bytes] = MappingProxyType({}),
        **limits_s: int,
    ) -> None:
        plan = _plan(self.machine.port, script=script, tests=tests, verify=verify, limits_s=limits_s)
        plan = plan.model_copy(update={"files": tuple(_planned(*each) for each in files.items())})
        later = datetime.now(UTC) + timedelta(hours=1)
        sealed = {"token": seal_value(SECRET, token, generator="tools", parameter="token", expires=later)}
        plan = plan.model_copy(update={"secrets": ("token",) if token else ()})
        self.catalog.begin_build(
            build_id=BUILD,
            generator="tools",
            version=plan.version,
            content={},
            dag_id="tools",
            run_id="run-1",
            requested_by="",
            requested_how="manual",
            plan=plan.model_dump(mode="json"),
            deadline=later,
            targets=[NewTarget(cloud=CLOUD, image_name=f"tools-{BUILD}")],
            sealed_secrets=sealed if token else None,
        )

    def enter(self, step: Step) -> dict[str, str]:
        """One process's try at the step."""
        catalog: Any = self.catalog
        cloud: Any = self.cloud
        if self.life is not None:
            self.life.rise()
            catalog, cloud = Mortal(catalog, self.life), Mortal(cloud, self.life, only=EFFECTS)

        async def open_account(_: PlannedTarget, credential: object) -> Any:
            return cloud, SharedLooks(self.cloud, gather_s=0)

        return asyncio.run(
            run_step(
                step,
                BUILD,
                cloud=CLOUD,
                open_account=open_account,
                deployment=Deployment(catalog=catalog, secret=SECRET),
                emit=self.said.append,
                patience_s=None,
            )
        )

    def enter_until_done(self, step: Step) -> int:
        """How often the step was killed before it came to its end."""
        for deaths in range(100):
            try:
                self.enter(step)
            except Killed:
                continue
            return deaths
        raise AssertionError(f"{step} never ends; killed at {sorted(self.life.deaths if self.life else [])}")

    def target(self) -> Any:
        return self.catalog.target(BUILD, CLOUD)

    def things(self, kind: ResourceKind) -> list[Any]:
        with self.cloud.world() as world:
            return [thing for thing in world.of_kind(kind) if thing.tags]

    def launched(self) -> list[str]:
        """What each instance was for that was ever launched."""
        return [thing.name.rpartition("-")[2] for thing in self.things(ResourceKind.INSTANCE)]

    def _image_boots(self) -> bool:
        return "verify" in self.launched()

    def left(self) -> set[str]:
        return {str(resource.kind) for resource in self.cloud.find_resources(BUILD)}

    def _power_off(self) -> None:
        for instance in self.things(ResourceKind.INSTANCE):
            self.cloud.power_off(instance.id)


EFFECTS = (
    "find_source_image",
    "find_images_named",
    "launch",
    "save",
    "finish_image",
    "find_left",
    "find_resources",
    "delete",
)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    scripts = tmp_path / "include" / "scripts"
    scripts.mkdir(parents=True)
    (scripts / "clean-up.sh").write_text(CLEAN_UP)
    (scripts / "inventory.sh").write_text(INVENTORY)
    (scripts / "remains.sh").write_text(REMAINS)
    monkeypatch.setenv("IMAGESMITH_INCLUDE", str(tmp_path / "include"))
    one = World(tmp_path)
    yield one
    one.machine.close()
    one.catalog.close()
    gc.collect()  # here, where the warning about what cut connections leave behind is filtered


def test_the_log_says_of_each_look_inside_what_it_saw_and_how_long_it_took(world):
    world.begin()
    for step in Step:
        world.enter(step)
    seen = [
        line for line in world.said if re.fullmatch(rf"{CLOUD}: inventory \w{{12}}: \d+ packages, in \d+\.\d s", line)
    ]
    assert len(seen) == 2, "customized, and booted"
    assert f"inventory {world.target().inventory_digest[:12]}:" in seen[-1]


@pytest.mark.parametrize("after_effect", [False, True], ids=["before each effect", "after each effect"])
def test_killed_at_every_call_it_is_one_build(world, after_effect):
    world.begin(tests=("#!/bin/sh\necho tested >>$HOME/tests\n",))
    world.life = Life(after_effect=after_effect)
    deaths = [world.enter_until_done(step) for step in Step]
    assert min(deaths) >= 3, deaths
    target = world.target()
    assert (target.state, target.attempt) == (TargetState.SUCCESSFUL, 1)
    assert world.machine.runs() == 1
    assert (world.machine.home / "tests").read_text() == "tested\n"
    assert world.launched() == ["1", "verify"]
    assert [image.name for image in world.things(ResourceKind.IMAGE)] == [f"tools-{BUILD}"]
    assert world.left() == {"image", "snapshot"}
    assert [row.kind for row in world.catalog.resources(build_id=BUILD)] == [ResourceKind.IMAGE]
    assert target.output_tail == f"from {CLOUD}\nbye\n"


@pytest.mark.parametrize("after_effect", [False, True], ids=["before each effect", "after each effect"])
def test_a_launch_killed_anywhere_leaves_nothing_after_terminate(world, after_effect):
    world.begin()
    world.life = Life(after_effect=after_effect)
    for _ in range(12):
        with pytest.raises(Killed):
            world.enter(Step.LAUNCH_VM)
        if world.things(ResourceKind.INSTANCE):
            break
    assert world.enter_until_done(Step.TERMINATE) >= 3
    assert world.left() == set()
    assert world.target().state is TargetState.CANCELLED
    assert world.catalog.resources(build_id=BUILD) == []


def test_lost_answers_make_one_instance_and_one_image(world):
    world.begin()
    for method in ("launch", "save", "finish_image", "delete"):
        world.cloud.set_fault(Fault(method, message="the connection broke", after_effect=True))
    for step in Step:
        world.enter(step)
    assert world.target().state is TargetState.SUCCESSFUL
    assert world.launched() == ["1", "verify"]
    assert len(world.things(ResourceKind.IMAGE)) == 1
    assert world.left() == {"image", "snapshot"}


def test_a_lost_answer_and_then_a_refusal_still_leaves_nothing(world):
    world.begin()
    world.cloud.set_fault(Fault("launch", message="the connection broke", after_effect=True))
    world.cloud.set_fault(Fault("launch", error="QuotaExceeded", message="one instance is all you may have"))
    with pytest.raises(QuotaExceeded):
        world.enter(Step.LAUNCH_VM)
    assert world.left() == {"instance", "volume", "key_pair", "security_group"}
    world.enter(Step.TERMINATE)
    assert world.left() == set()
    assert world.catalog.resources(build_id=BUILD) == []


def test_a_plain_refusal_leaves_no_intent_to_look_for(world):
    world.begin()
    world.cloud.set_fault(Fault("launch", error="LaunchRefused", message="no capacity"))
    with pytest.raises(LaunchRefused, match="no capacity"):
        world.enter(Step.LAUNCH_VM)
    assert world.catalog.resources(build_id=BUILD) == []
    world.enter(Step.TERMINATE)
    assert not any("cut off" in line for line in world.said)
    assert world.target().error == "memory1: launch: no capacity"


def test_an_instance_that_fails_tells_the_clouds_reason(world):
    world.begin()
    world.cloud.doom(ResourceKind.INSTANCE, "Server.InternalError: no disk")
    with pytest.raises(LaunchRefused, match=r"is failed instead of running: Server.InternalError: no disk"):
        world.enter(Step.LAUNCH_VM)
    world.enter(Step.TERMINATE)
    assert world.left() == set()


def test_an_image_that_fails_is_removed(world):
    world.begin()
    world.cloud.doom(ResourceKind.IMAGE, "the disk could not be read")
    world.enter(Step.LAUNCH_VM)
    world.enter(Step.CUSTOMIZE)
    with pytest.raises(SaveFailed, match="the disk could not be read"):
        world.enter(Step.SNAPSHOT_IMAGE)
    world.enter(Step.TERMINATE)
    assert world.left() == set()
    assert world.target().state is TargetState.FAILED


def test_connections_that_break_lose_no_line_and_say_none_twice(world):
    lines = "\n".join(f"echo line {number}; sleep 0.02" for number in range(40))
    world.begin(script=f"#!/bin/sh\necho run >>$HOME/runs\n{lines}\n")
    world.enter(Step.LAUNCH_VM)
    cuts = [threading.Timer(seconds, world.machine.drop) for seconds in (0.5, 1.0, 2.2)]
    for cut in cuts:
        cut.start()
    world.enter(Step.CUSTOMIZE)
    for cut in cuts:
        cut.cancel()
    assert [line for line in world.said if line.startswith("line ")] == [f"line {number}" for number in range(40)]
    assert world.machine.runs() == 1


def test_a_file_is_not_placed_again_over_what_the_script_made_of_it(world, tmp_path):
    """A script that prints nothing has started all the same when the connection breaks."""
    placed = tmp_path / "app.conf"
    world.begin(
        script=f"#!/bin/sh\necho run >>$HOME/runs\necho ours >>{placed}\nuntil [ -e $HOME/go ]; do sleep 0.05; done\n",
        files={placed: b"theirs\n"},
    )
    world.enter(Step.LAUNCH_VM)
    cut = threading.Thread(target=_cut_after, args=(world, placed, "ours"))
    cut.start()
    world.enter(Step.CUSTOMIZE)
    cut.join()
    assert placed.read_text() == "theirs\nours\n"
    assert world.machine.runs() == 1


def _cut_after(world: World, path: Path, words: str) -> None:
    """Cut the connection once the file holds the words, and let the script go on when there is a new one."""
    while not (path.exists() and words in path.read_text()):
        time.sleep(0.02)
    before = world.machine.connected()
    world.machine.drop()
    while world.machine.connected() == before:
        time.sleep(0.02)
    (world.machine.home / "go").touch()


def test_a_script_that_waits_for_an_answer_shows_its_question(world):
    world.begin(script="#!/bin/sh\necho installing\nprintf 'Continue? [Y/n] '\nsleep 20\n", customize=3)
    world.enter(Step.LAUNCH_VM)
    with pytest.raises(TimeLimitExceeded) as told:
        world.enter(Step.CUSTOMIZE)
    assert str(told.value) == (
        "memory1: run install.sh: the limit of 3s for customize (time_limits.customize) is used up; "
        "the last it printed:\ninstalling\nContinue? [Y/n]"
    )
    assert world.said[-1] == "Continue? [Y/n] "


def test_a_script_that_fails_shows_its_last_lines(world):
    world.begin(script="#!/bin/sh\necho installing\necho no such package >&2\nexit 3\n")
    world.enter(Step.LAUNCH_VM)
    with pytest.raises(ScriptError) as told:
        world.enter(Step.CUSTOMIZE)
    assert str(told.value) == "memory1: install.sh exited 3; the last it printed:\ninstalling\nno such package"
    assert world.target().error == str(told.value)


def test_a_clean_up_that_fails_saves_nothing(world, tmp_path):
    (tmp_path / "include" / "scripts" / "clean-up.sh").write_text("#!/bin/sh\necho disk full\nexit 1\n")
    world.begin()
    world.enter(Step.LAUNCH_VM)
    with pytest.raises(ScriptError, match=r"clean-up failed with 1, so nothing is saved; it said:\ndisk full"):
        world.enter(Step.CUSTOMIZE)


def test_ssh_that_never_answers_shows_the_console(world):
    world.machine.switch_off()
    world.begin(launch=3)
    threading.Timer(1.0, _print_on_console, [world]).start()
    with pytest.raises(Unreachable) as told:
        world.enter(Step.LAUNCH_VM)
    assert "likely: the security group or a firewall may keep port" in str(told.value)
    assert str(told.value).endswith("End of the console output:\nKernel panic - not syncing")


def _print_on_console(world: World) -> None:
    for instance in world.things(ResourceKind.INSTANCE):
        world.cloud.print_on_console(instance.id, "Kernel panic - not syncing\n")


def test_an_instance_that_goes_away_under_the_script_is_told(world):
    world.begin(script="#!/bin/sh\nsleep 20\n")
    world.enter(Step.LAUNCH_VM)
    threading.Timer(0.5, _take_away, [world]).start()
    with pytest.raises(InstanceLost, match="the instance is gone under the build"):
        world.enter(Step.CUSTOMIZE)


def _take_away(world: World) -> None:
    cloud: Cloud = world.cloud
    cloud.delete([each for each in cloud.find_resources(BUILD) if each.kind is ResourceKind.INSTANCE])
    world.machine.switch_off()


def test_an_uncustomized_instance_is_never_saved(world):
    world.begin()
    instance_id = world.enter(Step.LAUNCH_VM)["instance_id"]
    with pytest.raises(ImagesmithError, match="was not customized by this build"):
        world.enter(Step.SNAPSHOT_IMAGE)
    assert world.cloud.observe_instances([instance_id])[instance_id].state is InstanceState.RUNNING
    assert world.things(ResourceKind.IMAGE) == []


def _saved(world: World) -> None:
    for step in (Step.LAUNCH_VM, Step.CUSTOMIZE, Step.SNAPSHOT_IMAGE):
        world.enter(step)


def _verified(world: World) -> None:
    if not world.things(ResourceKind.IMAGE):
        _saved(world)
    world.enter(Step.VERIFY_IMAGE)


def _refused(world: World, words: str) -> None:
    """The image is told what is wrong with it and goes."""
    with pytest.raises(VerificationFailed, match=words):
        _verified(world)
    assert world.target().state is TargetState.FAILED
    assert world.target().error.startswith(f"{CLOUD}: ")
    world.enter(Step.TERMINATE)
    assert world.left() == set()
    assert world.catalog.images(build_id=BUILD) == []


def test_a_verified_image_is_what_was_customized(world):
    world.begin(
        script="#!/bin/sh\nprintf 'Package: sl\\nStatus: install ok installed\\nVersion: 5\\n' >$HOME/packages\n"
    )
    _verified(world)
    image = world.catalog.images(build_id=BUILD)[0]
    inventory = world.catalog.inventory(image.inventory_digest)
    assert [(package.name, package.version) for package in inventory.packages] == [("sl", "5")]
    assert image.verified_at is not None
    assert image.inventory_digest == world.target().inventory_digest
    saved = world.things(ResourceKind.IMAGE)[0]
    assert saved.tags["imagesmith:digest"] == image.inventory_digest
    world.enter(Step.TERMINATE)
    assert world.left() == {"image", "snapshot"}


def test_only_the_verified_image_can_be_launched_by_others(world):
    world.begin()
    _saved(world)
    assert world.target().state is TargetState.SAVING
    assert world.catalog.images(build_id=BUILD)[0].verified_at is None


def test_without_verification_a_saved_image_is_successful(world):
    world.begin(verify=False)
    _saved(world)
    assert world.target().state is TargetState.SUCCESSFUL
    assert world.launched() == ["1"]


def test_an_image_that_is_not_what_was_customized_goes(world):
    world.begin()
    _saved(world)
    added = "Package: late\nStatus: install ok installed\nVersion: 1\n"
    (world.machine.home / "packages").write_text(added)
    _refused(world, r"is not what was customized:\ndpkg package late is new \(1\)")


def test_a_test_that_fails_shows_its_last_lines(world):
    world.begin(tests=("#!/bin/sh\necho fine\n", "#!/bin/sh\necho $IMAGESMITH_CLOUD lacks it >&2\nexit 4\n"))
    _refused(world, r"test-1 exited 4; the last it printed:\nfine\nmemory1 lacks it")


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("authorized", "ssh-ed25519 AAAAsomebodys they@home", "lets in a key that ends in AAAsomebodys"),
        (".sh_history", "rm -rf /", "holds a shell's history"),
    ],
)
def test_what_must_not_stay_in_the_image_is_named(world, path, text, words):
    world.begin()
    (world.machine.home / path).write_text(text + "\n")
    _refused(world, words)


def test_a_key_that_the_generator_names_may_stay(world):
    world.begin(script="#!/bin/sh\necho ssh-ed25519 AAAAteam= team >$HOME/authorized\n")
    _verified(world)
    assert world.target().state is TargetState.SUCCESSFUL


def test_an_image_with_the_builds_machine_id_goes(world):
    world.begin()
    _saved(world)
    world.catalog.update_target(BUILD, CLOUD, identity=f"machine-id {_sha256(IMAGES_ID)}")
    _refused(world, "every machine of this image would have the build's machine-id")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_one_instance_at_a_time_is_enough(world):
    """Where the quota is one, the image can be verified all the same."""
    world.begin()
    _saved(world)
    seen: list[list[str]] = []
    launch = world.cloud.launch

    def counted(*arguments: Any) -> str:
        seen.append([each.name for each in world.cloud.find_resources(BUILD) if each.kind is ResourceKind.INSTANCE])
        return launch(*arguments)

    world.cloud.launch = counted  # type: ignore[method-assign]
    world.enter(Step.VERIFY_IMAGE)
    assert seen == [[]]


TOKEN = "S3cret 'tok&ên'/+?"
IN_PIECES = """#!/bin/sh
printf 'token=%s' "$token" | head -c 14
sleep 0.3
printf 'token=%s' "$token" | tail -c +15
echo '.'
echo "$token" | base64
echo run >>"$HOME/runs"
"""


@pytest.mark.parametrize("after_effect", [False, True], ids=["before each effect", "after each effect"])
def test_killed_at_every_call_a_secret_parameter_is_never_shown_or_kept(world, tmp_path, after_effect):
    world.begin(script=IN_PIECES, token=TOKEN)
    world.life = Life(after_effect=after_effect)
    deaths = [world.enter_until_done(step) for step in Step]
    assert min(deaths) >= 3, deaths
    target = world.target()
    # "wo=" stands for the line end, and for the last bits of the value.
    assert (target.state, target.output_tail) == (TargetState.SUCCESSFUL, "token=***.\n***wo=\n")
    assert world.machine.runs() == 1
    assert "token=***." in world.said
    with sqlite3.connect(tmp_path / "catalog.db") as database:
        kept = "\n".join(database.iterdump())
    for text in (kept, "\n".join(world.said)):
        assert not any(part in text for part in (TOKEN, "S3cret", "tok&", "ên'/+"))
    assert not list(Path("/dev/shm").glob(f"imagesmith-{BUILD}*"))


@pytest.mark.parametrize("script", ["echo $token >&2; exit 3", 'printf "$token"; sleep 60'])
def test_the_error_of_a_script_hides_a_secret_parameter(world, script):
    world.begin(script=f"#!/bin/sh\n{script}\n", token=TOKEN, customize=2 if "sleep" in script else 60)
    world.enter(Step.LAUNCH_VM)
    with pytest.raises(ScriptError if "exit" in script else TimeLimitExceeded) as error:
        world.enter(Step.CUSTOMIZE)
    steps = world.catalog.steps(BUILD)
    for text in (str(error.value), world.target().error, steps[-1].error):
        assert "the last it printed:\n***" in text
        assert "S3cret" not in text


def test_an_error_that_holds_a_secret_parameter_is_told_without_it(world):
    """What a machine answers where something goes wrong may hold what it was sent."""
    world.begin(token=TOKEN)

    def refuse(*_: object) -> None:
        raise QuotaExceeded(f"{CLOUD}: no room for {TOKEN}") from ValueError(TOKEN)

    world.cloud.find_source_image = refuse
    with pytest.raises(QuotaExceeded, match=r"no room for \*\*\*") as error:
        world.enter(Step.LAUNCH_VM)
    assert error.value.__cause__ is None and error.value.__suppress_context__
    assert TOKEN not in world.target().error


def test_what_removes_a_build_needs_none_of_its_secret_parameters(world):
    world.begin(token=TOKEN)
    world.enter(Step.LAUNCH_VM)
    world.catalog.end_build(BUILD, "failed")
    with pytest.raises(BuildStateError, match="its secret parameters token were removed"):
        world.enter(Step.CUSTOMIZE)
    world.enter(Step.TERMINATE)
    assert world.left() == set()
