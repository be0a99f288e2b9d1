"""Values of secret parameters hidden in an output, however it is cut into chunks."""

from __future__ import annotations

import base64
import json
import re
import shlex
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagesmith.masking import Mask, MaskedStream
from imagesmith.steps.output import LINE_BYTES, LOG_BYTES, TAIL_BYTES, OutputLines

repeatable = settings(derandomize=True, deadline=None, max_examples=300)
SECRET = 'Pl4nted "pass&wörd"/+?'
MASK = Mask([SECRET])


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        repr({"token": SECRET}),
        f"+ echo {shlex.quote(SECRET)}",
        quote(SECRET),
        quote_plus(SECRET),
        re.sub("%..", lambda found: found[0].lower(), quote(SECRET, safe="")),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"user:{SECRET}@x".encode()).decode(),
        base64.urlsafe_b64encode(f"us:{SECRET}?".encode()).decode(),
    ],
)
def test_it_is_hidden_in_every_form(written: str) -> None:
    shown = MASK.text(f"before {written} after")
    assert "***" in shown
    assert shown.startswith("before ") and shown.endswith(" after")
    for part in ("Pl4nted", "pass&w", "UGw0bnRlZ", "506c346e"):
        assert part.lower() not in shown.lower()


def test_what_is_no_secret_stays() -> None:
    assert MASK.text("Pl4nted and *** password") == "Pl4nted and *** password"
    assert Mask().text(SECRET) == SECRET
    assert Mask(["ab\n"]).text("ab\n") == "ab\n"


def test_the_lines_of_a_secret_of_several_are_hidden_one_by_one() -> None:
    key = "-----BEGIN KEY-----\nAAAABBBB\nCCCC\n-----END KEY-----"
    mask = Mask([key])
    assert mask.text(f"key:\n{key}\nend") == "key:\n***\nend"
    assert mask.text("  AAAABBBB!\n") == "  ***!\n"


def test_overlapping_secrets_leave_nothing_of_each() -> None:
    mask = Mask(["xxab", "abcd", "abcdefgh"])
    assert mask.text("1xxabcdefgh2") == "1***2"
    assert mask.text("abcdabcd abcdefg.") == "*** ***efg."


# Few letters, so that values overlap, repeat and begin at every border.
VALUES = st.lists(st.text("ab\n", min_size=4, max_size=9), min_size=1, max_size=3)
OUTPUTS = st.lists(st.text("ab\nc", max_size=12).map(str.encode), max_size=12)


def hidden_at_once(mask: Mask, output: bytes) -> bytes:
    """The whole output with each run of values replaced: what streaming has to come to."""
    shown, at = b"", 0
    for start, end in mask.spans(output):
        shown, at = shown + output[at:start] + b"***", end
    return shown + output[at:]


@repeatable
@given(VALUES, OUTPUTS)
def test_any_chunking_gives_the_same(values: list[str], chunks: list[bytes]) -> None:
    mask, stream = Mask(values), MaskedStream(Mask(values))
    pieces = [piece for chunk in chunks for piece in stream.feed(chunk)]
    output = b"".join(chunks)
    # What is held back at the end may be the beginning of a value.
    settled = output[: sum(piece.size for piece in pieces)]
    assert len(output) - len(settled) < max(mask.longest, 1)
    shown = b"".join(piece.text for piece in pieces)
    whole = hidden_at_once(mask, output)
    assert whole.startswith(shown)
    assert all(piece.masked or len(piece.text) == piece.size for piece in pieces)
    once = MaskedStream(mask)
    assert shown == b"".join(piece.text for piece in once.feed(output))
    ends = [b"".join(piece.text for piece in each.flush()) for each in (stream, once)]
    assert ends[0] == ends[1]


@repeatable
@given(VALUES, OUTPUTS, st.integers(0, 12))
def test_no_chunking_and_no_change_of_process_shows_a_value(
    values: list[str], chunks: list[bytes], change: int
) -> None:
    """A second process goes on at the first's offset, as when a worker is killed."""
    mask, said = Mask(values), list[str]()
    first = OutputLines(said.append, offset=0, lines=0, tail="", mask=mask)
    for chunk in chunks[:change]:
        first.feed(chunk)
    output = b"".join(chunks)
    second = OutputLines(said.append, offset=first.offset, lines=first.count, tail=first.tail, mask=mask)
    second.feed(output[first.offset :])
    second.flush()
    assert second.offset == len(output)
    lines = hidden_at_once(mask, output).decode().split("\n")
    held = len(said[-1]) if said else 0
    shown = "\n".join(said)
    assert shown.startswith("\n".join(lines)[: max(0, len(shown) - held)])
    assert second.tail == "".join(f"{line}\n" for line in said)


def fed(*chunks: bytes, mask: Mask = MASK) -> tuple[list[str], OutputLines]:
    said: list[str] = []
    lines = OutputLines(said.append, offset=0, lines=0, tail="", mask=mask)
    for chunk in chunks:
        lines.feed(chunk)
    return said, lines


def test_a_secret_in_two_chunks_is_hidden_in_line_and_tail_and_counted_whole() -> None:
    data = f"token={SECRET}.\nnext\n".encode()
    for cut in range(len(data)):
        said, lines = fed(data[:cut], data[cut:])
        assert said == ["token=***.", "next"]
        assert (lines.tail, lines.offset) == ("token=***.\nnext\n", len(data))


def test_a_secret_at_the_border_of_a_line_that_is_cut() -> None:
    for before in range(LINE_BYTES - 40, LINE_BYTES + 5):
        data = b"x" * before + SECRET.encode() + b"y" * 100 + b"\n"
        said, lines = fed(data)
        assert "".join(said) == "x" * before + "***" + "y" * 100
        assert lines.offset == len(data)


def test_the_beginning_of_a_secret_is_not_shown_when_nothing_more_comes() -> None:
    said, lines = fed(f"token={SECRET[:-1]}".encode())
    lines.flush()
    assert said == ["token=***"]
    assert lines.offset == len(f"token={SECRET[:-1]}".encode())
    lines.feed(f"{SECRET[-1]}\nnext\n".encode())
    assert said == ["token=***", "", "next"]


def test_the_end_of_a_secret_is_not_shown_after_what_was_left_out() -> None:
    """The end of a long output begins in the middle of a value."""
    secret = SECRET.encode()
    for inside in range(1, len(secret)):
        said, lines = fed(b"one\n")
        end = secret[inside:] + b"z" * (TAIL_BYTES - len(secret) + inside - 5) + b"\nend\n"
        lines.skip_to_end(LOG_BYTES)
        lines.feed(end)
        assert lines.offset == LOG_BYTES
        assert said[-1] == "end"
        assert secret[-1:].decode() not in "".join(said[2:])


def test_an_output_that_comes_again_is_counted_once() -> None:
    said, lines = fed(f"one\ntw{SECRET[:5]}".encode())
    lines.begin()
    lines.feed(b"two\n")
    assert said == ["one", "two"]
    assert lines.offset == len(b"one\ntwo\n")
