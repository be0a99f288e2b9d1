"""The API keeps to its own OpenAPI document, whatever it is sent."""

from __future__ import annotations

from collections import Counter
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
    """The document, with names of what is there among those that are tried; there is one thing of each kind."""
    build_id = web.built(ec2=TargetState.SUCCESSFUL)
    image_id, run_id = f"img-ec2-{build_id}", "manual__of_0"
    web.host.runs["imagesmith_test_cloud", run_id] = "success"
    web.host.runs["imagesmith_list_cloud", run_id] = "success"
    there = {"build_id": build_id, "image_id": image_id, "run_id": run_id, "name": "tools", "generator": "tools"}
    there |= {"cloud": "ec2", "version": "current", "old": "version00000", "if-match": "*"}
    there |= {"before": f"ec2/{image_id}", "after": image_id, "package": "openssl<9"}
    found = web.json("/openapi.json")
    for path in found["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] in there and parameter["required"] | (parameter["name"] == "if-match"):
                    parameter["schema"] = {"enum": [there[parameter["name"]], "absent"]}
                    parameter.pop("example", None)
    found["components"]["schemas"]["BuildWanted"]["properties"]["generator"] = {"enum": ["tools", "absent"]}
    schema = schemathesis.openapi.from_dict(found)
    schema.app, schema.location = web.client.app, AT
    return schema


def test_every_answer_is_a_documented_one(document: Any) -> None:
    """Without the library's own pytest plugin, which this pytest is too new for."""
    answers: Counter[tuple[str, int]] = Counter()
    operations = [found.ok() for found in document.get_all_operations()]
    for operation in sorted(operations, key=lambda each: (each.method == "delete", each.label)):

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
            answer = case.call_and_validate(headers=TOKEN, checks=KEPT)
            answers[case.operation.label, answer.status_code] += 1

        keeps_to_it()
    done = {label for label, status in answers if status < 300}
    print(*sorted(answers.items()), sep="\n")
    assert len(operations) >= 29
    assert len(done) >= 26, "or the examples got nowhere"


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
