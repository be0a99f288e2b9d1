"""A script's output on its way to the log: whole lines, and an offset at which another process can go on."""

from __future__ import annotations

from imagesmith.steps.output import LINE_BYTES, LOG_BYTES, LOG_LINES, TAIL_BYTES, OutputLines


def fed(*chunks: bytes, offset: int = 0, count: int = 0, tail: str = "") -> tuple[list[str], OutputLines]:
    said: list[str] = []
    lines = OutputLines(said.append, offset=offset, lines=count, tail=tail)
    for chunk in chunks:
        lines.feed(chunk)
    return said, lines


def test_lines_come_whole_however_the_chunks_are_cut():
    said, lines = fed(b"one\ntw", b"o\nthr", b"ee")
    assert said == ["one", "two"]
    assert lines.offset == len(b"one\ntwo\n")
    lines.flush()
    assert said == ["one", "two", "three"]
    assert lines.offset == len(b"one\ntwo\nthree")


def test_a_character_cut_in_two_chunks_stays_one():
    euro = "€\n".encode()
    said, _ = fed(euro[:1], euro[1:])
    assert said == ["€"]


def test_a_second_process_goes_on_where_the_first_had_emitted():
    output = b"one\ntwo\nthree\n"
    said, lines = fed(output[:6])
    more, rest = fed(output[lines.offset :], offset=lines.offset, tail=lines.tail)
    assert said + more == ["one", "two", "three"]
    assert (rest.offset, rest.tail) == (len(output), "one\ntwo\nthree\n")


def test_a_line_without_end_is_cut_so_that_memory_stays_small():
    said, lines = fed(b"x" * (3 * LINE_BYTES + 5))
    assert [len(line) for line in said] == [LINE_BYTES] * 3
    assert lines.offset == 3 * LINE_BYTES


def test_the_tail_keeps_the_end():
    _, lines = fed(b"".join(b"line %d\n" % number for number in range(10_000)))
    assert len(lines.tail.encode()) <= TAIL_BYTES
    assert lines.tail.endswith("line 9999\n")


def test_bytes_that_are_no_text_do_no_harm():
    said, lines = fed(b"\xff\x00a\r\n")
    assert said == ["\ufffd\0a"]
    assert "\0" not in lines.tail
    assert lines.offset == 5


def test_flush_of_nothing_says_nothing():
    said, lines = fed(b"one\n")
    lines.flush()
    assert said == ["one"]


def test_of_a_line_written_over_only_the_last_is_emitted_but_all_is_counted():
    emitted: list[str] = []
    lines = OutputLines(emitted.append, offset=0, lines=0, tail="")
    lines.feed(b"5%\r10%\r100%\r\nnext\r\n")
    assert emitted == ["100%", "next"]
    assert lines.offset == 19


def test_the_log_is_full_after_so_many_bytes_or_lines():
    _, lines = fed(b"x" * 999 + b"\n", offset=LOG_BYTES - 1001)
    assert not lines.full
    lines.feed(b"\n")
    assert lines.full
    _, lines = fed(b"\n" * (LOG_LINES - 1))
    assert not lines.full
    lines.feed(b"\n")
    assert lines.full


def test_who_goes_on_has_only_the_lines_that_are_left():
    _, first = fed(b"\n" * (LOG_LINES - 1))
    _, second = fed(offset=first.offset, count=first.count)
    assert not second.full
    second.feed(b"\n")
    assert second.full


def test_of_a_long_output_the_end_follows_what_was_left_out():
    said, lines = fed(b"one\ntw")
    lines.skip_to_end(1_000_000)
    assert said == ["one", f"… {1_000_000 - TAIL_BYTES - 4} bytes of output left out; its end follows …"]
    assert lines.offset == 1_000_000 - TAIL_BYTES
    lines.feed(b"x" * (TAIL_BYTES - 5) + b"\nend\n")
    assert (said[-1], lines.offset) == ("end", 1_000_000)
    lines.skip_to_end(1_000_000)
    assert said[-1] == "end"
