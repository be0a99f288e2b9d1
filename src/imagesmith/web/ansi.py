"""A terminal's text as HTML: its colours as classes of the style sheet, everything else as plain text.

Of a terminal's control sequences SGR alone ("select graphic rendition", ECMA-48 8.3.117) is shown; others are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from markupsafe import Markup, escape

# CSI with its parameters and final byte; OSC and other strings up to their end; other escapes of two bytes; a lone ESC.
_SEQUENCE = re.compile(
    r"\x1b\[(?P<parameters>[0-?]*)[ -/]*(?P<final>[@-~])"
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"
    r"|\x1b[ -/]*[0-~]?"
)
# What a terminal acts on without an escape, and what turns the order of letters round.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ON = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike"}
_OFF = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 27: ("inverse",), 29: ("strike",)}
MOST_PARAMETERS = 32
# Of the 6×6×6 cube and of true colours that which comes nearest among the first eight.
_HALF = 110


@dataclass(frozen=True)
class _Style:
    marks: frozenset[str] = frozenset()
    front: int | None = None
    back: int | None = None

    @property
    def classes(self) -> str:
        names = [f"ansi-{mark}" for mark in sorted(self.marks)]
        names += [f"ansi-front-{self.front}"] if self.front is not None else []
        names += [f"ansi-back-{self.back}"] if self.back is not None else []
        return " ".join(names)


def as_html(text: str) -> Markup:
    """The text with its colours; whatever is in it, no markup but ours comes out."""
    style, parts, end = _Style(), [], 0
    for found in _SEQUENCE.finditer(text):
        parts.append(_shown(text[end : found.start()], style))
        end = found.end()
        if found["final"] == "m":
            style = _changed(style, found["parameters"] or "0")
    parts.append(_shown(text[end:], style))
    return Markup("").join(parts)


def _shown(text: str, style: _Style) -> Markup:
    if not text:
        return Markup("")
    plain = escape(_CONTROL.sub(_named, text.replace("\r\n", "\n")))
    return Markup('<span class="{}">{}</span>').format(style.classes, plain) if style.classes else plain


def _named(found: re.Match[str]) -> str:
    return f"\\x{ord(found[0]):02x}" if ord(found[0]) < 0x100 else f"\\u{ord(found[0]):04x}"


def _changed(style: _Style, parameters: str) -> _Style:
    words = re.split("[;:]", parameters)[:MOST_PARAMETERS]
    codes = iter([int(word) if word.isascii() and word.isdigit() and len(word) < 6 else 0 for word in words])
    for code in codes:
        style = _with(style, code, codes)
    return style


def _with(style: _Style, code: int, following: Iterator[int]) -> _Style:
    if code == 0:
        return _Style()
    if code in _ON:
        return replace(style, marks=style.marks | {_ON[code]})
    if code in _OFF:
        return replace(style, marks=style.marks - set(_OFF[code]))
    if code in (38, 48):
        colour = _extended(following)
        return replace(style, front=colour) if code == 38 else replace(style, back=colour)
    if code in (39, 49):
        return replace(style, front=None) if code == 39 else replace(style, back=None)
    if 30 <= code <= 37 or 90 <= code <= 97:
        return replace(style, front=code - 30 if code < 90 else code - 82)
    if 40 <= code <= 47 or 100 <= code <= 107:
        return replace(style, back=code - 40 if code < 100 else code - 92)
    return style


def _extended(following: Iterator[int]) -> int | None:
    """One of the sixteen for `5;N` or `2;R;G;B`."""
    kind = next(following, 0)
    if kind == 5:
        number = next(following, 0)
        if number < 16:
            return number
        if number > 231:  # shades of grey
            return 0 if number < 238 else 8 if number < 245 else 7 if number < 251 else 15
        cube = number - 16
        return _nearest(*(level * 51 for level in (cube // 36 % 6, cube // 6 % 6, cube % 6)))
    if kind == 2:
        return _nearest(next(following, 0), next(following, 0), next(following, 0))
    return None


def _nearest(red: int, green: int, blue: int) -> int:
    bright = max(red, green, blue) > 215
    return (red > _HALF) + 2 * (green > _HALF) + 4 * (blue > _HALF) + (8 if bright else 0)
