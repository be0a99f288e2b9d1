"""That the search for a secret finds one, in every form and place it is used for."""

import base64
import html
import json
import sqlite3
import subprocess
import sys
from urllib.parse import quote, quote_plus

import pytest

from . import traces as module
from .traces import files_under, processes, tables_of, traces

SECRET = 'Pl4nted "pass&wörd"/+?'


@pytest.mark.parametrize(
    "planted",
    [
        SECRET.encode(),
        json.dumps({"conf": SECRET}).encode(),
        json.dumps({"conf": SECRET}, ensure_ascii=False).encode(),
        json.dumps(json.dumps({"conf": SECRET})).encode(),
        f"password={quote_plus(SECRET)}".encode(),
        f"/{quote(SECRET)}".encode(),
        html.escape(f'<input value="{SECRET}">').encode(),
        base64.b64encode(SECRET.encode()),
        base64.b64encode(f"user:{SECRET}@x".encode()),
        base64.urlsafe_b64encode(f"us:{SECRET}?".encode()),
        base64.b64encode(f"u:{SECRET}??".encode()),
        SECRET.encode().hex().encode(),
        repr({"conf": SECRET}).encode(),
    ],
)
def test_a_planted_secret_is_found_in_every_form(planted):
    assert traces(SECRET, [("here", b"before " + planted + b" after")])


def test_what_is_not_the_secret_is_not_found():
    others = [b"", b"password", SECRET[:-1].encode(), base64.b64encode(SECRET[1:].encode())]
    assert traces(SECRET, [("here", other) for other in others]) == []


def test_a_planted_secret_is_found_in_a_file_across_the_border_of_two_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 1000)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "log").write_bytes(b"x" * 990 + SECRET.encode() + b"x" * 5000)
    assert f"{tmp_path}/deep/log: clear" in traces(SECRET, files_under(tmp_path))


def test_a_planted_secret_is_found_in_a_table(tmp_path):
    database = sqlite3.connect(tmp_path / "some.db")
    database.execute("CREATE TABLE runs (id INTEGER, conf BLOB)")
    database.execute("INSERT INTO runs VALUES (1, ?)", (base64.b64encode(SECRET.encode()),))
    database.commit()
    database.close()
    assert traces(SECRET, tables_of(f"sqlite:///{tmp_path / 'some.db'}")) == ["table runs: base64"]


@pytest.mark.parametrize("road", ["command line", "environment"])
def test_a_planted_secret_is_found_in_a_process(road):
    program = "print('ready', flush=True); input()"  # a process that has just begun shows no command line yet
    argv = [sys.executable, "-c", program, *([SECRET] if road == "command line" else [])]
    environment = {"SOME": SECRET if road == "environment" else ""}
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    assert child.stdout
    try:
        assert child.stdout.readline() == b"ready\n"
        found = traces(SECRET, processes().items())
    finally:
        child.communicate(b"\n")
    assert [place for place in found if f" of process {child.pid}:" in place]
