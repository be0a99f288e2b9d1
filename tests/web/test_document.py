"""The API keeps to its own OpenAPI document, whatever it is sent."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import (
    content_type_conformance,
    load_all_checks,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from imagesmith.core import TargetState

from .conftest import TOOLS, Web

AT = "/imagesmith/api/v1/openapi.json"
TOKEN = {"Authorization": "Bearer ann"}
# Enough to meet each kind of value, few enough for a second or two of each route.
EXAMPLES = 12
load_all_checks()
KEPT = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]


@pytest.fixture
def document(web: Web) -> Any:
    """The document, of an app in which one thing of each kind is there."""
    build_id = web.built(ec2=TargetState.SUCCESSFUL)
    found = web.json("/openapi.json")
    there = {"build_id": build_id, "image_id": f"img-ec2-{build_id}", "run_id": "manual__of_0", "name": "tools"}
    for path in found["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] in there:
                    parameter["example"] = there[parameter["name"]]
    schema = schemathesis.openapi.from_dict(found)
    schema.app, schema.location = web.client.app, AT
    return schema


def test_every_answer_is_a_documented_one(document: Any) -> None:
    """Without the library's own pytest plugin, which this pytest is too new for."""
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) >= 20
    for operation in operations:

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            database=None,
        )
        @given(case=operation.as_strategy())
        def keeps_to_it(case: Any) -> None:
            case.call_and_validate(headers=TOKEN, checks=KEPT)

        keeps_to_it()


def test_the_document_is_behind_the_door_and_has_an_example_of_each_body(web: Web) -> None:
    assert web.ask("GET", "/openapi.json", user=None).status_code == 401
    document = web.json("/openapi.json", user="vic")
    assert document["security"] == [{"bearer": []}, {"cookie": []}]
    assert document["servers"] == [{"url": "/imagesmith"}]
    operations = [each for path in document["paths"].values() for each in path.values()]
    assert len(operations) >= 20
    assert all({"401", "403", "503"} <= set(each["responses"]) for each in operations)
    schemas = document["components"]["schemas"]
    assert all(schemas[body]["examples"] for body in ("BuildWanted", "GeneratorSaved", "GeneratorAdded"))


def test_the_examples_of_the_document_work(web: Web) -> None:
    schemas = web.json("/openapi.json")["components"]["schemas"]
    (web.include / "scripts" / "dstat.sh").write_text("#!/bin/sh\ntrue\n")
    added = web.ask("POST", "/generators", json=schemas["GeneratorAdded"]["examples"][0])
    assert added.status_code == 201, added.text
    assert web.ask("POST", "/builds", json=schemas["BuildWanted"]["examples"][0]).status_code == 202
    saved = schemas["GeneratorSaved"]["examples"][0]
    etag = {"If-Match": added.json()["etag"]}
    assert web.ask("PUT", "/generators/dstat", json=saved, headers=etag).status_code == 200
    assert web.file("tools").read_text() == TOOLS
