"""One at a time: whoever starts or ends components holds the lock."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Waits for the lock and holds it."""
    with _lock_file(run_dir).open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextmanager
def try_locked(run_dir: Path) -> Iterator[bool]:
    """Holds the lock and gives True, or gives False at once if somebody else holds it."""
    with _lock_file(run_dir).open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _lock_file(run_dir: Path) -> Path:
    run_dir.mkdir(parents=True, exist_ok=True)
    return run_dir / "lock"
