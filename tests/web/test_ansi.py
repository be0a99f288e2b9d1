"""A terminal's text on a page: its colours, and no markup but ours."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesmith.web.ansi import as_html

ESC = "\x1b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"{ESC}[31mred{ESC}[0m plain", '<span class="ansi-front-1">red</span> plain'),
        (
            f"{ESC}[1;92mgood{ESC}[22m thin",
            '<span class="ansi-bold ansi-front-10">good</span><span class="ansi-front-10"> thin</span>',
        ),
        (f"{ESC}[44mon blue{ESC}[49moff", '<span class="ansi-back-4">on blue</span>off'),
        (f"{ESC}[38;5;9mred{ESC}[m", '<span class="ansi-front-9">red</span>'),
        (f"{ESC}[38;5;21mblue{ESC}[39mx", '<span class="ansi-front-12">blue</span>x'),
        (f"{ESC}[38;2;250;10;10mtrue{ESC}[0m", '<span class="ansi-front-9">true</span>'),
        (f"{ESC}[2K{ESC}[1Aover", "over"),
        (f"{ESC}]0;a title\x07text", "text"),
        (f"{ESC}]8;;http://evil.example{ESC}\\link{ESC}]8;;{ESC}\\", "link"),
        (f"cut {ESC}[", "cut "),
        (f"cut {ESC}", "cut "),
        ("bell\x07 and \x9b31m", "bell\\x07 and \\x9b31m"),
        ("a\r\nb\rc", "a\nb\\x0dc"),
        ("\u202egnirts", "\\u202egnirts"),
        (f"{ESC}[31m<b>&\"'", '<span class="ansi-front-1">&lt;b&gt;&amp;&#34;&#39;</span>'),
        (f"{ESC}[{'9' * 50};{'1;' * 100}mx", '<span class="ansi-bold">x</span>'),
    ],
)
def test_a_terminals_colours_are_classes_and_nothing_else_is_done(text: str, shown: str) -> None:
    assert as_html(text) == shown


@given(st.text(alphabet=st.sampled_from([*"\x1b[]();:?0123456789mKH<>&\"'\x07\\x\n\x00\u202e "]), max_size=200))
def test_whatever_is_printed_only_our_spans_come_out(text: str) -> None:
    html = str(as_html(text))
    rest = re.sub(r'<span class="ansi-[a-z0-9 -]+">|</span>', "", html)
    assert not re.search("[<>\"'\x00-\x08\x0b-\x1f\x7f\u202e]", rest)
    assert html.count("<span") == html.count("</span>")


def test_a_long_text_is_quick() -> None:
    """Linear in its length: 4 MiB of escapes, cut off ones too."""
    assert len(as_html(f"{ESC}[31mx{ESC}]" * 500_000)) > 500_000
