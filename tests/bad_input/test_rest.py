"""Bad bodies of requests that start builds: Airflow makes no run of them, and sees no password."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imagesmith.errors import CloudBusy, ImagesmithError, SetupError
from imagesmith.generator import load_all
from imagesmith.plan import params_schema

from .front import Front
from .row import Row, check, table
from .rows_of_rest import BODY, CONF, FIELD, GATE, START, start

TOOLS = """\
script: |
  #!/bin/sh
  true
parameters:
  extra: {type: string, default: ""}
  count: {type: integer, default: 3}
  ratio: {type: number, default: 0.5}
  debug: {type: boolean, default: false}
  flavour: {type: string, choices: [plain, full], default: plain}
  token: {type: string}
  licence: {type: string, secret: true}
clouds:
  ec2: {source_image: ami-12345678, ssh_username: admin, instance_type: t3.small}
  hotel: {source_image: debian-12, ssh_username: admin, instance_type: m1.small}
"""


@pytest.fixture
def front() -> Front:
    return Front()


@pytest.mark.parametrize("row", table(GATE))
def test_the_gate(row: Row, front: Front) -> None:
    status, detail = front.send(*row.given)
    check(row, f"{status} {detail}")
    assert "hunter2" not in detail
    assert len(detail) < 1_000
    assert front.came_through == []
    assert front.desk.held == [], "what was exchanged is taken back"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CloudBusy("hotel: log in: refused; it is tried again"), 502),
        (SetupError("hotel: extra of the Airflow connection hotel is not JSON; write an object such as {}"), 503),
    ],
)
def test_trouble_behind_the_gate(front: Front, error: ImagesmithError, status: int) -> None:
    front.desk.error = error
    assert front.send("POST", START, start(**{FIELD: "right"})) == (status, f"{error}; no build was started")
    assert front.came_through == []


def test_a_clouds_file_that_cannot_be_read_closes_the_gate(front: Front) -> None:
    front.desk.known = None
    status, detail = front.send("POST", START, start(**{FIELD: "right"}))
    assert status == 503
    assert "include/clouds.yaml can't be read, so no build is started; see `imagesmith validate`" in detail
    assert front.came_through == []


def test_what_is_well_comes_through(front: Front) -> None:
    assert front.send("POST", START, start(**{FIELD: "right"}))[0] == 200
    assert json.loads(front.came_through[0])["conf"] == {FIELD: "sealed.1.new"}


@pytest.fixture(scope="module")
def params(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What makes the parameters of a DAG, as dags/image_generators.py does."""
    from airflow.sdk import Param
    from airflow.sdk.definitions.param import ParamsDict

    include = tmp_path_factory.mktemp("project") / "include"
    (include / "generators").mkdir(parents=True)
    (include / "generators" / "tools.yaml").write_text(TOOLS)
    (include / "clouds.yaml").write_text("ec2: {type: ec2}\nhotel: {type: openstack, password: ask}\n")
    loaded = load_all(include)
    assert loaded.findings == []
    schema = params_schema(loaded.generators["tools"], loaded.clouds)
    return lambda: ParamsDict({name: Param(**spec) for name, spec in schema.items()})


def fitted(params: Any, conf: dict[str, Any]) -> dict[str, Any]:
    """What a run of that conf has for its parameters; raises as the API server does when it is asked for the run."""
    merged = params()
    merged.update({name: value for name, value in {"token": "t", **conf}.items() if value is not ...})
    values: dict[str, Any] = merged.validate()
    return values


@pytest.mark.parametrize("row", table(CONF))
def test_a_conf(row: Row, params: Any) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError) as refusal:
        fitted(params, row.given)
    check(row, f"{refusal.value}")
    assert str(refusal.value).startswith(f"Invalid input for param {row.where}: ")


def test_a_conf_that_is_well(params: Any) -> None:
    assert fitted(params, {"extra": None, "clouds": ["hotel"], FIELD: "sealed.1.new"})["clouds"] == ["hotel"]


@pytest.mark.parametrize("row", table(BODY))
def test_a_body(row: Row) -> None:
    from airflow.api_fastapi.core_api.datamodels.dag_run import TriggerDAGRunPostBody
    from pydantic import ValidationError

    with pytest.raises(ValidationError) as refusal:
        TriggerDAGRunPostBody.model_validate(row.given)
    check(row, "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in refusal.value.errors()))
