"""A script's output on its way to the task log: whole lines, a bounded tail, and the offset to go on from."""

from __future__ import annotations

from collections.abc import Callable

TAIL_BYTES = 16_384
# So much of a script's output goes to the task log as it comes; of more only the end does.
LOG_BYTES = 10 << 20
LOG_LINES = 100_000
# A line without an end is cut here, so that a progress bar can't grow without bound.
LINE_BYTES = 8_192


class OutputLines:
    """Feeds bytes of output to `emit` line by line; `offset` is how many bytes of the output are emitted."""

    def __init__(self, emit: Callable[[str], None], *, offset: int, tail: str) -> None:
        self._emit = emit
        self._rest = b""
        self._tail = tail.encode()[-TAIL_BYTES:]
        self._lines = 0
        self.offset = offset

    @property
    def full(self) -> bool:
        """Whether the log has as much of the output as it is to have before its end."""
        return self.offset >= LOG_BYTES or self._lines >= LOG_LINES

    def skip_to_end(self, size: int) -> None:
        """Leave out all but the last `TAIL_BYTES` of an output of so many bytes, and say so."""
        start = size - TAIL_BYTES
        if start > self.offset:
            self._emit(f"… {start - self.offset} bytes of output left out; its end follows …")
            self.offset, self._rest = start, b""

    @property
    def tail(self) -> str:
        """The last of what was emitted, up to `TAIL_BYTES`."""
        return self._tail.decode(errors="replace").replace("\0", "")

    def feed(self, chunk: bytes) -> None:
        """Emit the lines that `chunk` completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._put(line, ended=True)
        while len(self._rest) > LINE_BYTES:
            self._put(self._rest[:LINE_BYTES], ended=False)
            self._rest = self._rest[LINE_BYTES:]

    def flush(self) -> None:
        """Emit what has no line end yet; for when the script has ended."""
        if self._rest:
            self._put(self._rest, ended=False)
            self._rest = b""

    def _put(self, line: bytes, *, ended: bool) -> None:
        # Of a line that was written over with carriage returns, such as a progress bar, what stood there last.
        self._emit(line.decode(errors="replace").rstrip("\r").rpartition("\r")[2])
        self._lines += 1
        self.offset += len(line) + ended
        self._tail = (self._tail + line + b"\n")[-TAIL_BYTES:]
