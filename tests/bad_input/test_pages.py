"""Hostile input to pages: it comes back as text or not at all, and nothing is written, started or put into a header."""

from __future__ import annotations

import logging

import pytest

from ..web.conftest import Web  # noqa: TID252  # the fixtures' own type lies with them
from .row import Row, check, table
from .rows_of_pages import PAGES
from .rows_of_web import DATA, REFUSED
from .test_web import under


@pytest.mark.parametrize("row", table(PAGES))
def test_a_page_shows_it_and_does_nothing(web: Web, row: Row, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    before = under(web.include)
    method, path, more = row.given
    answer = web.page(path, method=method, **more)
    check(row, f"{answer.status_code} {answer.text}")
    assert "<script>alert" not in answer.text and "evil.example" not in answer.text
    assert str(8191 * 131) not in answer.text, "braces were worked out"
    assert "set-cookie" not in answer.headers and "evil.example" not in str(answer.headers)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert under(web.include) == before
    assert [call for call in web.host.calls if call[1] != "GET"] == []
    assert [record.getMessage() for record in caplog.records if "\n" in record.getMessage()] == []


def test_there_are_enough_of_them_on_pages_and_over_rest() -> None:
    assert len(PAGES) >= 30
    assert len(REFUSED) + len(DATA) >= 50
