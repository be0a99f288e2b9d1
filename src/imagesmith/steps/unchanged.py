"""Whether a target would only make again what is there: `skip_if_unchanged`."""

from __future__ import annotations

from imagesmith.catalog.records import ImageRecord, TargetRecord
from imagesmith.catalog.store import Catalog
from imagesmith.plan import Plan

# Builds with other parameters lie between; past so many it is quicker to build.
LOOK_BACK = 100


def same_image(plan: Plan, row: TargetRecord, catalog: Catalog) -> ImageRecord | None:
    """The newest image of the same version, parameters, cloud and source image; None where a new one is wanted.

    Decided once the source image is known by its id, as only the cloud can tell which one a name stands for now.
    """
    if not plan.skip_if_unchanged or plan.rebuild_of or plan.secrets or not row.source_image_id:
        return None
    candidates = catalog.successful_images(
        plan.generator,
        cloud=row.cloud,
        version=plan.version,
        source_image_id=row.source_image_id,
        limit=LOOK_BACK,
    )
    return next((image for image in candidates if _asked_alike(plan, catalog, image)), None)


def unchanged(image: ImageRecord) -> str:
    """Why nothing is built, for people."""
    return (
        f"{image.cloud}: unchanged: image {image.image_id} ({image.name}) of build {image.build_id} has the same "
        f"version {image.version}, parameters and source image {image.source_image_id}; nothing is built"
    )


def _asked_alike(plan: Plan, catalog: Catalog, image: ImageRecord) -> bool:
    """The version speaks for the generator's files; what it does not cover is the run's and the cloud's own."""
    earlier = Plan.model_validate(catalog.build(image.build_id).plan)
    if not earlier.scripts:
        return False  # read back from the cloud's tags, which do not tell the parameters
    before, now = earlier.targets[image.cloud], plan.targets[image.cloud]
    if now.verify and (image.verified_at is None or earlier.tests != plan.tests):
        return False  # the image may be the same, but nobody has seen that it is as this build wants it
    return (earlier.parameters, before.cloud_type, before.settings) == (plan.parameters, now.cloud_type, now.settings)
