"""Loading: what a generator consists of, its version, and that one file never hurts another."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesmith.cloud_settings import Ec2Settings, load_clouds
from imagesmith.durations import LONGEST_S, format_duration, parse_duration
from imagesmith.findings import Finding, in_order, nearest
from imagesmith.generator import Generator, load_all, load_generator
from imagesmith.image_names import FIELDS, render, sample, template_problem
from imagesmith.settings import PROJECT_ROOT

TEXT = """\
name: x
description: an example
script: one.sh
files: {motd: /etc/motd}
parameters: {extra: {type: string, default: "", description: further packages}}
schedule: "@weekly"
time_limit: 45m
clouds:
  ec2:
    source_image: {name: "debian-12-*", owner: "136693071363"}
    ssh_username: admin
    instance_type: t3.small
    tags: {team: physics}
"""
# The same generator by another hand.
REWRITTEN = """\
# a comment
clouds:
  ec2: {tags: {"team": 'physics'}, instance_type: t3.small, ssh_username: admin,
        source_image: {owner: '136693071363', name: debian-12-*}, public: false}
scripts: [renamed.sh]
parameters:
  extra: {default: '', type: string, description: other words}
files: {hello: /etc/motd}
schedule: "0 3 * * *"
time_limits: {launch: 5m}
"""


def make_include(root: Path) -> Path:
    include = root / "include"
    for folder in ("generators", "scripts", "files"):
        (include / folder).mkdir(parents=True)
    (include / "clouds.yaml").write_text("ec2: {type: ec2}\n")
    for name in ("one.sh", "renamed.sh"):
        (include / "scripts" / name).write_text("#!/bin/sh\necho one\n")
    for name in ("motd", "hello"):
        (include / "files" / name).write_text("hello\n")
    return include


@pytest.fixture
def include(tmp_path: Path) -> Path:
    return make_include(tmp_path)


def load(include: Path, text: str = TEXT) -> Generator:
    path = include / "generators" / "x.yaml"
    path.write_text(text)
    generator, findings = load_generator(path, load_clouds(include)[0], include_dir=include)
    assert generator is not None, findings
    return generator


def test_generator_has_all_it_consists_of(include: Path) -> None:
    generator = load(include)
    assert generator.name == "x"
    assert [script.text for script in generator.scripts] == ["#!/bin/sh\necho one\n"]
    assert [(file.path, file.content) for file in generator.files] == [("/etc/motd", b"hello\n")]
    assert generator.time_limit_s == 45 * 60
    assert generator.schedule == "@weekly"
    assert generator.script_sha256 == hashlib.sha256(b"#!/bin/sh\necho one\n").hexdigest()


def test_version_is_the_same_for_the_same_content(include: Path, tmp_path: Path) -> None:
    elsewhere = make_include(tmp_path / "elsewhere")
    assert load(include).version == load(elsewhere, REWRITTEN).version
    assert len(load(include).version) == 12


# Pinned: a release that changes it makes every generator look new in every catalog.
def test_version_does_not_change_between_releases(include: Path) -> None:
    assert load(include).version == "3c2859692956"


CHANGES = [
    ("instance_type: t3.small", "instance_type: t3.large"),
    ("debian-12-*", "debian-13-*"),
    ("physics", "chemistry"),
    ('default: ""', 'default: "htop"'),
    ("/etc/motd", "/etc/issue"),
    ("ssh_username: admin", "ssh_username: root"),
    ("tags:", "public: true\n    tags:"),
    ("tags:", "disk_gib: 20\n    tags:"),
    ("tags:", 'image_name: "{generator}-{version}"\n    tags:'),
    ("script: one.sh", "scripts: [one.sh, one.sh]"),
]


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_version_changes_with_the_content(include: Path, old: str, new: str) -> None:
    assert load(include, TEXT.replace(old, new)).version != load(include).version


def test_version_changes_with_script_and_file(include: Path) -> None:
    before = load(include)
    (include / "scripts" / "one.sh").write_text("#!/bin/sh\necho two\n")
    script_changed = load(include)
    (include / "files" / "motd").write_text("bye\n")
    assert len({before.version, script_changed.version, load(include).version}) == 3
    assert before.script_sha256 != script_changed.script_sha256


def test_order_of_scripts_counts(include: Path) -> None:
    (include / "scripts" / "two.sh").write_text("#!/bin/sh\necho two\n")
    one_two = load(include, TEXT.replace("script: one.sh", "scripts: [one.sh, two.sh]"))
    two_one = load(include, TEXT.replace("script: one.sh", "scripts: [two.sh, one.sh]"))
    assert one_two.version != two_one.version
    assert one_two.script_sha256 != two_one.script_sha256


def test_inline_script_is_the_same_as_a_file_with_that_text(include: Path) -> None:
    inline = TEXT.replace("script: one.sh", "script: |\n  #!/bin/sh\n  echo one")
    assert load(include, inline).version == load(include).version


def test_bad_file_never_hides_the_others(include: Path) -> None:
    (include / "generators" / "good.yaml").write_text(TEXT.replace("name: x\n", ""))
    (include / "generators" / "bad.yaml").write_text("{{{{")
    (include / "generators" / "worse.yaml").write_bytes(b"\xff\x00")
    (include / "generators" / "folder.yaml").mkdir()
    (include / "generators" / "short.yml").write_text(TEXT)
    (include / "generators" / "notes.txt").write_text("not a generator")
    (include / "generators" / ".hidden.yaml").write_text("{{{{")
    loaded = load_all(include)
    assert list(loaded.generators) == ["good"]
    assert [finding.file.rpartition("/")[2] for finding in loaded.findings] == [
        "bad.yaml",
        "folder.yaml",
        "short.yml",
        "worse.yaml",
    ]


def test_no_include_at_all(tmp_path: Path) -> None:
    assert [str(finding) for finding in load_all(tmp_path / "include").findings] == [
        "include/clouds.yaml: there is no such file → check the name",
        "include/generators: there is no such folder → create it; generators lie in it",
    ]


def test_worked_example_has_no_mistake() -> None:
    loaded = load_all(PROJECT_ROOT / "include")
    assert loaded.findings == []
    example = loaded.generators["dstat"]
    assert example.scripts[0].text == "#!/bin/bash\nsudo apt-get update\nsudo apt-get install -y dstat\nsync\n"
    assert example.clouds["ec2"].source_image.query().owner == "136693071363"
    assert isinstance(loaded.clouds["ec2"], Ec2Settings)


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        ("source-image", ["source_image", "tags"], "source_image"),
        ("Flavor", ["instance_type"], "instance_type"),
        ("desc", ["description", "name"], "description"),
        ("xyz", ["description"], None),
        ("openstack_hotel", ["openstack-hotel"], "openstack-hotel"),
    ],
)
def test_nearest_word(word: str, known: list[str], expected: str | None) -> None:
    assert nearest(word, known) == expected


def test_findings_are_sorted_and_said_once() -> None:
    later, earlier = Finding("a", 9, "k", "m", "c"), Finding("a", 2, "k", "m", "c")
    assert in_order([later, earlier, later]) == [earlier, later]


@given(st.integers(min_value=1, max_value=LONGEST_S))
def test_every_duration_can_be_written_and_read(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        assert 1 <= parse_duration(text) <= LONGEST_S
    except ValueError as error:
        assert str(error)


@given(st.text(alphabet="{}abdeginortuvs_l.!:", max_size=40))
def test_accepted_template_renders_without_braces(template: str) -> None:
    if template_problem(template) is None:
        assert not set("{}") & set(sample(template, "x"))


@given(st.lists(st.sampled_from([*FIELDS, "-", "text"]), max_size=6))
def test_template_of_known_fields_is_accepted(parts: list[str]) -> None:
    template = "".join(f"{{{part}}}" if part in FIELDS else part for part in parts)
    values = {field: field.upper() for field in FIELDS}
    assert template_problem(template) is None
    assert render(template, **values) == "".join(values.get(part, part) for part in parts)
