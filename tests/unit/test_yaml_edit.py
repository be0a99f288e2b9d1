"""Other values in a YAML file, and nothing else changed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagesmith.errors import DefinitionError
from imagesmith.settings import PROJECT_ROOT
from imagesmith.yaml_edit import edited
from imagesmith.yaml_source import read_bytes

FILE = """\
# on top
name: x   # the name
clouds:
    # about a
    a:
        source_image: b   # which
        tags: {team: "1"}

    # about c
    c:
        source_image: b
# before the script
script: x.sh  # the script
# before the files
files:
- a   # first
- b
"""


def said(text: str) -> dict[str, Any]:
    document = read_bytes(text.encode(), shown_as="x")
    assert document.findings == []
    return document.value


def test_nothing_changed_is_the_same_file() -> None:
    for text in (FILE, (PROJECT_ROOT / "include" / "generators" / "dstat.yaml").read_text()):
        assert edited(text, said(text)) == text


def test_a_removed_key_takes_its_own_lines_only() -> None:
    wanted = said(FILE)
    del wanted["clouds"]["a"]
    kept = FILE.replace('    a:\n        source_image: b   # which\n        tags: {team: "1"}\n', "")
    assert edited(FILE, wanted) == kept


def test_a_changed_key_keeps_its_comment_and_an_added_one_comes_last() -> None:
    wanted = said(FILE)
    wanted["name"], wanted["schedule"] = "y", "@weekly"
    wanted["files"] = ["a", "c", "d"]
    text = edited(FILE, wanted)
    assert "name: y   # the name\n" in text
    assert "- a   # first\n- c\n- d\n" in text
    assert text.rstrip().splitlines()[-1] == "schedule: '@weekly'"
    assert text.count("#") == FILE.count("#")


def test_a_text_of_several_lines_is_a_block_and_its_comment_stands_above() -> None:
    wanted = said(FILE)
    wanted["script"] = "#!/bin/sh\necho a: b\n"
    text = edited(FILE, wanted)
    assert "# the script\nscript: |\n    #!/bin/sh\n    echo a: b\n" in text
    assert "# before the files\n" in text


def test_values_that_are_shared_are_not_changed_behind_their_backs() -> None:
    text = "a: &x {b: 1}\nc: *x\n"
    wanted = said(text)
    wanted["c"] = {"b": 2}
    with pytest.raises(DefinitionError, match="shares values; change its text"):
        edited(text, wanted)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", "the file:3: a: the key stands here a second time"),
        ("a: 1\n2: b\n", "the file:2: the key 2 is not text"),
        ("a: !x 1\n", "the file:1: a: the tag !x is not read here"),
        ("a: [1\n", "not YAML"),
        ("# nothing yet\n", "the file is empty"),
    ],
)
def test_what_keys_and_values_do_not_tell_of_a_file_is_not_lost(text: str, says: str) -> None:
    with pytest.raises(DefinitionError, match=f"{re.escape(says)}.*; change its text"):
        edited(text, {"a": 2})


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"a": float("nan")}, "would not say what you sent"),
        ({"a": "\ud800"}, "half a character"),
        ({"a": [[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]}, "nested more than 20 deep"),
        ({"a": list(range(10_001))}, "more than 10000 values"),
    ],
)
def test_what_yaml_cannot_say_is_refused(wanted: dict[str, Any], says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        edited("", wanted)


plain = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20))
values = st.recursive(
    plain,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(st.text(max_size=8), values, min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(documents, documents)
def test_a_file_says_what_was_wanted_or_nothing_is_written(first: dict[str, Any], second: dict[str, Any]) -> None:
    try:
        text = edited("", first)
        changed = edited(text, second)
    except DefinitionError:
        return
    assert read_bytes(text.encode(), shown_as="x").value == first
    assert read_bytes(changed.encode(), shown_as="x").value == second
