"""What clouds answer before a build: every trouble is an answer, and nothing is launched."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from imagesmith.catalog.store import Catalog
from imagesmith.clouds.memory import MemoryCloud
from imagesmith.clouds.memory_world import Fault
from imagesmith.core import Cloud, ResourceKind
from imagesmith.errors import DefinitionError, SetupError
from imagesmith.generator import Loaded, load_all
from imagesmith.plan import Plan, PlannedTarget
from imagesmith.steps.preflight import Answer, preview
from imagesmith.steps.preflight import ask as ask_with

GENERATOR = """\
name: web
script: |
  #!/bin/sh
  true
parameters:
  count: {type: integer, default: 1}
clouds:
  here: {source_image: {name: "base-*", owner: vendor}, ssh_username: admin, instance_type: small, image_name: fixed}
  there: {source_image: {name: "base-*", owner: vendor}, ssh_username: admin, instance_type: small}
"""


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    include = tmp_path / "include"
    (include / "generators").mkdir(parents=True)
    (include / "generators" / "web.yaml").write_text(GENERATOR)
    (include / "clouds.yaml").write_text(
        "".join(f"{name}: {{type: memory, path: {tmp_path / name}.json}}\n" for name in ("here", "there"))
    )
    return load_all(include)


@pytest.fixture
def plan(loaded: Loaded) -> Plan:
    return preview("web", loaded, parameters={"count": 2}, clouds=None)


def open_cloud(target: PlannedTarget) -> Cloud:
    return MemoryCloud(target.cloud, target.settings["path"])


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    one = Catalog(f"sqlite:///{tmp_path / 'catalog.db'}")
    one.upgrade()
    yield one
    one.close()


@pytest.fixture
def ask(catalog: Catalog) -> Callable[..., list[Answer]]:
    return partial(ask_with, catalog=catalog)


def _problems(answers: list[Any]) -> dict[str, list[str]]:
    return {answer["cloud"]: answer["problems"] for answer in answers}


def test_says_yes_with_who_we_are_and_what_a_build_would_start_from(ask: Any, plan: Plan) -> None:
    here, there = ask(plan, open_cloud)
    assert here["problems"] == there["problems"] == []
    assert (here["identity"], here["source_image_id"]) == ("memory:here", "image-base-2")
    assert here["image_name"] == "fixed"
    assert there["image_name"].startswith("web-")


def test_asks_only_the_chosen_clouds(ask: Any, loaded: Loaded) -> None:
    assert list(_problems(ask(preview("web", loaded, parameters={}, clouds=["there"]), open_cloud))) == ["there"]


def test_says_that_the_name_is_taken(ask: Any, plan: Plan) -> None:
    with MemoryCloud("here", plan.targets["here"].settings["path"]).world() as world:
        world.add(ResourceKind.IMAGE, "fixed", tags={}, now=0.0)
    problems = _problems(ask(plan, open_cloud))
    assert "an image named fixed is there already" in problems["here"][0]
    assert problems["there"] == []


def test_gives_every_trouble_of_one_cloud_and_still_asks_the_others(ask: Any, plan: Plan) -> None:
    cloud = MemoryCloud("here", plan.targets["here"].settings["path"])
    cloud.set_fault(Fault("find_source_image", "SourceImageNotFound", "no such image"))
    cloud.set_fault(Fault("find_image_named", "CloudBusy", "slow down"))
    here, there = ask(plan, open_cloud)
    assert len(here["problems"]) == 2
    assert there["problems"] == []


def test_asks_no_more_once_the_credentials_are_refused(ask: Any, plan: Plan) -> None:
    def open_refused(target: PlannedTarget) -> Cloud:
        return MemoryCloud(target.cloud, target.settings["path"], accepted=False)

    assert [len(answer["problems"]) for answer in ask(plan, open_refused)] == [1, 1]


def test_a_missing_connection_is_an_answer(ask: Any, plan: Plan) -> None:
    def open_none(target: PlannedTarget) -> Cloud:
        raise SetupError(f"{target.cloud}: there is no Airflow connection")

    assert _problems(ask(plan, open_none)) == {
        "here": ["here: there is no Airflow connection"],
        "there": ["there: there is no Airflow connection"],
    }


def test_nothing_is_made(ask: Any, plan: Plan) -> None:
    ask(plan, open_cloud)
    for name, target in plan.targets.items():
        with MemoryCloud(name, target.settings["path"]).world() as world:
            assert world.made == 0


def test_a_generator_that_cannot_be_built(loaded: Loaded) -> None:
    with pytest.raises(DefinitionError, match="generator nope can't be built; run `imagesmith validate`"):
        preview("nope", loaded, parameters={}, clouds=None)
