"""A form out of a page, as a browser would send it."""

from __future__ import annotations

from html.parser import HTMLParser

# The kinds of input whose value keeps its line ends; a browser takes them out of any other.
_KEEPING = ("hidden", "checkbox", "radio")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._area: str | None = None
        self._select = ""
        self._option: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = dict(attrs)
        name, value = about.get("name") or "", about.get("value") or ""
        if tag == "input" and name:
            kind = about.get("type")
            if kind in ("checkbox", "radio") and "checked" not in about:
                return
            self.fields[name] = _sent(value) if kind in _KEEPING else value.replace("\r", "").replace("\n", "")
        elif tag == "textarea":
            self._area, self.fields[name] = name, ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and (self._select not in self.fields or "selected" in about):
            self.fields[self._select] = _sent(value)
            # Without a value its words count, with one blank between them.
            self._option = None if "value" in about else ""

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self.fields[self._area] += data
        elif self._option is not None:
            self._option += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area is not None:
            # The first line end after the tag is no part of the text.
            self.fields[self._area] = _sent(_plain(self.fields[self._area]).removeprefix("\n"))
            self._area = None
        elif tag == "option" and self._option is not None:
            self.fields[self._select] = " ".join(self._option.split())
            self._option = None
        elif tag == "select":
            self._select = ""


def form_in(html: str) -> dict[str, str]:
    """The fields of the page's forms, with the values they have there."""
    reader = _Reader()
    reader.feed(html)
    return reader.fields


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _sent(text: str) -> str:
    """A value with line ends as a form sends them."""
    return _plain(text).replace("\n", "\r\n")
