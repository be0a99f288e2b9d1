"""SnapshotImage: the customized instance saved as a new image, tagged, and available.

An image that is to be verified is nobody else's to launch, and not successful, before VerifyImage has seen it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from imagesmith.catalog.records import TargetRecord
from imagesmith.core import Image, ImageState, InstanceState, ResourceKind, SaveRequest, TargetState
from imagesmith.errors import BuildStateError, InstanceLost, NameTaken, SaveFailed, SaveInterrupted
from imagesmith.steps.context import TargetContext
from imagesmith.waiting import in_thread

IMAGE_FIRST_LOOK_S = 0.8
IMAGE_LOOKS_S = (2, 3, 5)
SAVE_AGAIN_S = 2.0
STOPPED_GOOD_FOR = timedelta(seconds=30)
STOP_LOOKS_S = (0.5, 1, 2)


async def snapshot_image(context: TargetContext) -> dict[str, str]:
    """Save the instance, or adopt the image that was begun, and wait until it is available; the image's id and name."""
    build_id = context.plan.build_id
    row = await in_thread(context.catalog.advance_target, build_id, context.name, TargetState.SAVING)
    if row.state is TargetState.SUCCESSFUL:
        return {"image_name": row.image_name}
    _refuse_uncustomized(context, row)
    if context.cloud.traits.powers_off:
        await _stopped(context, row.instance_id or "")
    image = await _saved(context, row)
    image_id = image.id
    await context.waits.call(
        f"{context.name}: finish image {image_id}",
        context.cloud.finish_image,
        image_id,
        tags=image_tags(context, row),
        public=context.target.public and not context.target.verify,
        seen=image,
    )
    await in_thread(context.catalog.image_available, context.name, image_id)
    if not context.target.verify:
        await in_thread(context.catalog.advance_target, build_id, context.name, TargetState.SUCCESSFUL)
    context.emit(f"{context.name}: image {image_id} ({row.image_name}) is available")
    return {"image_id": image_id, "image_name": row.image_name, "source_image_id": row.source_image_id or ""}


def _refuse_uncustomized(context: TargetContext, row: TargetRecord) -> None:
    """Clearing this task alone launches anew but does not customize: such an instance is never saved."""
    if not row.instance_id or row.customized_instance_id != row.instance_id:
        raise BuildStateError(
            f"{context.name}: instance {row.instance_id or '(none)'} was not customized by this build; "
            "clear the customize task as well"
        )


async def _stopped(context: TargetContext, instance_id: str) -> None:
    what = f"{context.name}: wait until {instance_id} is stopped"
    recently = datetime.now(UTC) - STOPPED_GOOD_FOR
    # The step before has mostly just seen it.
    seen = await context.waits.again(what, lambda: context.looks.instance(instance_id, context.waits, since=recently))
    if seen.state is InstanceState.STOPPED:
        return

    async def look() -> bool | None:
        instance = await context.see_instance(instance_id)
        if instance.state is InstanceState.STOPPED:
            return True
        if instance.state in (InstanceState.GONE, InstanceState.FAILED):
            raise InstanceLost(
                f"{context.name}: instance {instance_id} is {instance.state} before its image was saved: "
                f"{instance.reason or 'no reason given'}; build again"
            )
        if instance.state is InstanceState.RUNNING:
            raise BuildStateError(
                f"{context.name}: instance {instance_id} was started after its clean-up and may hold new host keys; "
                "clear the build's first task to build anew"
            )
        return None

    await context.waits.until(look, what, every_s=STOP_LOOKS_S)


def image_tags(context: TargetContext, row: TargetRecord) -> dict[str, str]:
    """What the image is to bear, by which it is known even without the catalog."""
    return {"Name": row.image_name, **context.tags(row)}


async def _saved(context: TargetContext, row: TargetRecord) -> Image:
    """The image, which is available; a save that was cut off is asked for again."""
    image_id = await _begun(context, row)
    while True:
        image_id = image_id or await _save(context, row)
        try:
            return await _available(context, image_id)
        except SaveInterrupted as error:
            image_id = ""
            context.emit(f"{error}; it is asked for again")
            await context.waits.pause(SAVE_AGAIN_S, f"{context.name}: save {row.instance_id} again", cause=error)


async def _begun(context: TargetContext, row: TargetRecord) -> str:
    """The id of the image whose save this step has begun before it was entered again, or ""."""
    images = await in_thread(context.catalog.images, build_id=context.plan.build_id)
    rows = await in_thread(context.catalog.resources, build_id=context.plan.build_id, cloud=context.name)
    there = {each.resource_id for each in rows if each.kind is ResourceKind.IMAGE and each.name == row.image_name}
    return next((each.image_id for each in images if each.cloud == context.name and each.image_id in there), "")


async def _save(context: TargetContext, row: TargetRecord) -> str:
    rows = await in_thread(context.catalog.resources, build_id=context.plan.build_id, cloud=context.name)
    request = SaveRequest(
        name=row.image_name,
        build_id=context.plan.build_id,
        instance_id=row.instance_id or "",
        description=f"{context.plan.generator} {context.plan.version} from {row.source_image_id}",
        tags=image_tags(context, row),
        public=context.target.public,
        retried=any(each.kind is ResourceKind.IMAGE and each.name == row.image_name for each in rows),
    )
    ledger = context.catalog.ledger(context.plan.build_id, context.name)

    async def save() -> str:
        await context.let_settle(ResourceKind.IMAGE)
        return await in_thread(context.cloud.save, request, ledger)

    try:
        image_id = await context.waits.again(f"{context.name}: save {request.instance_id} as {request.name}", save)
    except NameTaken:
        # The image of that name is somebody else's: there is nothing of ours for the teardown to look for.
        await in_thread(
            context.catalog.abandon_resource, request.build_id, context.name, ResourceKind.IMAGE, request.name
        )
        raise
    await in_thread(
        context.catalog.record_image,
        context.plan.build_id,
        context.name,
        image_id=image_id,
        name=row.image_name,
        public=context.target.public,
    )
    context.emit(f"{context.name}: image {image_id} ({row.image_name}) is being saved")
    return image_id


async def _available(context: TargetContext, image_id: str) -> Image:
    async def look() -> Image | None:
        image = await context.see_image(image_id)
        if image.state is ImageState.AVAILABLE:
            return image
        if image.state in (ImageState.FAILED, ImageState.GONE):
            raise SaveFailed(
                f"{context.name}: image {image_id} is {image.state} instead of available: "
                f"{image.reason or 'the cloud gives no reason'}; the instance is removed, build again"
            )
        return None

    what = f"{context.name}: wait until image {image_id} is available"
    return await context.waits.until(look, what, every_s=IMAGE_LOOKS_S, first_s=IMAGE_FIRST_LOOK_S)
