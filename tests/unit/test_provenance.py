"""Statements about builds: by content, the same again, and what the formats' own definitions accept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage

from imagesmith.catalog.store import Catalog
from imagesmith.envelope import payload_of
from imagesmith.errors import ProofRefused
from imagesmith.inventory import Package
from imagesmith.keys import deployment_id, signing_key
from imagesmith.provenance import BUILD_TYPE, read_statement, statement
from imagesmith.steps.publish import publish

from .built import GENERATOR, a_catalog, a_plan, a_project, an_inventory, begun, ended, saved

SECRET = bytes(range(32))
BASH = Package(manager="dpkg", name="bash", version="5.2", architecture="amd64")
HERE, THERE = an_inventory(BASH), an_inventory(BASH, Package(manager="pip", name="six", version="1"))


@pytest.fixture
def include(tmp_path: Path) -> Path:
    return a_project(tmp_path)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    one = a_catalog(tmp_path)
    yield one
    one.close()


def published(catalog: Catalog, include: Path, build_id: str = "b1", **parameters: Any) -> Any:
    """The statement that publishing a build with an image on each cloud leaves in the catalog."""
    plan = a_plan(include, build_id, parameters=parameters)
    begun(catalog, plan)
    saved(catalog, plan, "here", inventory=HERE, source="image-base-2")
    saved(catalog, plan, "there", inventory=THERE)
    publish(build_id, catalog=catalog, secret=SECRET)
    return opened(catalog.build(build_id).provenance)


def opened(envelope: str) -> Any:
    return json.loads(payload_of(envelope.encode(), signing_key(SECRET).public_key()))


def test_its_subjects_are_the_images_by_their_content(catalog: Catalog, include: Path) -> None:
    subjects = published(catalog, include)["subject"]
    assert {subject["name"]: subject["digest"] for subject in subjects} == {
        "here/image-here-b1": {"sha256": HERE.digest},
        "there/image-there-b1": {"sha256": THERE.digest},
    }
    assert subjects[0]["annotations"]["imageName"].startswith("dstat-")


def test_it_says_who_made_what_from_what_and_when(catalog: Catalog, include: Path) -> None:
    document = published(catalog, include, extra="vim", count=3)
    plan, build = a_plan(include, "b1"), catalog.build("b1")
    definition, details = (document["predicate"][key] for key in ("buildDefinition", "runDetails"))
    asked = definition["externalParameters"]
    assert definition["buildType"] == BUILD_TYPE
    assert (asked["generator"], asked["version"], asked["parameters"]) == (
        "dstat",
        plan.version,
        {"extra": "vim", "count": 3},
    )
    assert asked["clouds"]["here"]["sourceImage"] == {"name": "base-*", "owner": "vendor"}
    assert asked["clouds"]["there"]["tags"] == {"team": "physics"}
    assert definition["internalParameters"]["clouds"]["here"] == {"type": "memory"}
    assert details["builder"]["id"] == f"urn:imagesmith:deployment:{deployment_id(SECRET)}"
    assert details["metadata"]["invocationId"] == "b1"
    assert details["metadata"]["startedOn"] == build.created_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert build.ended_at and details["metadata"]["finishedOn"] == build.ended_at.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_all_it_was_made_from_is_there_with_its_hash(catalog: Catalog, include: Path) -> None:
    dependencies = published(catalog, include)["predicate"]["buildDefinition"]["resolvedDependencies"]
    plan = a_plan(include, "b1")
    by_name = {each["name"]: each for each in dependencies}
    assert by_name["scripts/inline-1"]["digest"] == {"sha256": plan.script_sha256}
    assert by_name["files/motd"]["digest"] == {"sha256": plan.files[0].sha256}
    assert by_name["files/motd"]["annotations"] == {"path": "/etc/motd"}
    assert by_name["source-image/here"]["uri"] == "urn:imagesmith:image:here:image-base-2"
    assert "digest" not in by_name["source-image/here"], "what others put into their image nobody told us"


def test_a_parent_of_ours_is_named_with_its_content(catalog: Catalog, include: Path) -> None:
    published(catalog, include)
    plan = a_plan(include, "b2")
    begun(catalog, plan)
    saved(catalog, plan, "here", inventory=THERE, source="image-here-b1")
    publish("b2", catalog=catalog, secret=SECRET)
    definition = opened(catalog.build("b2").provenance)["predicate"]["buildDefinition"]
    parent = definition["resolvedDependencies"][-1]
    assert (parent["annotations"]["imageId"], parent["digest"]) == ("image-here-b1", {"sha256": HERE.digest})


def test_secret_parameters_are_named_and_nothing_else_is_told(catalog: Catalog, tmp_path: Path) -> None:
    text = GENERATOR.replace("parameters:", "parameters:\n  token: {type: string, secret: true}")
    plan = a_plan(a_project(tmp_path, dstat=text), "b1")
    begun(catalog, plan)
    saved(catalog, plan, "here", inventory=HERE)
    publish("b1", catalog=catalog, secret=SECRET)
    asked = opened(catalog.build("b1").provenance)["predicate"]["buildDefinition"]["externalParameters"]
    assert asked["secretParameters"] == ["token"]
    assert asked["parameters"] == {"extra": "", "count": 1}


def test_a_retry_gives_the_same_and_a_later_end_another(catalog: Catalog, include: Path) -> None:
    published(catalog, include)
    first = catalog.build("b1").provenance
    publish("b1", catalog=catalog, secret=SECRET)
    assert catalog.build("b1").provenance == first
    catalog.restart_build("b1", deadline=catalog.build("b1").deadline)
    publish("b1", catalog=catalog, secret=SECRET)
    assert catalog.build("b1").provenance != first


def test_an_image_whose_content_nobody_knows_is_no_subject(catalog: Catalog, include: Path) -> None:
    plan = a_plan(include, "b1")
    begun(catalog, plan)
    saved(catalog, plan, "here", inventory=HERE)
    saved(catalog, plan, "there")
    publish("b1", catalog=catalog, secret=SECRET)
    document = opened(catalog.build("b1").provenance)
    assert [subject["name"] for subject in document["subject"]] == ["here/image-here-b1"]
    names = [each["name"] for each in document["predicate"]["buildDefinition"]["resolvedDependencies"]]
    assert "source-image/there" not in names


def test_an_image_that_was_refused_is_no_subject_though_it_is_there(catalog: Catalog, include: Path) -> None:
    plan = a_plan(include, "b1")
    begun(catalog, plan)
    saved(catalog, plan, "here", inventory=HERE)
    digest = catalog.record_inventory(THERE)
    catalog.update_target("b1", "there", inventory_digest=digest, source_image_id="image-1")
    catalog.record_image("b1", "there", image_id="refused", name="two")
    catalog.image_available("there", "refused")
    catalog.fail_target("b1", "there", "a secret is left inside")
    outcome = publish("b1", catalog=catalog, secret=SECRET)
    assert [image.image_id for image in outcome.images] == ["image-here-b1"]
    names = [subject["name"] for subject in opened(catalog.build("b1").provenance)["subject"]]
    assert names == ["here/image-here-b1"]


def test_a_build_without_a_known_image_has_no_statement(catalog: Catalog, include: Path) -> None:
    plan = a_plan(include, "b1")
    begun(catalog, plan)
    saved(catalog, plan, "here")
    publish("b1", catalog=catalog, secret=SECRET)
    assert catalog.build("b1").provenance == ""


def test_the_public_packages_take_it(catalog: Catalog, include: Path) -> None:
    document = published(catalog, include, extra="ü ☃", count=2)
    message = ParseDict(document, StatementMessage())
    Statement.copy_from_pb(message).validate()
    assert MessageToDict(message) == document, "no field is lost"
    predicate = ParseDict(document["predicate"], Provenance())
    assert predicate.run_details.metadata.invocation_id == "b1"
    assert predicate.run_details.metadata.finished_on.seconds > predicate.run_details.metadata.started_on.seconds


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(extra=TEXTS, count=st.integers(-(2**40), 2**40))
def test_whatever_the_parameters_are_it_is_a_statement(catalog: Catalog, include: Path, extra: str, count: int) -> None:
    build_id = f"p{len(catalog.builds())}"
    plan = a_plan(include, build_id, parameters={"extra": extra, "count": count})
    begun(catalog, plan)
    image = saved(catalog, plan, "here", inventory=HERE)
    build = ended(catalog, plan)
    payload = statement(build, [image], parents={}, deployment="0" * 12)
    assert payload == statement(build, [image], parents={}, deployment="0" * 12)
    claim = read_statement(payload)
    assert (claim.build_id, claim.generator) == (build_id, "dstat")
    assert dict(claim.subjects) == {f"here/{image.image_id}": HERE.digest}
    told = json.loads(payload)["predicate"]["buildDefinition"]["externalParameters"]["parameters"]
    assert told == {"extra": extra, "count": count}


def _good() -> Any:
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "here/i", "digest": {"sha256": "0" * 64}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {"buildType": BUILD_TYPE, "externalParameters": {"generator": "g"}},
            "runDetails": {"builder": {"id": "urn:x:y"}},
        },
    }


def test_the_least_that_is_a_statement() -> None:
    claim = read_statement(json.dumps(_good()).encode())
    assert (claim.generator, claim.builder, claim.build_id) == ("g", "urn:x:y", "")


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("_type",), "https://in-toto.io/Statement/v0.1", "no in-toto statement: Wrong statement type"),
        (("subject",), [], "At least one subject required"),
        (("subject", 0, "digest"), {}, "At least one digest required"),
        (("subject", 0, "digest"), {"sha512": "0" * 128}, "here/i has no SHA-256"),
        (("subject", 0, "digest"), {"sha256": "0" * 63}, "here/i has no SHA-256"),
        (("subject", 0, "digest"), {"sha256": "A" * 64}, "here/i has no SHA-256"),
        (("subject", 0, "name"), "", "has no name of its own"),
        (("subject",), [{"name": "a", "digest": {"sha256": "0" * 64}}] * 2, "'a' has no name of its own"),
        (("predicateType",), "https://slsa.dev/provenance/v0.2", "its predicate is of type"),
        (("predicate",), {}, "Predicate object required"),
        (("predicate", "surprise"), 1, "no in-toto statement"),
        (("predicate", "buildDefinition", "buildType"), "", "lacks a build type or a builder"),
        (("predicate", "buildDefinition", "buildType"), "https://packer", "no build of Imagesmith"),
        (("predicate", "runDetails", "builder", "id"), "", "lacks a build type or a builder"),
        (("surprise",), 1, "no in-toto statement"),
    ],
)
def test_what_is_no_statement_of_ours_is_refused(path: tuple[Any, ...], value: Any, says: str) -> None:
    document = _good()
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ProofRefused) as refused:
        read_statement(json.dumps(document).encode())
    assert says in str(refused.value)


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"5", b"null", b'"x"', b"[" * 100_000, b"\xff"])
def test_what_is_no_document_is_refused(payload: bytes) -> None:
    with pytest.raises(ProofRefused, match="what was signed is no"):
        read_statement(payload)
