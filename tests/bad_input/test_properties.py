"""Whatever comes: a parser gives a value or an error of ours, and what was written is read back as it was."""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from imagesmith import sealing
from imagesmith.airflow_client import _detail
from imagesmith.cloud_settings import CLOUD_SETTINGS
from imagesmith.clouds import cumulus, ec2_words, nimbus_words, openstack_words
from imagesmith.clouds.connection_fields import check_extra, check_key, check_line, check_url
from imagesmith.clouds.nimbus_errors import trouble_in
from imagesmith.clouds.openstack_errors import words_of
from imagesmith.core import SEALED_PREFIX, TAG_BUILD, TAG_CLOUD, TAG_GENERATOR
from imagesmith.definition import CloudEntry
from imagesmith.durations import LONGEST_S, format_duration, parse_duration
from imagesmith.errors import CredentialsRefused, DefinitionError, ImagesmithError, SetupError
from imagesmith.findings import Finding, on_one_line
from imagesmith.generator import load_all
from imagesmith.image_names import FIELDS, render, sample
from imagesmith.include_files import script_problem, target_problem
from imagesmith.parameters import Parameter, accept, as_variable, from_text, name_problem
from imagesmith.ssh import RunState, _pairs, run_state_of
from imagesmith.steps.output import OutputLines
from imagesmith.urls import is_host_and_port, is_plain_url
from imagesmith.yaml_source import Document, read_document

from .front import Front
from .rows_of_rest import FIELD, START

# The same examples each time, so that a run in CI can be repeated.
repeatable = settings(derandomize=True, deadline=None, max_examples=100)
few = settings(derandomize=True, deadline=None, max_examples=25)

ANY_TEXT = st.text(st.characters())  # halves of characters among them
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
WORD = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=8
)


# durations, names


@repeatable
@given(ANY_TEXT | st.from_regex(r"-?[0-9]{0,8}[hms]?[0-9]{0,8}[hms]?", fullmatch=True))
def test_any_text_is_a_length_of_time_or_a_sentence(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        assert str(error)
    else:
        assert 1 <= seconds <= LONGEST_S
        assert parse_duration(format_duration(seconds)) == seconds


LEGAL = {
    "ec2": re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}"),
    "nimbus": re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}"),
    "openstack": re.compile(r".{1,255}"),
}
TEMPLATES = st.lists(
    st.sampled_from([*(f"{{{field}}}" for field in FIELDS), "-", ".", "/", "a", "Z9", "{", "}", "é", "\n"]), max_size=8
)


@repeatable
@given(TEXT | TEMPLATES.map("".join), st.sampled_from(sorted(LEGAL)))
def test_any_template_is_refused_or_gives_a_name_that_is_legal(template: str, cloud_type: str) -> None:
    words = {"source_image": "x", "ssh_username": "admin", "image_name": template}
    try:
        accepted = CloudEntry.model_validate(words).image_name
    except ValidationError as refusal:
        assert all(each["type"] == "mistake" for each in refusal.errors())
        return
    if CLOUD_SETTINGS[cloud_type].image_name_problem(sample(accepted, "dstat")) is None:
        name = render(accepted, generator="dstat", version="f" * 12, build_id="20261122-123005-abcdef", date="20261122")
        assert LEGAL[cloud_type].fullmatch(name)
        assert name.isprintable()


# files


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    include = tmp_path_factory.mktemp("any") / "include"
    for name in ("generators", "scripts", "files"):
        (include / name).mkdir(parents=True)
    (include / "scripts" / "ok.sh").write_text("#!/bin/sh\ntrue\n")
    (include / "clouds.yaml").write_text("ec2: {type: ec2}\n")
    return include


def read(folder: Path, content: bytes) -> Document:
    path = folder / "any.yaml"
    path.write_bytes(content)
    began = time.process_time()
    document = read_document(path, shown_as="any.yaml")
    assert time.process_time() - began < 2
    assert document.readable or document.findings
    assert all(str(finding).isprintable() for finding in document.findings)
    return document


YAML_SIGNS = st.text(st.sampled_from("ab1:-?,[]{}#&*!|>'\"%@`\\ \n\t<~.=xuU\ufeff\u2028\x85"), max_size=60)


@repeatable
@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_document_or_findings(folder: Path, content: bytes) -> None:
    read(folder, content)


@repeatable
@given(text=YAML_SIGNS)
def test_any_signs_of_yaml_are_a_document_or_findings(folder: Path, text: str) -> None:
    read(folder, text.encode())


@repeatable
@given(
    tail=YAML_SIGNS,
    escape=st.sampled_from(["x", "u", "U", "_", "N", "q"]),
    digits=st.text("0123456789abcdefF", max_size=9),
)
def test_any_escape_is_read_or_told(folder: Path, tail: str, escape: str, digits: str) -> None:
    read(folder, f'a: "\\{escape}{digits}"\nb: {tail}'.encode())


@few
@given(
    document=st.dictionaries(
        TEXT | st.sampled_from(["script", "clouds", "parameters", "files", "schedule"]), JSON, max_size=5
    )
)
def test_any_document_is_a_generator_or_findings(folder: Path, document: dict[str, Any]) -> None:
    (folder / "generators" / "any.yaml").write_text(json.dumps(document))
    loaded = load_all(folder)
    assert ("any" in loaded.generators) != bool(loaded.findings)
    assert all(str(finding).isprintable() for finding in loaded.findings)


@few
@given(
    cloud=st.dictionaries(
        st.sampled_from([*CLOUD_SETTINGS["ec2"].model_fields, *CLOUD_SETTINGS["nimbus"].model_fields, "x"]),
        JSON,
        max_size=4,
    ),
    kind=st.sampled_from(["ec2", "nimbus", "openstack"]),
)
def test_any_cloud_has_settings_or_findings(folder: Path, cloud: dict[str, Any], kind: str) -> None:
    (folder.parent / "more").mkdir(exist_ok=True)
    (folder.parent / "more" / "clouds.yaml").write_text(json.dumps({"any": {**cloud, "type": kind}}))
    from imagesmith.cloud_settings import read_clouds

    found = read_clouds(folder.parent / "more")
    assert ("any" in found.clouds) != bool(found.findings)


@repeatable
@given(TEXT)
def test_any_text_is_a_script_a_path_and_a_variable_or_is_told_why_not(text: str) -> None:
    for problem in (script_problem(text), target_problem(text), name_problem(text)):
        assert problem is None or all(problem)
    if target_problem(text) is None:
        assert text.startswith("/") and "\n" not in text


@repeatable
@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_any_finding_is_one_line_that_can_be_printed(file: str, key: str, message: str) -> None:
    line = str(Finding(file, 1, key, message, "cure"))
    assert line.isprintable()
    assert line.encode()
    assert line.endswith(" → cure")
    assert on_one_line(line) == line


# parameters


@repeatable
@given(JSON, st.sampled_from(["string", "integer", "number", "boolean"]))
def test_any_value_is_accepted_and_kept_or_refused_by_name(value: Any, kind: str) -> None:
    parameter = Parameter.model_validate({"type": kind})
    try:
        kept = accept("n", parameter, value)
    except DefinitionError as refusal:
        assert str(refusal).startswith("parameter n: ")
        assert str(refusal).isprintable()
        return
    assert kept == value
    assert json.loads(json.dumps(kept)) == kept
    assert from_text("n", parameter, as_variable(kept)) == kept


@repeatable
@given(
    ANY_TEXT | st.floats().map(str) | st.integers().map(str),
    st.sampled_from(["string", "integer", "number", "boolean"]),
)
def test_any_word_is_a_value_or_refused_by_name(text: str, kind: str) -> None:
    with contextlib.suppress(DefinitionError):
        value = from_text("n", Parameter.model_validate({"type": kind}), text)
        assert not isinstance(value, float) or math.isfinite(value)


# clouds' words


@repeatable
@given(
    st.dictionaries(
        st.sampled_from(["factory", "repository", "factory_identity", "cloud_client", "hypervisor"]), SCALARS
    )
)
def test_any_settings_of_nimbus_are_well_or_told(told: dict[str, Any]) -> None:
    known = nimbus_words.NimbusSettings.from_mapping(told)
    try:
        known.check("site")
    except SetupError as refusal:
        assert "site" in str(refusal)
    else:
        assert known.hypervisor in nimbus_words.MOUNT_AS


@repeatable
@given(
    st.dictionaries(st.sampled_from(["certificate", "private_key", "canonical_id", "access_key", "secret_key"]), JSON)
)
def test_any_credentials_of_nimbus_are_well_or_told(told: dict[str, Any]) -> None:
    with pytest.raises((CredentialsRefused, SetupError), match="connection site"):
        nimbus_words.NimbusCredentials.from_fields(told).check("site")


NIMBUS_LINES = st.lists(
    st.sampled_from(
        ["[*] - Workspace #7. 1.2.3.4 [ x ]", "State: Running", "Duration: 9 minutes", "Problem: x", "** PROBLEM:"]
    )
    | st.from_regex(r"Duration: [0-9]{0,5000} minutes", fullmatch=True)
    | st.from_regex(r"Start time: [A-Z][a-z]{2} [A-Z][a-z]{2} [0-9]{2} [0-9:]{8} [A-Z]{3} [0-9]{4}", fullmatch=True)
    | TEXT,
    max_size=8,
).map("\n".join)


@repeatable
@given(NIMBUS_LINES)
def test_whatever_the_client_of_nimbus_prints(text: str) -> None:
    for number, workspace in nimbus_words.workspaces_in(text).items():
        assert workspace.instance(f"n#{number}").id == f"n#{number}"
    nimbus_words.workspace_in(text).instance("n#1")
    assert nimbus_words.number_in(text) == "" or nimbus_words.number_in(text).isdigit()
    assert isinstance(trouble_in(text), str)


@pytest.mark.parametrize("year", ["0001", "9999"])
def test_a_start_long_ago_or_far_away(year: str) -> None:
    text = f"[*] - Workspace #7. \n Start time: Mon Jan 01 00:00:00 UTC {year}\n"
    assert isinstance(nimbus_words.workspaces_in(text)["7"].started, float)


@repeatable
@given(TEXT | st.integers().map(lambda number: f"name#{number}"))
def test_any_text_is_an_instance_of_nimbus_or_told(text: str) -> None:
    with contextlib.suppress(SetupError):
        name, number = nimbus_words.parts_of(text)
        assert nimbus_words.instance_id_of(name, number) == text
        assert int(number) >= 0


@repeatable
@given(st.fixed_dictionaries({TAG_BUILD: WORD}, optional={TAG_CLOUD: WORD, TAG_GENERATOR: WORD, "team": WORD}))
def test_tags_come_back_out_of_a_description(tags: dict[str, str]) -> None:
    text = openstack_words.described(tags)
    assert len(text) <= 255
    ours = {key: value for key, value in tags.items() if key != "team"}
    assert openstack_words.tags_in(text) == ours
    assert openstack_words.tags_of(openstack_words.properties_of(tags)) == tags


@repeatable
@given(TEXT, st.binary(max_size=100))
def test_whatever_openstack_says(text: str, body: bytes) -> None:
    found = openstack_words.tags_in(text)
    assert found == {} or TAG_BUILD in found
    assert words_of(body)


@repeatable
@given(TEXT, TEXT)
def test_a_token_of_ec2_is_short_and_its_names_own(one: str, other: str) -> None:
    token = ec2_words.token_of(one)
    assert len(token) <= 64 and token.isascii()
    assert (token == ec2_words.token_of(other)) == (one == other)


@repeatable
@given(
    st.binary(max_size=100)
    | st.sampled_from([b'<?xml version="1.0" encoding="x"?><a/>', b"<a><Contents><Size>x</Size></Contents></a>"])
)
def test_whatever_a_repository_answers(body: bytes) -> None:
    class Reply:
        status_code, content = 200, body

    store = cumulus.Cumulus(
        cloud="site", repository="h:1", canonical_id="c", access_key="a", secret_key="s", send=lambda *_a, **_k: Reply()
    )
    with contextlib.suppress(SetupError):
        assert isinstance(store.list("VMS/c"), list)
    assert isinstance(cumulus._message(body), str)


# connections, sealed credentials


@repeatable
@given(ANY_TEXT | JSON.map(json.dumps))
def test_any_extra_is_well_or_told_without_its_value(extra: str) -> None:
    with contextlib.suppress(SetupError):
        check_extra("site", extra, lines=("a", "b"), texts=("c",))


@repeatable
@given(JSON)
def test_any_field_is_well_or_told(value: Any) -> None:
    for judge in (check_line, check_key, check_url):
        try:
            judge("site", "field", value)
        except SetupError as refusal:
            assert str(refusal).startswith("site: field of the Airflow connection site ")


SECRET = b"s" * 32
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@repeatable
@given(
    ANY_TEXT
    | st.text("ABCDab01-_=+/").map(lambda text: SEALED_PREFIX + text)
    | ANY_TEXT.map(lambda text: SEALED_PREFIX + text)
)
def test_any_text_is_no_sealed_credential(text: str) -> None:
    with pytest.raises(CredentialsRefused, match="start the build again"):
        sealing.unseal(SECRET, text, generator="dstat", cloud="hotel", now=NOW)


@repeatable
@given(st.dictionaries(TEXT, TEXT, max_size=3), WORD, WORD)
def test_what_is_sealed_opens_where_it_was_sealed_for(content: dict[str, str], generator: str, cloud: str) -> None:
    words = {"generator": generator, "cloud": cloud}
    text = sealing.seal(SECRET, content, expires=NOW + timedelta(hours=1), **words)
    assert sealing.unseal(SECRET, text, now=NOW, **words) == content


@repeatable
@given(ANY_TEXT | st.from_regex(r"https?://[a-z0-9.:\[\]@/?#$()-]{0,30}", fullmatch=True))
def test_any_text_is_an_address_or_not(text: str) -> None:
    if is_plain_url(text):
        assert urllib3.util.parse_url(text).host
    assert not is_host_and_port(text) or text.count(":") == 1


# what machines and servers answer


@repeatable
@given(st.lists(st.binary(max_size=40) | st.just(b"x" * 9_000), max_size=6))
def test_output_is_emitted_whole_however_it_is_cut(chunks: list[bytes]) -> None:
    said: list[str] = []
    lines = OutputLines(said.append, offset=0, lines=0, tail="")
    for chunk in chunks:
        lines.feed(chunk)
    lines.flush()
    assert lines.offset == len(b"".join(chunks))
    assert all("\n" not in line for line in said)
    assert "\0" not in lines.tail


@repeatable
@given(
    TEXT
    | st.lists(
        st.sampled_from(
            ["state=done", "state=running", "state=?", "size=5", "size=-1", "size=x", "rc=0", "rc=", "rc=9999"]
        )
    ).map("\n".join)
)
def test_whatever_a_machine_answers_to_status(text: str) -> None:
    state = run_state_of(_pairs(text))
    assert state is None or (isinstance(state, RunState) and state.size >= 0)


@repeatable
@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps({"detail": value}).encode()))
def test_whatever_airflow_says_of_a_refusal(body: bytes) -> None:
    assert isinstance(_detail(urllib3.HTTPResponse(body=io.BytesIO(body), status=500)), str)


PASSWORD = "correct horse"
HIDDEN = st.recursive(
    st.sampled_from([1, "x", None]) | st.just({FIELD: PASSWORD}),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["conf", "a", FIELD]), inner, max_size=3)
    ),
    max_leaves=6,
)


@repeatable
@given(HIDDEN | st.binary(max_size=60), st.sampled_from([START, "/api/v2/backfills", "/api/v2/dags/plain/dagRuns"]))
def test_no_body_carries_a_password_through_the_gate(body: Any, path: str) -> None:
    front = Front()
    with contextlib.suppress(ImagesmithError):
        front.send("POST", path, body)
    assert all(PASSWORD.encode() not in each for each in front.came_through)
