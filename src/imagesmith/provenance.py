"""Where a build's images came from: one in-toto Statement for all of them, read back and checked by anybody.

The subjects' digests are those of the images' inventories: of what is inside, not of what it is called. The predicate
is SLSA's provenance, version 1; `docs/provenance.md` says what each field means.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md · https://slsa.dev/spec/v1.0/provenance
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from imagesmith import __version__
from imagesmith.catalog.records import BuildRecord, ImageRecord
from imagesmith.errors import ProofRefused
from imagesmith.plan import Plan, PlannedSource, PlannedTarget

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:imagesmith:build:1"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Claim:
    """What a statement says: the digest of each image's inventory by `CLOUD/ID`, and the build they are from."""

    subjects: Mapping[str, str]
    build_id: str
    generator: str
    version: str
    builder: str
    finished: str


def subject_name(cloud: str, image_id: str) -> str:
    """What an image is called in statements."""
    return f"{cloud}/{image_id}"


def statement(
    build: BuildRecord, images: Sequence[ImageRecord], *, parents: Mapping[str, str], deployment: str
) -> bytes:
    """The statement about the images of a build that has ended; the same records give the same bytes.

    Images without an inventory are left out, as nothing can be said of their content. `parents` are the digests of
    those source images that are ours, by cloud.
    """
    plan = Plan.model_validate(build.plan)
    told = sorted(
        (image for image in images if image.inventory_digest), key=lambda image: (image.cloud, image.image_id)
    )
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [_subject(image) for image in told],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": _asked(plan),
                "internalParameters": _settled(plan),
                "resolvedDependencies": [*_contents(plan), *(_source(image, parents) for image in told)],
            },
            "runDetails": {
                "builder": {"id": f"urn:imagesmith:deployment:{deployment}", "version": {"imagesmith": __version__}},
                "metadata": {
                    "invocationId": build.build_id,
                    "startedOn": _rfc3339(build.created_at),
                    "finishedOn": _rfc3339(build.ended_at or build.deadline),
                },
            },
        },
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def read_statement(payload: bytes) -> Claim:
    """What a statement of ours claims; raises ProofRefused for anything else, by the formats' own definitions."""
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise ProofRefused("what was signed is no statement: not JSON") from error
    _refuse_other_shapes(document)
    predicate = document["predicate"]
    definition, details = predicate["buildDefinition"], predicate["runDetails"]
    if definition["buildType"] != BUILD_TYPE:
        raise ProofRefused(
            f"its build type is {definition['buildType']!r:.80}, not {BUILD_TYPE}: no build of Imagesmith"
        )
    asked = definition.get("externalParameters", {})
    return Claim(
        subjects=_digests(document["subject"]),
        build_id=str(details.get("metadata", {}).get("invocationId", "")),
        generator=str(asked.get("generator", "")),
        version=str(asked.get("version", "")),
        builder=str(details["builder"]["id"]),
        finished=str(details.get("metadata", {}).get("finishedOn", "")),
    )


def _refuse_other_shapes(document: Any) -> None:
    """Raises ProofRefused unless the formats' own definitions take the document."""
    from google.protobuf.json_format import ParseDict, ParseError
    from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
    from in_toto_attestation.v1.statement import Statement
    from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage

    try:
        Statement.copy_from_pb(ParseDict(document, StatementMessage())).validate()
        if document["predicateType"] != PREDICATE_TYPE:
            raise ProofRefused(f"its predicate is of type {document['predicateType']!r:.80}, not {PREDICATE_TYPE}")
        message = ParseDict(document["predicate"], Provenance())
    except (ParseError, ValueError, TypeError, AttributeError) as error:
        raise ProofRefused(f"what was signed is no in-toto statement: {error}") from error
    if not message.build_definition.build_type or not message.run_details.builder.id:
        raise ProofRefused("what was signed lacks a build type or a builder, which SLSA's provenance demands")


def _digests(subjects: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    digests: dict[str, str] = {}
    for subject in subjects:
        name, digest = str(subject.get("name", "")), str(subject["digest"].get("sha256", ""))
        if not name or name in digests:
            raise ProofRefused(f"the subject {name!r:.80} has no name of its own")
        if not _DIGEST.fullmatch(digest):
            raise ProofRefused(f"the subject {name:.80} has no SHA-256 of 64 hex digits")
        digests[name] = digest
    return digests


def _subject(image: ImageRecord) -> dict[str, Any]:
    return {
        "name": subject_name(image.cloud, image.image_id),
        "digest": {"sha256": image.inventory_digest},
        "annotations": {"imageName": image.name},
    }


def _asked(plan: Plan) -> dict[str, Any]:
    """What the user chose, as SLSA's externalParameters."""
    return {
        "generator": plan.generator,
        "version": plan.version,
        "parameters": dict(plan.parameters),
        **({"secretParameters": list(plan.secrets)} if plan.secrets else {}),
        "clouds": {name: _asked_of_cloud(target) for name, target in plan.targets.items()},
    }


def _asked_of_cloud(target: PlannedTarget) -> dict[str, Any]:
    wanted = {
        "sourceImage": _asked_source(target.source_image),
        "sshUsername": target.ssh_username,
        "instanceType": target.instance_type,
        "imageName": target.image_name,
        "public": target.public,
        "diskGib": target.disk_gib,
        "tags": dict(target.tags),
    }
    return {key: value for key, value in wanted.items() if value not in ("", None, {})}


def _asked_source(source: PlannedSource) -> dict[str, Any]:
    return source.model_dump(mode="json", exclude_defaults=True)


def _settled(plan: Plan) -> dict[str, Any]:
    """What the deployment added of its own, as SLSA's internalParameters."""
    clouds = {
        name: {"type": target.cloud_type, **({"region": region} if (region := target.settings.get("region")) else {})}
        for name, target in plan.targets.items()
    }
    return {"clouds": clouds, "scriptSha256": plan.script_sha256}


def _contents(plan: Plan) -> list[dict[str, Any]]:
    scripts = [{"name": f"scripts/{script.name}", "digest": {"sha256": script.sha256}} for script in plan.scripts]
    files = [
        {"name": f"files/{file.name}", "digest": {"sha256": file.sha256}, "annotations": {"path": file.path}}
        for file in plan.files
    ]
    tests = [{"name": f"tests/{test.name}", "digest": {"sha256": test.sha256}} for test in plan.tests]
    return [*scripts, *files, *tests]


def _source(image: ImageRecord, parents: Mapping[str, str]) -> dict[str, Any]:
    """The source image by its id on its cloud, which is all a cloud tells; one of ours with its content's digest."""
    digest = parents.get(image.cloud)
    return {
        "name": f"source-image/{image.cloud}",
        "uri": f"urn:imagesmith:image:{quote(image.cloud, safe='')}:{quote(image.source_image_id, safe='')}",
        "annotations": {"cloud": image.cloud, "imageId": image.source_image_id},
        **({"digest": {"sha256": digest}} if digest else {}),
    }


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
