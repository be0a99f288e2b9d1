"""Questions about packages and the order of versions, by each manager's own rules."""

from __future__ import annotations

import pytest

from imagesmith.errors import QuestionRefused
from imagesmith.inventory import Package
from imagesmith.versions import Question, question


def package(manager: str, version: str) -> Package:
    return Package.model_validate({"manager": manager, "name": "x", "version": version})


@pytest.mark.parametrize(
    ("manager", "older", "newer"),
    [
        ("dpkg", "1.0~rc1", "1.0"),
        ("dpkg", "9.0-1", "1:1.0-1"),
        ("dpkg", "3.0.11-1~deb12u2", "3.0.11-1"),
        ("dpkg", "1.9", "1.10"),
        ("rpm", "1.0-1.el9", "1.0-2.el9"),
        ("rpm", "9.0-1", "1:1.0-1"),
        ("apk", "1.2.3-r4", "1.2.3-r10"),
        ("apk", "1.2_rc1-r0", "1.2-r0"),
        ("pacman", "9-1", "1:1-1"),
        ("pip", "1.0rc1", "1.0"),
        ("npm", "1.9.0", "1.10.0"),
        ("gem", "1.0.pre", "1.0"),
    ],
)
def test_versions_stand_in_the_order_of_their_manager(manager: str, older: str, newer: str) -> None:
    assert question(f"x<{newer}").fits(package(manager, older)) is True
    assert question(f"x<{older}").fits(package(manager, newer)) is False
    assert question(f"x>={newer}").fits(package(manager, newer)) is True
    assert question(f"x={older}").fits(package(manager, newer)) is False


@pytest.mark.parametrize("version", ["not a version!", ""])
def test_a_version_that_the_rules_cannot_read_is_neither_more_nor_less(version: str) -> None:
    assert question("x<1.0").fits(package("dpkg", version)) is None


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("dstat", Question("dstat")),
        ("libstdc++6 >= 12.2", Question("libstdc++6", None, ">=", "12.2")),
        ("pip:ruamel.yaml=0.18", Question("ruamel.yaml", "pip", "=", "0.18")),
        ("npm:@types/node<20.0.0", Question("@types/node", "npm", "<", "20.0.0")),
        ("bash>1:5.2~rc", Question("bash", None, ">", "1:5.2~rc")),
    ],
)
def test_a_question_is_read_as_it_was_meant(word: str, expected: Question) -> None:
    assert question(word) == expected


@pytest.mark.parametrize("word", ["", " ", "<1", "a<", "a b", "a<<1", "a<1 2", "-x", "a;b", "x" * 300])
def test_what_is_no_question_is_refused_with_the_cure(word: str) -> None:
    with pytest.raises(QuestionRefused, match="in quotes, e.g. 'openssl<3.0.15'"):
        question(word)


def test_a_manager_nobody_knows_is_refused_with_those_there_are() -> None:
    with pytest.raises(QuestionRefused, match="brew is no package manager; use one of dpkg, rpm"):
        question("brew:wget")
