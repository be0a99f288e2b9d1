"""The catalog read back from the clouds: images, builds, parents and digests, as the clouds' own tags tell them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypedDict

from imagesmith.catalog.recovery import FoundImage
from imagesmith.core import (
    TAG_CLOUD,
    TAG_DEPLOYMENT,
    TAG_DIGEST,
    TAG_GENERATOR,
    TAG_SCRIPT,
    TAG_SOURCE,
    TAG_VERSION,
    Cloud,
    ImageState,
    Resource,
)
from imagesmith.errors import ConnectionMissing, ImagesmithError
from imagesmith.keys import deployment_id
from imagesmith.plan import Plan, PlannedCloud, PlannedSource, PlannedTarget, moment_of
from imagesmith.steps.runner import Credential, Deployment


class Recovered(TypedDict):
    """What one cloud told: `images` are this deployment's, of which some were `added`; `others` are not this one's.

    `left_out` says why a cloud was not asked, and the cure; `problem` why it could not be.
    """

    cloud: str
    images: int
    added: int
    known: int
    others: int
    left_out: str
    problem: str


def recover(
    deployment: Deployment,
    *,
    clouds: Sequence[PlannedCloud],
    open_cloud: Callable[[PlannedCloud, Credential], Cloud],
    emit: Callable[[str], None],
) -> list[Recovered]:
    """What each cloud told, after it was written into the catalog; what is there already stays as it is."""
    return [_read_one(deployment, cloud, open_cloud=open_cloud, emit=emit) for cloud in clouds]


def _read_one(
    deployment: Deployment,
    cloud: PlannedCloud,
    *,
    open_cloud: Callable[[PlannedCloud, Credential], Cloud],
    emit: Callable[[str], None],
) -> Recovered:
    told = Recovered(cloud=cloud.cloud, images=0, added=0, known=0, others=0, left_out="", problem="")
    if cloud.settings.get("password") == "ask":
        told["left_out"] = (
            f"{cloud.cloud}: left out, as it asks for its password at every build; to read it, take `password: ask` "
            "out of include/clouds.yaml and give its connection an application credential for as long as this takes"
        )
        return told
    try:
        driver = open_cloud(cloud, None)
        for image in _images(driver):
            _take(deployment, cloud, image, told=told, emit=emit)
    except ConnectionMissing as error:
        told["left_out"] = f"{cloud.cloud}: left out: {error}"
    except ImagesmithError as error:
        told["problem"] = str(error)
    return told


def _images(driver: Cloud) -> list[Resource]:
    """Images that can be launched and bear the tag of that cloud: two clouds of one account are told apart by it."""
    tagged = [each for each in driver.find_images() if each.tags.get(TAG_CLOUD, driver.name) == driver.name]
    seen = driver.observe_images([each.id for each in tagged])
    return [each for each in tagged if seen[each.id].state is ImageState.AVAILABLE]


def _take(
    deployment: Deployment, cloud: PlannedCloud, image: Resource, *, told: Recovered, emit: Callable[[str], None]
) -> None:
    begun = moment_of(image.build_id)
    complete = image.tags.get(TAG_GENERATOR) and image.tags.get(TAG_VERSION) and begun
    if not complete or image.tags.get(TAG_DEPLOYMENT) != deployment_id(deployment.secret):
        told["others"] += 1
        return
    told["images"] += 1
    found = _found(cloud, image, begun=begun or datetime.now(UTC))
    added = deployment.catalog.recover_image(found)
    told["added" if added else "known"] += 1
    if added:
        emit(f"{cloud.cloud}: image {image.id} ({found.name}) of build {found.build_id} is known again")


def _found(cloud: PlannedCloud, image: Resource, *, begun: datetime) -> FoundImage:
    tags = image.tags
    name = tags.get("Name") or image.name
    return FoundImage(
        cloud=cloud.cloud,
        image_id=image.id,
        name=name,
        build_id=image.build_id,
        generator=tags[TAG_GENERATOR],
        version=tags[TAG_VERSION],
        source_image_id=tags.get(TAG_SOURCE, ""),
        inventory_digest=tags.get(TAG_DIGEST, ""),
        created_at=_moment(image.created) or begun,
        plan=_known_plan(cloud, image, name=name, begun=begun).model_dump(mode="json"),
    )


def _known_plan(cloud: PlannedCloud, image: Resource, *, name: str, begun: datetime) -> Plan:
    """A plan without a script: all that tags can tell of one."""
    target = PlannedTarget(
        **cloud.model_dump(include={"cloud", "cloud_type", "settings"}),
        source_image=PlannedSource(id=image.tags.get(TAG_SOURCE, "")),
        ssh_username="",
        instance_type="",
        image_name=name,
        public=False,
        tags={},
        required=True,
        disk_gib=None,
        time_limits_s={"terminate": 0},
    )
    return Plan(
        build_id=image.build_id,
        generator=image.tags[TAG_GENERATOR],
        version=image.tags[TAG_VERSION],
        description="",
        script_sha256=image.tags.get(TAG_SCRIPT, ""),
        scripts=(),
        files=(),
        parameters={},
        created=begun,
        time_limit_s=0,
        targets={cloud.cloud: target},
    )


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
