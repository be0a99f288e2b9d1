"""What a set of processes holds and uses: how many there are, their proportional memory, their processor time.

Proportional (PSS) counts a page that several processes share once, split between them, so sums are true.
"""

import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

SHORTEST_PAUSE_S = 1.0
# Looking costs the kernel a walk through page tables; no more than a tenth of a core goes into it.
SHARE_OF_A_CORE = 0.1


@dataclass(frozen=True)
class Sample:
    """Processes and their memory at one moment."""

    processes: int
    memory_mib: float


def members(roots: Iterable[int], links: dict[int, tuple[int, int]]) -> set[int]:
    """The roots that live, all that descend from them, and all of their sessions.

    `links` maps each process to its parent and its session. Sessions count because a process whose parent ended
    is no longer a descendant.
    """
    found = set(roots) & links.keys()
    sessions = set(roots)
    while True:
        more = {
            pid
            for pid, (parent, session) in links.items()
            if pid not in found and (parent in found or session in sessions)
        }
        if not more:
            return found
        found |= more


def links_now() -> dict[int, tuple[int, int]]:
    """Parent and session of every process of this machine, zombies left out."""
    links = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended between the listing and the look
        if fields[0] not in ("Z", "X"):
            links[int(entry.name)] = (int(fields[1]), int(fields[3]))
    return links


def sample(roots: Iterable[int]) -> Sample:
    """What the roots and all that belongs to them hold now."""
    pids = members(roots, links_now())
    return Sample(len(pids), sum(_proportional_kib(pid) for pid in pids) / 1024)


def cpu_s(roots: Iterable[int]) -> float:
    """Processor seconds used so far by all that belongs to the roots, and by what ended among it."""
    return sum(_ticks(pid) for pid in members(roots, links_now())) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    """User and system time of the process and of its children that ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15]))


def _proportional_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


class Watch:
    """Samples in the background while the block runs; `peak` holds the most of each that was seen."""

    def __init__(self, roots: Iterable[int]) -> None:
        self._roots = frozenset(roots)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.peak = Sample(0, 0.0)

    def add(self, root: int) -> None:
        """Another process whose tree counts from now on."""
        self._roots |= {root}

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        pause_s = SHORTEST_PAUSE_S / 2
        while not self._ended.wait(pause_s):
            began = time.thread_time()
            seen = sample(self._roots)
            cost_s = time.thread_time() - began
            self.peak = Sample(max(self.peak.processes, seen.processes), max(self.peak.memory_mib, seen.memory_mib))
            pause_s = max(SHORTEST_PAUSE_S, cost_s / SHARE_OF_A_CORE)
