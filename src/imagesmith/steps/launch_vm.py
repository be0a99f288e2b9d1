"""LaunchVM: an instance of the source image that answers over SSH with the host key it was given."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from imagesmith.catalog.records import ImageRecord, TargetRecord
from imagesmith.core import TAG_CLOUD, SourceImage, TargetState
from imagesmith.errors import NameTaken
from imagesmith.steps.context import TargetContext
from imagesmith.steps.instances import bring_up
from imagesmith.steps.roles import CUSTOMIZED
from imagesmith.steps.source_image import source_query
from imagesmith.steps.unchanged import same_image, unchanged
from imagesmith.waiting import in_thread

# The newest source image another build has just found is the newest for us, too.
SOURCE_GOOD_FOR = timedelta(minutes=1)


async def launch_vm(context: TargetContext) -> dict[str, str]:
    """Launch the target's instance, or adopt it, and wait for its SSH; the instance's id and address."""
    row = await in_thread(context.catalog.advance_target, context.plan.build_id, context.name, TargetState.LAUNCHING)
    if row.state is TargetState.SUCCESSFUL:
        kept = await in_thread(context.catalog.image, context.name, row.kept_image_id)
        return _kept(kept) if kept else {"image_name": row.image_name}
    row, details = await _settle_source_image(context, row)
    if not row.instance_id:
        if same := await in_thread(same_image, context.plan, row, context.catalog):
            return await _keep(context, same)
        await _refuse_taken_name(context, row)
    row = await bring_up(context, row, CUSTOMIZED, image_id=row.source_image_id, details=details)
    return {"instance_id": row.instance_id, "address": row.address}


async def _settle_source_image(context: TargetContext, row: TargetRecord) -> tuple[TargetRecord, Mapping[str, Any]]:
    """The record with the source image's id: looked up once, then kept by every retry; and the image's details."""
    if row.source_image_id:
        return row, {}
    query = await in_thread(source_query, context.target, context.catalog)

    async def look() -> SourceImage:
        since = max(context.plan.created, datetime.now(UTC) - SOURCE_GOOD_FOR)
        return await context.looks.source_image(query, context.waits, since=since)

    found = await context.waits.again(f"{context.name}: look up source image {query}", look)
    context.emit(f"{context.name}: source image {found.id} ({found.name})")
    return await context.update(source_image_id=found.id, source_image_name=found.name), found.details


async def _keep(context: TargetContext, same: ImageRecord) -> dict[str, str]:
    """The target ended with the image that is there."""
    context.emit(unchanged(same))
    await in_thread(context.catalog.keep_image, context.plan.build_id, context.name, same.image_id)
    return _kept(same)


def _kept(image: ImageRecord) -> dict[str, str]:
    return {"image_id": image.image_id, "image_name": image.name, "unchanged_since": image.build_id}


async def _refuse_taken_name(context: TargetContext, row: TargetRecord) -> None:
    taken = await context.waits.again(
        f"{context.name}: look up image {row.image_name}",
        lambda: context.looks.image_named(row.image_name, context.waits),
    )
    ours = (context.plan.build_id, context.name)
    if taken is not None and (taken.build_id, taken.tags.get(TAG_CLOUD)) != ours:
        raise NameTaken(
            f"{context.name}: an image named {row.image_name} is there already ({taken.id}) and is not overwritten; "
            f"put {{build_id}} into image_name in include/generators/{context.plan.generator}.yaml, or remove it"
        )
