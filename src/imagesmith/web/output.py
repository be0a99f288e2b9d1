"""What a task printed, in pieces: of whatever length the log is, a page holds no more of it than was asked for.

The source is the task's log in Airflow, which has all that was printed up to a script's 10 MiB, and behind those its
end. Airflow gives a log from its beginning only, so what was read is kept in a file for those who ask for more of it.
"""

from __future__ import annotations

import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from imagesmith.web.host import Caller, Host
from imagesmith.web.runs import Run, answered, task_path

# A piece ends with the line that makes it larger than one of these.
PIECE_BYTES, PIECE_LINES = 64 * 1024, 1_000
# Logs that are kept at once, of a few MiB each at most.
MOST_KEPT = 8
# Airflow's own, to fold lines.
_FOLDS = ("::group::", "::endgroup::")


@dataclass(frozen=True)
class Task:
    """One try of a task of a run; `ended` once Airflow will do nothing more in it."""

    run: Run
    task_id: str
    try_number: int
    ended: bool


@dataclass(frozen=True)
class Piece:
    """A part of a log; `number` counts from 0 to `last`, and `growing` tells that more will come behind it."""

    number: int
    last: int
    text: str
    growing: bool


class Outputs:
    """The logs that were asked for lately; safe to share between threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, str, int], _Log] = OrderedDict()
        self._lock = threading.Lock()

    def have(self, task: Task) -> bool:
        """Whether the log is here already, so that a piece of it is there at once."""
        with self._lock:
            log = self._kept.get(_key(task))
        return log is not None and log.was_read

    def piece(self, host: Host, caller: Caller, task: Task, number: int | None) -> Piece:
        """The piece of that number, by default the last one; the caller must be one who may read logs."""
        key = _key(task)
        with self._lock:
            log = self._kept.pop(key, None) or _Log()
            self._kept[key] = log
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        with log.lock:
            if number is None or number >= log.last:
                log.read_on(host, caller, task)
            return log.piece(number)


class _Log:
    """What was read of one log: its lines in a file that has no name and goes with the process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it is open for as long as this is kept
        self._starts = [0]
        self._size = self._lines = 0
        self._token: str | None = None
        self._whole = False

    @property
    def was_read(self) -> bool:
        return self._whole or self._size > 0

    @property
    def last(self) -> int:
        return len(self._starts) - 1

    def read_on(self, host: Host, caller: Caller, task: Task) -> None:
        """Add what Airflow has beyond what is here."""
        if self._whole:
            return
        if self._token is None:  # not read yet, or between two parts of a task, when Airflow takes a log for whole
            self._starts, self._size, self._lines = [0], 0, 0
        query = {"map_index": -1, **({"token": self._token} if self._token else {})}
        path = f"{task_path(task.run, task.task_id)}/logs/{task.try_number}?{urlencode(query)}"
        document = answered(host.call(caller, "GET", path), f"see the log of {task.task_id}")
        self._add(_lines(document["content"]))
        self._token = document.get("continuation_token")
        self._whole = task.ended and self._token is None

    def piece(self, number: int | None) -> Piece:
        chosen = self.last if number is None else min(max(0, number), self.last)
        end = self._starts[chosen + 1] if chosen < self.last else self._size
        self._file.seek(self._starts[chosen])
        text = self._file.read(end - self._starts[chosen]).decode()
        return Piece(chosen, self.last, text, growing=chosen == self.last and not self._whole)

    def _add(self, lines: Iterable[str]) -> None:
        self._file.seek(self._size)
        for line in lines:
            written = f"{line}\n".encode("utf-8", "replace")
            if self._size - self._starts[-1] >= PIECE_BYTES or self._lines >= PIECE_LINES:
                self._starts.append(self._size)
                self._lines = 0
            self._file.write(written)
            self._size += len(written)
            self._lines += 1
        self._file.flush()


def _key(task: Task) -> tuple[str, str, str, int]:
    return task.run.dag_id, task.run.run_id, task.task_id, task.try_number


def _lines(content: Any) -> Iterable[str]:
    for message in content:
        line = str(message.get("event", "")) if isinstance(message, dict) else str(message)
        if not line.startswith(_FOLDS):
            yield line
