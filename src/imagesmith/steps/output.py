"""A script's output on its way to the task log: whole lines, a bounded tail, and the offset to go on from."""

from __future__ import annotations

from collections.abc import Callable

from imagesmith.masking import Mask, MaskedStream, Piece

TAIL_BYTES = 16_384
# So much of a script's output goes to the task log as it comes; of more only the end does.
LOG_BYTES = 10 << 20
LOG_LINES = 100_000
# A line without an end is cut here, so that a progress bar can't grow without bound.
LINE_BYTES = 8_192


class OutputLines:
    """Feeds bytes of output to `emit` line by line; `offset` and `count` are how many bytes and lines it has emitted.

    What `mask` hides is hidden in the lines and in the tail, and `offset` never lies inside of it.
    """

    def __init__(
        self, emit: Callable[[str], None], *, offset: int, lines: int, tail: str, mask: Mask | None = None
    ) -> None:
        self._emit = emit
        self._mask = mask or Mask()
        self._tail = tail.encode()[-TAIL_BYTES:]
        self.count = lines
        self.offset = offset
        self._begin_at(offset)

    @property
    def full(self) -> bool:
        """Whether the log has as much of the output as it is to have before its end."""
        return self.offset >= LOG_BYTES or self.count >= LOG_LINES

    def begin(self) -> None:
        """Ready for the output from `offset` on: what was fed and has not been emitted comes again."""
        if self._size or self._stream.holds_back:
            self._begin_at(self.offset)

    def skip_to_end(self, size: int) -> None:
        """Leave out all but the last `TAIL_BYTES` of an output of so many bytes, and say so."""
        start = size - TAIL_BYTES
        if start > self.offset:
            self._emit(f"… {start - self.offset} bytes of output left out; its end follows …")
            self._begin_at(start)
            # The rest of a value that began before.
            self._to_drop = max(0, self._mask.longest - 1)

    @property
    def tail(self) -> str:
        """The last of what was emitted, up to `TAIL_BYTES`."""
        return self._tail.decode(errors="replace").replace("\0", "")

    def feed(self, chunk: bytes) -> None:
        """Emit the lines that `chunk` completes."""
        self._take(self._stream.feed(chunk))

    def flush(self) -> None:
        """Emit what has no line end yet; for when the script has ended."""
        self._take(self._stream.flush())
        if self._size:
            self._put(ended=False)

    def _begin_at(self, offset: int) -> None:
        self._stream = MaskedStream(self._mask)
        self._line, self._size = b"", 0  # the line that has no end yet, and its bytes of output
        self._to_drop = 0
        self.offset = offset

    def _take(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            if piece.masked:
                self._line += piece.text
                self._size += piece.size
                self._to_drop = max(0, self._to_drop - piece.size)
            else:
                self._add(self._without_rest(piece.text))

    def _without_rest(self, text: bytes) -> bytes:
        """The text behind what is to be dropped, which counts as emitted."""
        dropped = min(self._to_drop, len(text))
        self._to_drop -= dropped
        self._size += dropped
        return text[dropped:]

    def _add(self, text: bytes) -> None:
        *lines, rest = text.split(b"\n")
        for line in lines:
            self._append(line)
            self._put(ended=True)
        self._append(rest)

    def _append(self, text: bytes) -> None:
        """More of the line; what grows too long is emitted in parts."""
        while len(text) > (room := max(0, LINE_BYTES - len(self._line))):
            self._line, self._size, text = self._line + text[:room], self._size + room, text[room:]
            self._put(ended=False)
        self._line, self._size = self._line + text, self._size + len(text)

    def _put(self, *, ended: bool) -> None:
        # Of a line that was written over with carriage returns, such as a progress bar, what stood there last.
        self._emit(self._line.decode(errors="replace").rstrip("\r").rpartition("\r")[2])
        self.count += 1
        self.offset += self._size + ended
        self._tail = (self._tail + self._line + b"\n")[-TAIL_BYTES:]
        self._line, self._size = b"", 0
