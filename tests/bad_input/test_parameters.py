"""Bad parameters and clouds of a build: refused before a build is written down or a driver opened."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from imagesmith.catalog.store import Catalog
from imagesmith.errors import DefinitionError
from imagesmith.generator import Loaded, load_all
from imagesmith.plan import CLOUDS_PARAM, freeze, new_build_id, parameters_from_text
from imagesmith.steps.begin import Request, begin
from imagesmith.steps.preflight import preview

from .row import Row, check, table
from .rows_of_parameters import CLOUDS, TYPED, WORDS

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
clouds:
  east: {source_image: ami-12345678, ssh_username: admin, instance_type: t3.small}
  west: {source_image: ami-12345678, ssh_username: admin, instance_type: t3.small}
"""
NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    include = tmp_path_factory.mktemp("project") / "include"
    (include / "generators").mkdir(parents=True)
    (include / "generators" / "tools.yaml").write_text(TOOLS)
    (include / "clouds.yaml").write_text("east: {type: ec2}\nwest: {type: ec2}\n")
    loaded = load_all(include)
    assert loaded.findings == []
    return loaded


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    """One for all rows: none of them may write to it."""
    one = Catalog(f"sqlite:///{tmp_path_factory.mktemp('catalog') / 'catalog.db'}")
    one.upgrade()
    yield one
    one.close()


def with_token(given: Any) -> dict[str, Any]:
    """The parameters with what has no default; `...` takes one out."""
    return {name: value for name, value in {"token": "t", **given}.items() if value is not ...}


@pytest.mark.parametrize("row", table(TYPED))
def test_a_typed_value(row: Row, loaded: Loaded, catalog: Catalog) -> None:
    """On each of the two ways values come: a run's conf, and the question to the clouds."""
    given = with_token(row.given)
    request = Request(generator="tools", dag_id="tools", run_id="r", how="manual", by="ann", parameters=given)
    with pytest.raises(DefinitionError) as in_a_run:
        begin(request, load=lambda: loaded, catalog=catalog)
    with pytest.raises(DefinitionError) as in_a_question:
        preview("tools", loaded, parameters=given, clouds=None)
    for refusal in (in_a_run, in_a_question):
        check(row, str(refusal.value))
        assert len(str(refusal.value)) < 300
        assert "hunter2" not in str(refusal.value)
    assert catalog.builds() == []


@pytest.mark.parametrize("row", table(CLOUDS))
def test_chosen_clouds(row: Row, loaded: Loaded, catalog: Catalog) -> None:
    given = with_token({CLOUDS_PARAM: row.given})
    request = Request(generator="tools", dag_id="tools", run_id="r", how="manual", by="ann", parameters=given)
    with pytest.raises(DefinitionError) as refusal:
        begin(request, load=lambda: loaded, catalog=catalog)
    check(row, str(refusal.value))
    assert catalog.builds() == []


@pytest.mark.parametrize("row", table(WORDS))
def test_a_word_of_a_command_line(row: Row, loaded: Loaded) -> None:
    with pytest.raises(DefinitionError) as refusal:
        parameters_from_text(loaded.generators["tools"], row.given)
    check(row, str(refusal.value))
    assert len(str(refusal.value)) < 300


def test_what_is_well_is_taken(loaded: Loaded) -> None:
    """The rows are refused for what is in them, and for nothing else."""
    plan = freeze(
        loaded.generators["tools"],
        loaded.clouds,
        build_id=new_build_id(NOW, "seed"),
        created=NOW,
        parameters=with_token({"extra": "a\tb\nc ✓", "count": -1, "ratio": 1e300, "debug": True, "flavour": "full"}),
        chosen_clouds=["west"],
    )
    assert list(plan.targets) == ["west"]
    assert plan.parameters["extra"] == "a\tb\nc ✓"
