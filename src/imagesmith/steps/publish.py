"""Publish: the build's end, from the catalog alone: what every target came to, and whether that is a success."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from imagesmith.catalog.records import BuildRecord, BuildState, ImageRecord, TargetRecord
from imagesmith.catalog.store import Catalog
from imagesmith.consistency import Comparison
from imagesmith.core import ImageState, TargetState
from imagesmith.errors import BuildFailed, BuildStateError
from imagesmith.plan import Plan
from imagesmith.steps.announcing import News, news_of
from imagesmith.steps.proving import prove
from imagesmith.steps.runner import Deployment
from imagesmith.steps.sameness import compared, objection, told
from imagesmith.steps.terminate import CANCELLED
from imagesmith.steps.unchanged import unchanged


@dataclass(frozen=True)
class Outcome:
    """How a build ended: its targets, its new images, those it kept as they were, and a line for each that failed.

    `comparison` is None where there were not two images to compare.
    """

    build: BuildRecord
    targets: tuple[TargetRecord, ...]
    images: tuple[ImageRecord, ...]
    kept: tuple[ImageRecord, ...]
    reasons: tuple[str, ...]
    comparison: Comparison | None = None

    @property
    def state(self) -> BuildState:
        """How the build ended."""
        return self.build.state


def publish(build_id: str, *, catalog: Catalog, secret: bytes) -> Outcome:
    """End the build: successful when every required target is, cancelled when nothing failed but one was cancelled.

    Where the generator requires images that are the same, a difference that nothing allows fails it as well. What it
    made is stated and signed with the key of the deployment's `secret`.
    """
    for target in catalog.targets(build_id):
        if not target.state.ended:
            catalog.fail_target(build_id, target.cloud, CANCELLED, state=TargetState.CANCELLED)
    targets = tuple(catalog.targets(build_id))
    images = new_images(build_id, targets, catalog)
    plan = Plan.model_validate(catalog.build(build_id).plan)
    kept = kept_images(targets, catalog)
    comparison = compared(plan, (*images, *kept), catalog=catalog)
    state = _state(targets)
    reasons = tuple(
        f"{target.cloud}: {target.state}: {target.error.removeprefix(f'{target.cloud}: ')}"
        for target in targets
        if target.state is not TargetState.SUCCESSFUL
    )
    if not_the_same := objection(plan, comparison):
        state = BuildState.FAILED if state is BuildState.SUCCESSFUL else state
        reasons = (*reasons, not_the_same)
    build = catalog.end_build(build_id, state, error="\n".join(reasons))
    prove(build, images, catalog=catalog, secret=secret)
    return Outcome(build=build, targets=targets, images=images, kept=kept, reasons=reasons, comparison=comparison)


def new_images(build_id: str, targets: Iterable[TargetRecord], catalog: Catalog) -> tuple[ImageRecord, ...]:
    """The images of successful targets; one that was refused may be there still, and nobody is to rely on it."""
    good = {target.cloud for target in targets if target.state is TargetState.SUCCESSFUL}
    found = catalog.images(build_id=build_id)
    return tuple(image for image in found if image.state is ImageState.AVAILABLE and image.cloud in good)


def kept_images(targets: Iterable[TargetRecord], catalog: Catalog) -> tuple[ImageRecord, ...]:
    """The earlier builds' images that targets ended with because new ones would have been the same."""
    found = [catalog.image(target.cloud, target.kept_image_id) for target in targets if target.kept_image_id]
    return tuple(image for image in found if image is not None)


def _state(targets: tuple[TargetRecord, ...]) -> BuildState:
    counted = [target for target in targets if target.required] or list(targets)
    states = {target.state for target in counted}
    if states == {TargetState.SUCCESSFUL}:
        return BuildState.SUCCESSFUL
    return BuildState.FAILED if TargetState.FAILED in states else BuildState.CANCELLED


def publish_run(
    dag_id: str,
    run_id: str,
    *,
    deployment: Deployment,
    emit: Callable[[str], None],
    announce: Callable[[News], None],
) -> dict[str, str]:
    """Image id by cloud of the build of that run, after its end; raises BuildFailed unless it is successful.

    `announce` gets the news of each new image.
    """
    catalog = deployment.catalog
    build = catalog.find_build(dag_id, run_id)
    if build is None:
        raise BuildStateError(f"{dag_id}: run {run_id} has no build in the catalog; clear its begin task")
    outcome = publish(build.build_id, catalog=catalog, secret=deployment.secret)
    for image in outcome.images:
        emit(f"{image.cloud}: image {image.image_id} ({image.name}) from {image.source_image_id}")
    for image in outcome.kept:
        emit(unchanged(image))
    for line in told(outcome.comparison):
        emit(line)
    for reason in outcome.reasons:
        emit(reason)
    if outcome.state is not BuildState.SUCCESSFUL:
        raise BuildFailed(
            f"build {build.build_id} of {build.generator} is {outcome.state}:\n" + "\n".join(outcome.reasons)
        )
    for news in news_of(outcome.build, outcome.images, catalog):
        announce(news)
    return {image.cloud: image.image_id for image in (*outcome.images, *outcome.kept)}
