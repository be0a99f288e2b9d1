"""Preflight: whether each cloud would let a build happen, asked read-only. Launches nothing and writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict

from imagesmith.catalog.store import Catalog
from imagesmith.cloud_settings import FILE_NAME, read_clouds
from imagesmith.core import Cloud
from imagesmith.errors import DefinitionError, ImagesmithError
from imagesmith.generator import Loaded
from imagesmith.plan import Plan, PlannedCloud, PlannedTarget, freeze, new_build_id
from imagesmith.steps.source_image import source_query

# A person chooses among these; whoever does not find his searches.
MOST_OFFERED = 100
ASKED_LATER = "asked for its password at every build, so not asked here"


class Answer(TypedDict):
    """What one cloud says; `problems` is empty when a build would find all it needs."""

    cloud: str
    identity: str
    source_image_id: str
    source_image_name: str
    image_name: str
    problems: list[str]


def preview(name: str, loaded: Loaded, *, parameters: Mapping[str, Any], clouds: Sequence[str] | None) -> Plan:
    """The plan a build started now would have; raises DefinitionError as the build would."""
    generator = loaded.generators.get(name)
    if generator is None:
        found = "\n".join(map(str, loaded.findings))
        raise DefinitionError(f"generator {name} can't be built; run `imagesmith validate`:\n{found}".rstrip())
    created = datetime.now(UTC).replace(microsecond=0)
    return freeze(
        generator,
        loaded.clouds,
        build_id=new_build_id(created, name),
        created=created,
        parameters=parameters,
        chosen_clouds=clouds or None,
    )


def ask(plan: Plan, open_cloud: Callable[[PlannedTarget], Cloud], *, catalog: Catalog) -> list[Answer]:
    """What each cloud of the plan says, in the plan's order; all are asked at once and every trouble is an answer."""
    answers = {name: _unanswered(target) for name, target in plan.targets.items()}
    opened: dict[str, Cloud] = {}
    for name, target in plan.targets.items():
        if target.settings.get("password") == "ask":
            answers[name]["identity"] = ASKED_LATER
            continue
        try:
            opened[name] = open_cloud(target)  # one after the other: what fetches credentials may not be shared
        except ImagesmithError as error:
            answers[name]["problems"].append(str(error))
    with ThreadPoolExecutor(max_workers=max(1, len(opened))) as threads:
        asked = [
            threads.submit(_ask_one, cloud, plan.targets[name], answer=answers[name], catalog=catalog)
            for name, cloud in opened.items()
        ]
    for each in asked:
        each.result()
    return list(answers.values())


class Introduction(TypedDict):
    """Whom a cloud takes us for, or why it does not let us in."""

    cloud: str
    identity: str
    problem: str


def chosen_cloud(name: str, include_dir: Path) -> PlannedCloud:
    """The cloud of that name as clouds.yaml describes it; raises DefinitionError where it does not."""
    read = read_clouds(include_dir)
    if name not in read.clouds:
        cure = "mend it" if name in read.broken else f"its clouds are: {', '.join(sorted(read.clouds))}"
        raise DefinitionError(f"{name:.80}: is no cloud of {include_dir.name}/{FILE_NAME} that can be used; {cure}")
    about = read.clouds[name]
    return PlannedCloud(cloud=name, cloud_type=about.type, settings=about.driver_settings())


def introduce(cloud: PlannedCloud, open_cloud: Callable[[PlannedCloud], Cloud]) -> Introduction:
    """The cloud's own answer to a read-only call with its connection's credentials; every trouble is an answer."""
    answer = Introduction(cloud=cloud.cloud, identity="", problem="")
    if cloud.settings.get("password") == "ask":
        return {**answer, "identity": ASKED_LATER}
    try:
        return {**answer, "identity": open_cloud(cloud).identity()}
    except ImagesmithError as error:
        return {**answer, "problem": str(error)}


class Offer(TypedDict):
    """What a cloud has to choose from, or why it does not say."""

    cloud: str
    images: list[dict[str, Any]]
    instance_types: list[str]
    problem: str


def offer(cloud: PlannedCloud, open_cloud: Callable[[PlannedCloud], Cloud], *, search: str) -> Offer:
    """The cloud's own lists, asked with its connection's credentials; every trouble is an answer."""
    answer = Offer(cloud=cloud.cloud, images=[], instance_types=[], problem="")
    if cloud.settings.get("password") == "ask":
        return {**answer, "problem": f"{cloud.cloud}: {ASKED_LATER}"}
    try:
        opened = open_cloud(cloud)
        images = [asdict(each) for each in opened.list_images(search, limit=MOST_OFFERED)]
        return {**answer, "images": images, "instance_types": opened.list_instance_types()}
    except ImagesmithError as error:
        return {**answer, "problem": str(error)}


def _unanswered(target: PlannedTarget) -> Answer:
    return Answer(
        cloud=target.cloud,
        identity="",
        source_image_id="",
        source_image_name="",
        image_name=target.image_name,
        problems=[],
    )


def _ask_one(cloud: Cloud, target: PlannedTarget, *, answer: Answer, catalog: Catalog) -> None:
    def identity() -> None:
        answer["identity"] = cloud.identity()

    def source_image() -> None:
        found = cloud.find_source_image(source_query(target, catalog))
        answer["source_image_id"], answer["source_image_name"] = found.id, found.name

    def image_name() -> None:
        taken = cloud.find_image_named(target.image_name)
        if taken is not None:
            answer["problems"].append(
                f"{target.cloud}: an image named {target.image_name} is there already ({taken.id}) and is never "
                "overwritten; put {build_id} into image_name, or remove that image"
            )

    for question in (identity, source_image, image_name):
        try:
            question()
        except ImagesmithError as error:
            answer["problems"].append(str(error))
            if question is identity:
                return  # whoever is not let in gets the same answer to every question
