"""Keys derived from the deployment's secret: the same for the same words, and never kept."""

from __future__ import annotations

import base64
import subprocess

import asyncssh
import pytest

from imagesmith.errors import SetupError
from imagesmith.keys import derive, parse_secret

SECRET = bytes(range(32))
WORDS = {"build_id": "20260101-000000-abcdef", "cloud": "ec2", "attempt": 1, "purpose": "login"}


def test_the_same_words_give_the_same_key_in_every_process():
    assert derive(SECRET, **WORDS) == derive(SECRET, **WORDS)


@pytest.mark.parametrize(
    "change",
    [
        {"build_id": "20260101-000000-abcdee"},
        {"cloud": "ec2-east"},
        {"attempt": 2},
        {"purpose": "host"},
    ],
)
def test_any_other_word_gives_another_key(change):
    assert derive(SECRET, **WORDS).public != derive(SECRET, **{**WORDS, **change}).public


def test_another_secret_gives_another_key():
    assert derive(SECRET, **WORDS).public != derive(bytes(32), **WORDS).public


def test_words_do_not_run_into_each_other():
    one = derive(SECRET, build_id="b", cloud="c1", attempt=1, purpose="login")
    two = derive(SECRET, build_id="b", cloud="c", attempt=11, purpose="login")
    assert one.public != two.public


def test_both_halves_are_a_pair_in_openssh_formats():
    pair = derive(SECRET, **WORDS)
    private = asyncssh.import_private_key(pair.private)
    assert private.export_public_key("openssh").decode().split()[:2] == pair.public.split()
    assert pair.public.startswith("ssh-ed25519 ")


def test_openssh_itself_reads_the_private_half(tmp_path):
    pair = derive(SECRET, **WORDS)
    file = tmp_path / "key"
    file.touch(mode=0o600)
    file.write_text(pair.private)
    shown = subprocess.run(["ssh-keygen", "-y", "-f", file], capture_output=True, text=True, check=True)
    assert shown.stdout.split()[:2] == pair.public.split()


def test_the_private_half_is_not_shown():
    pair = derive(SECRET, **WORDS)
    assert "PRIVATE" not in repr(pair)


def test_a_secret_is_read_with_and_without_padding():
    text = base64.urlsafe_b64encode(SECRET).decode()
    assert parse_secret(text) == parse_secret(text.rstrip("=")) == SECRET


def test_a_short_secret_is_refused():
    short = base64.urlsafe_b64encode(SECRET[:31]).decode()
    with pytest.raises(SetupError, match="holds 31 bytes, 32 are needed; make one with `imagesmith secret`"):
        parse_secret(short)


@pytest.mark.parametrize("text", ["é" * 50, "a" * 45])
def test_what_is_no_base64_is_refused(text):
    with pytest.raises(SetupError, match="IMAGESMITH_SECRET"):
        parse_secret(text)
