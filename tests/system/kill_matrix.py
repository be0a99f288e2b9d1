"""Steps held at armed instants (crash_points.py), and the victims that are killed there and brought back.

A step goes on when its victim is back, if its own process is still alive. Whoever comes first to an instant is taken,
so a test that arms all of them runs several builds at once on each cloud.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from imagesmith.core import ResourceKind
from imagesmith.crash_points import AFTER_CALL, BEFORE_CALL, INSTANTS
from imagesmith.processes import started_at
from imagesmith.steps.runner import Step

from .airflow_rest import until
from .conftest import Deployment
from .simulated_builds import CLOUDS

# So long the sandbox answers nobody when the network is cut, and is away when it was killed; who was held goes on then.
CUT_S = 20.0
AWAY_S = 3.0
# Nimbus's driver ends an instance in one call, which waits for nothing.
NEVER = {f"{Step.TERMINATE}.nimbus-hotel-kvm.in_wait"}


# What a launch makes on each cloud, which the teardown ends.
MADE: Mapping[str, tuple[ResourceKind, ...]] = {
    "ec2": (ResourceKind.SECURITY_GROUP, ResourceKind.INSTANCE),
    "openstack-sierra": (
        ResourceKind.KEY_PAIR,
        ResourceKind.SECURITY_GROUP,
        ResourceKind.INSTANCE,
        ResourceKind.FLOATING_IP,
    ),
    "nimbus-hotel-kvm": (ResourceKind.INSTANCE,),
}
# What is held gathers until so long nobody new has come, so that one kill serves all. A death that ends many tasks or
# waits comes no sooner than a build can have waited for a cloud's listings to settle, which it does anew after each.
GATHER_S = 3.0
GATHER_LONG_S = 8.0
GATHER_LONGEST_S = 13.0

Kill = Callable[[Deployment, list[int]], None]


def every_instant() -> set[str]:
    """The names of all instants of all steps on one cloud of each type."""
    return {f"{step}.{cloud}.{instant}" for cloud in CLOUDS for step in Step for instant in INSTANTS} - NEVER


def every_instant_once() -> set[str]:
    """The names of the instants of all steps, each on one of the clouds in turn."""
    clouds = list(CLOUDS)
    return {
        f"{step}.{clouds[(row + column) % len(clouds)]}.{instant}"
        for row, step in enumerate(Step)
        for column, instant in enumerate(INSTANTS)
    } - NEVER


def every_call() -> set[str]:
    """The names of the instants around each call of a launch and of a teardown that makes or ends a thing."""
    calls = [(Step.LAUNCH_VM, BEFORE_CALL), (Step.LAUNCH_VM, AFTER_CALL), (Step.TERMINATE, AFTER_CALL)]
    return {f"{step}.{cloud}.{instant}.{kind}" for step, instant in calls for cloud in MADE for kind in MADE[cloud]}


@dataclass
class Matrix:
    """One victim's part of the matrix: what is armed, what was reached, and how often the victim was killed."""

    deployment: Deployment
    kill: Kill
    gather_s: float = GATHER_S
    armed: set[str] = field(default_factory=set)
    hits: list[str] = field(default_factory=list)
    kills: int = 0

    def __post_init__(self) -> None:
        self._points = points_of(self.deployment)

    def arm(self, names: Iterable[str]) -> None:
        """These instants, beside those that were armed before."""
        for name in names:
            for end in ("reached", "go", "done"):
                (self._points / f"{name}.{end}").unlink(missing_ok=True)
            self.armed.add(name)
            (self._points / name).touch()

    def disarm(self) -> None:
        """No instant any more, and nobody is held."""
        for name in self.armed:
            (self._points / name).unlink(missing_ok=True)
        let_go(self.deployment)

    def kill_at_each(self) -> None:
        """Kill at whatever instants are reached now; one kill may serve several that are held at a time."""
        held = self._gathered()
        self.hits += [path.stem for path in held]
        if held:
            self.kill(self.deployment, sorted({self._pid(path) for path in held}))
            self.kills += 1
        for path in held:
            path.with_suffix(".go").touch()
            path.rename(path.with_suffix(".done"))

    def _gathered(self) -> list[Path]:
        held: list[Path] = []
        while len(now := [path for path in self._points.glob("*.reached") if self._pid(path)]) > len(held):
            held = now
            time.sleep(self.gather_s)
        return held

    def missed(self) -> list[str]:
        """What was armed and not reached."""
        return sorted(self.armed - {*self.hits})

    def _pid(self, path: Path) -> int:
        return int(path.read_text() or 0)


def points_of(deployment: Deployment) -> Path:
    """The directory where instants are armed."""
    return Path(deployment.environment["IMAGESMITH_CRASH_POINTS"])


def let_go(deployment: Deployment) -> None:
    """Whoever is held goes on."""
    for held in points_of(deployment).glob("*.reached"):
        held.with_suffix(".go").touch()


def _kill(pid: int) -> None:
    assert pid > 1
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    until(lambda: started_at(pid) is None, f"process {pid} is gone", limit_s=20, every_s=0.05)


def kill_task(deployment: Deployment, holders: list[int]) -> None:
    """The processes that are at the instants: tasks', or the triggerer's."""
    for holder in holders:
        _kill(holder)


def kill_executor(deployment: Deployment, holders: list[int]) -> None:
    """The executor's workers that run the tasks, or what keeps the trigger's process."""
    for keeper in {_keeper(holder) for holder in holders}:
        _kill(keeper)
    _bring_back(deployment)


def _keeper(holder: int) -> int:
    """The process over this one; itself where that was killed before, as its new parent is not ours."""
    try:
        parent = int(Path(f"/proc/{holder}/stat").read_text().rpartition(")")[2].split()[1])
        return parent if os.getsid(parent) == os.getsid(holder) else holder
    except OSError:  # it is gone
        return holder


def kill_component(name: str) -> Kill:
    """One of Airflow's components, or its database; what it leaves running is ended by who brings it back."""

    def kill(deployment: Deployment, holders: list[int]) -> None:
        killed = deployment.pid(name)
        _kill(killed)
        _bring_back(deployment)
        until(lambda: deployment.pid(name) != killed, f"{name} is back", limit_s=60, every_s=0.2)

    return kill


def _bring_back(deployment: Deployment) -> None:
    """At once: the keeper waits longer after each of many deaths. When all is well again is not waited for."""
    threading.Thread(target=deployment.start("airflow", "up").communicate, daemon=True).start()


def kill_sandbox(deployment: Deployment, holders: list[int]) -> None:
    """All doors of the sandbox, and the machines behind them; those that were held find them closed."""
    _kill(_sandbox_pid(deployment))
    let_go(deployment)
    time.sleep(AWAY_S)
    deployment.sandbox.run("up")


def cut_network(deployment: Deployment, holders: list[int]) -> None:
    """Nobody answers those that were held, nor others, for a while, and no connection is refused."""
    pid = _sandbox_pid(deployment)
    os.kill(pid, signal.SIGSTOP)
    let_go(deployment)
    try:
        time.sleep(CUT_S)
    finally:
        os.kill(pid, signal.SIGCONT)


def _sandbox_pid(deployment: Deployment) -> int:
    return int(next((deployment.home / "sandbox").glob("*.pid")).read_text().split()[0])


@dataclass(frozen=True)
class Victim:
    """How it is killed, how long what is held gathers before, and how many builds on each cloud go through it.

    So many that several are held when the victim is killed, and none is killed more often than Airflow tries again.
    """

    kill: Kill
    gather_s: float = GATHER_S
    builds_each: int = 3


VICTIMS: Mapping[str, Victim] = {
    "task": Victim(kill_task),
    "executor": Victim(kill_executor),
    # With it die all tasks, at an instant or not.
    "scheduler": Victim(kill_component("scheduler"), GATHER_LONGEST_S, builds_each=4),
    "triggerer": Victim(kill_component("triggerer"), GATHER_LONG_S),
    "api-server": Victim(kill_component("api-server")),
    # Most of Airflow dies with it, and is brought back after it.
    "database": Victim(kill_component("postgres"), GATHER_LONGEST_S, builds_each=4),
    "sandbox": Victim(kill_sandbox),
    "network": Victim(cut_network),
}
