"""Values of secret parameters hidden in what is shown or stored: `***` in their place, however the output is cut.

Found as they are, line by line where they have several, and as JSON, a shell's quotes, URLs, hexadecimal and base64
write them. Not found: what a program has compressed, encrypted, hashed, spelt or wrapped into lines of its own.
"""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from imagesmith.parameters import MIN_SECRET_LENGTH

MASK = b"***"


@dataclass(frozen=True)
class Piece:
    """A part of an output: `size` bytes of it, and the text that may be shown for them."""

    text: bytes
    size: int
    masked: bool = False


class Mask:
    """What hides these values; without any it lets everything through."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        found = {form for value in values for form in _forms(value)}
        self._forms = sorted(form for form in found if len(form) >= MIN_SECRET_LENGTH)
        self.longest = max(map(len, self._forms), default=0)

    def text(self, text: str) -> str:
        """The whole text with `***` for each value in it."""
        if not self._forms:
            return text
        stream = MaskedStream(self)
        pieces = [*stream.feed(text.encode(errors="surrogatepass")), *stream.flush()]
        return b"".join(piece.text for piece in pieces).decode(errors="replace")

    def spans(self, data: bytes) -> list[tuple[int, int]]:
        """Where values stand in the data, overlapping and touching ones joined."""
        joined: list[tuple[int, int]] = []
        for start, end in sorted(span for form in self._forms for span in _places(data, form)):
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        return joined

    def possible_start(self, data: bytes) -> int:
        """Where the first value may begin that the data's end has cut off; the data's length where none may."""
        return min((_cut_off(data, form) for form in self._forms), default=len(data))


class MaskedStream:
    """Hides values in an output that comes in chunks; what may be the beginning of one is held back."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._data = b""  # the output's last bytes, as far as a value may begin in them
        self._given = 0  # how many of them were given out
        self._masked_to = 0  # bytes of `_data` before this are a value's
        self._open = False  # whether the last byte given out was a value's

    @property
    def holds_back(self) -> bool:
        """Whether some of what was fed is not given out yet."""
        return self._given < len(self._data)

    def feed(self, chunk: bytes) -> list[Piece]:
        """What may be shown now."""
        self._data += chunk
        settled = self._mask.possible_start(self._data)
        pieces = list(self._pieces(self._mask.spans(self._data), max(settled, self._given)))
        self._forget(settled)
        return pieces

    def flush(self) -> list[Piece]:
        """What was held back, for when nothing more comes for now: hidden, if enough of a value to tell."""
        held = len(self._data) - self._given
        spans = [(self._given, len(self._data))] if held >= MIN_SECRET_LENGTH else []
        return list(self._pieces(spans, len(self._data)))

    def _pieces(self, spans: list[tuple[int, int]], end: int) -> Iterator[Piece]:
        """The bytes up to `end` that were not given out yet."""
        for start, stop in [(0, self._masked_to), *spans]:
            yield from self._clear(min(start, end))
            if self._given < min(stop, end):
                yield Piece(b"" if self._open else MASK, min(stop, end) - self._given, masked=True)
                self._given, self._open = min(stop, end), True
            if start < end:  # a later one is found again, and what precedes it may turn out to be no value's
                self._masked_to = max(self._masked_to, stop)
        yield from self._clear(end)

    def _clear(self, end: int) -> Iterator[Piece]:
        if self._given < end:
            yield Piece(self._data[self._given : end], end - self._given)
            self._given, self._open = end, False

    def _forget(self, count: int) -> None:
        """The first bytes, in which no value begins that has not been seen whole."""
        self._data = self._data[count:]
        self._given = max(0, self._given - count)
        self._masked_to = max(0, self._masked_to - count)


def _places(data: bytes, form: bytes) -> Iterator[tuple[int, int]]:
    at = data.find(form)
    while at >= 0:
        yield at, at + len(form)
        at = data.find(form, at + 1)


def _cut_off(data: bytes, form: bytes) -> int:
    at = data.find(form[:1], max(0, len(data) - len(form) + 1))
    while at >= 0:
        if form.startswith(data[at:]):
            return at
        at = data.find(form[:1], at + 1)
    return len(data)


def _forms(value: str) -> Iterator[bytes]:
    """The value as programs write it."""
    yield value.encode()
    yield from (line.strip().encode() for line in value.splitlines())
    for escaped in (json.dumps(value), json.dumps(value, ensure_ascii=False), repr(value)):
        yield escaped[1:-1].encode()
    yield shlex.quote(value).encode()
    for quoted in (quote(value, safe=""), quote(value), quote_plus(value)):
        yield quoted.encode()
        yield _lower_hex(quoted).encode()
    yield value.encode().hex().encode()
    yield value.encode().hex().upper().encode()
    for offset in range(3):
        yield from _base64(value.encode(), offset)


def _lower_hex(quoted: str) -> str:
    head, *rest = quoted.split("%")
    return head + "".join(f"%{part[:2].lower()}{part[2:]}" for part in rest)


def _base64(value: bytes, offset: int) -> Iterator[bytes]:
    """The characters that stand for the value alone, when `offset` bytes of something else precede it."""
    whole = base64.b64encode(bytes(offset) + value)
    alone = whole[-(-offset * 8 // 6) : (offset + len(value)) * 8 // 6]
    yield alone
    yield alone.translate(bytes.maketrans(b"+/", b"-_"))
