"""What a worker has started ends with it, also where it can't clean up, as xdist's can't when a run is broken off."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager


@contextmanager
def last_will(argv: Sequence[str], *, environment: Mapping[str, str]) -> Iterator[None]:
    """Runs the command if this process dies inside the block; leaving the block revokes it."""
    # The write end of its input is closed by the kernel, whatever this process dies of.
    witness = subprocess.Popen(
        ["sh", "-c", 'read -r revoked || exec "$@"', "sh", *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(environment),
        start_new_session=True,
    )
    try:
        yield
    finally:
        witness.communicate(b"revoked\n")
