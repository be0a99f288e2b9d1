"""Whether a target would only make again what is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagesmith.catalog.records import ImageRecord
from imagesmith.catalog.store import Catalog
from imagesmith.plan import Plan
from imagesmith.steps.unchanged import same_image, unchanged

from .built import GENERATOR, a_catalog, a_plan, a_project, begun, saved

SKIPPING = GENERATOR + "skip_if_unchanged: true\n"


@pytest.fixture
def include(tmp_path: Path) -> Path:
    return a_project(tmp_path, dstat=SKIPPING)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    one = a_catalog(tmp_path)
    yield one
    one.close()


def found(catalog: Catalog, plan: Plan, source: str = "image-1") -> ImageRecord | None:
    """What stands for the image that a new build of the plan would make here."""
    begun(catalog, plan)
    row = catalog.update_target(plan.build_id, "here", source_image_id=source)
    return same_image(plan, row, catalog)


def test_the_newest_of_those_that_are_the_same(catalog: Catalog, include: Path) -> None:
    for build_id in ("b1", "b2"):
        plan = a_plan(include, build_id)
        begun(catalog, plan)
        saved(catalog, plan, "here")
    image = found(catalog, a_plan(include, "b3"))
    assert image is not None
    assert image.build_id == "b2"
    assert unchanged(image) == (
        f"here: unchanged: image image-here-b2 ({image.name}) of build b2 has the same version {image.version}, "
        "parameters and source image image-1; nothing is built"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": {"extra": "vim"}},
        {"parameters": {"count": 2}},
        {"source": "image-2"},
        {"plan": {"rebuild_of": "b1"}},
        {"plan": {"secrets": ("token",)}},
        {"plan": {"skip_if_unchanged": False}},
        {"plan": {"version": "another"}},
    ],
    ids=str,
)
def test_what_is_another_is_built(catalog: Catalog, include: Path, change: dict[str, Any]) -> None:
    first = a_plan(include, "b1")
    begun(catalog, first)
    saved(catalog, first, "here")
    plan = a_plan(include, "b2", parameters=change.get("parameters")).model_copy(update=change.get("plan", {}))
    assert found(catalog, plan, change.get("source", "image-1")) is None


def test_a_cloud_that_is_reached_otherwise_may_be_another_cloud(
    catalog: Catalog, include: Path, tmp_path: Path
) -> None:
    first = a_plan(include, "b1")
    begun(catalog, first)
    saved(catalog, first, "here")
    clouds = (include / "clouds.yaml").read_text()
    (include / "clouds.yaml").write_text(clouds.replace("here.json", "elsewhere.json"))
    assert found(catalog, a_plan(include, "b2")) is None


def test_an_image_of_which_only_the_tags_are_known_is_built_anew(catalog: Catalog, include: Path) -> None:
    first = a_plan(include, "b1").model_copy(update={"scripts": ()})
    begun(catalog, first)
    saved(catalog, first, "here")
    assert found(catalog, a_plan(include, "b2")) is None


def test_an_image_that_was_not_seen_as_wanted_is_built_anew(catalog: Catalog, include: Path) -> None:
    first = a_plan(include, "b1")
    begun(catalog, first)
    saved(catalog, first, "here")
    test = first.scripts[0].model_copy(update={"name": "a-test"})
    assert found(catalog, a_plan(include, "b2").model_copy(update={"tests": (test,)})) is None
    unseen = a_plan(include, "b3")
    targets = {name: target.model_copy(update={"verify": False}) for name, target in unseen.targets.items()}
    begun(catalog, unseen.model_copy(update={"targets": targets}))
    saved(catalog, unseen.model_copy(update={"targets": targets}), "here", source="image-9")
    assert found(catalog, a_plan(include, "b4"), "image-9") is None


def test_an_image_whose_target_failed_is_none(catalog: Catalog, include: Path) -> None:
    first = a_plan(include, "b1")
    begun(catalog, first)
    catalog.update_target("b1", "here", source_image_id="image-1")
    catalog.record_image("b1", "here", image_id="image-here-b1", name="one")
    catalog.image_available("here", "image-here-b1")
    catalog.fail_target("b1", "here", "something of the build is left inside")
    assert found(catalog, a_plan(include, "b2")) is None
