"""The frame of every page: its headers, its scripts, its refusals, its words."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imagesmith.web.pages.static import FOLDER
from imagesmith.web.pages.words import ago, badge_colour, lasted, utc

from .conftest import Web

NOON = datetime(2026, 11, 27, 12, 0, 0, tzinfo=UTC)


def test_a_page_runs_no_script_but_files_of_ours(web: Web) -> None:
    answer = web.page("/generators")
    policy = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
    assert (policy["script-src"], policy["default-src"], policy["frame-ancestors"]) == ("'self'", "'none'", "'self'")
    nonce = re.search(r'data-nonce="([^"]+)"', answer.text)
    assert nonce and f"'nonce-{nonce[1]}'" in policy["style-src"]
    assert nonce[1] not in web.page("/generators").text
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", answer.text, re.S)
    assert len(scripts) >= 4 and all("src=" in about and not body for about, body in scripts)
    assert not re.search(r"\son\w+=|<style|style=|javascript:", answer.text)


def test_what_a_page_needs_is_there_and_kept(web: Web) -> None:
    files = re.findall(r'(?:src|href)="/imagesmith(/static/[^"]+)"', web.page("/generators").text)
    assert {file.partition("?")[0].rpartition("/")[2] for file in files} >= {
        "htmx.min.js",
        "imagesmith.css",
        "theme.js",
    }
    for file in files:
        answer = web.page(file, user=None)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        stale = web.page(file.partition("?")[0] + "?v=old", user=None)
        assert stale.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/static/../door.py", "/static/%2e%2e/door.py", "/static/..%2fdoor.py", "/static//etc/passwd", "/static/"]
)
def test_nothing_else_is_behind_the_open_door(web: Web, path: str) -> None:
    answer = web.page(path, user=None)
    assert answer.status_code in (401, 404)
    assert "Airflow" not in answer.text or "Log in to Airflow" in answer.text


def test_vendored_files_are_those_the_note_tells_of() -> None:
    note = (FOLDER / "vendor" / "README.md").read_text()
    told = dict(re.findall(r"^\| (\S+) \|.*\| ([0-9a-f]{64}) \|$", note, re.M))
    scripts = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (FOLDER / "vendor").glob("*.js")}
    assert scripts == told
    assert all((FOLDER / "vendor" / f"{name.split('.')[0]}.LICENSE").is_file() for name in scripts)


def test_a_refusal_is_a_page_for_people_and_a_document_for_programs(web: Web) -> None:
    answer = web.page("/nothing%3Cscript%3E")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "<h1>Not Found</h1>" in answer.text and 'aria-label="Imagesmith"' in answer.text
    assert web.ask("GET", "/nothing").headers["content-type"] == "application/problem+json"


def test_a_fault_is_told_without_its_details(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> Any:
        raise RuntimeError("what is inside")

    monkeypatch.setattr(web.host, "sees", broken)
    answer = web.page("/generators")
    assert (answer.status_code, "what is inside" in answer.text) == (500, False)
    assert "a fault of Imagesmith" in answer.text


def test_the_first_page_is_the_generators(web: Web) -> None:
    answer = web.page("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/imagesmith/generators")
    assert re.search(r'href="/imagesmith/generators" aria-current="page"', web.page("/generators").text)


@pytest.mark.parametrize(
    ("passed", "told"),
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(seconds=60), "1 min ago"),
        (timedelta(hours=25), "1 d ago"),
        (timedelta(seconds=-5), "just now"),
    ],
)
def test_how_long_ago(passed: timedelta, told: str) -> None:
    said = ago(NOON - passed, NOON)
    assert f">{told}</time>" in said
    assert ago(None) == utc(None) == "–"


def test_how_long_it_took() -> None:
    assert lasted(NOON, NOON + timedelta(seconds=3_725)) == "1 h 2 min"
    assert lasted(NOON, NOON) == "0 s"
    assert lasted(None) == "–"
    assert "2026-11-27 12:00:00 UTC" in utc(NOON)


def test_states_have_their_colours() -> None:
    states = ("submitted", "running", "customizing", "successful", "failed", "cancelled")
    assert [badge_colour(state) for state in states] == ["orange", "orange", "orange", "green", "red", "grey"]
