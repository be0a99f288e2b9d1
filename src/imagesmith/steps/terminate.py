"""Terminate: nothing of a target left on its cloud but a successful image. Runs after every build, however it ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from imagesmith import crash_points
from imagesmith.catalog.records import ResourceRecord, TargetRecord
from imagesmith.core import TAG_CLOUD, Resource, ResourceKind, TargetState
from imagesmith.errors import BuildStateError, ImagesmithError, Transient
from imagesmith.plan import Plan
from imagesmith.steps.context import TargetContext
from imagesmith.steps.leftovers import Leftover, builds_over, is_over, recorded_leftovers, recorded_things
from imagesmith.waiting import in_thread

DELETE_LOOKS_S = (0.5, 1, 2, 3, 5)
# For what each older build has left: a cloud that is well ends an instance in that time.
OLDER_LIMIT_S = 60
CANCELLED = "the build was cancelled or this target never got to its end"
PARTS_OF_AN_IMAGE = (ResourceKind.IMAGE, ResourceKind.SNAPSHOT)


async def terminate(context: TargetContext) -> dict[str, str]:
    """End the target and delete all it made, found by tag and by catalog row; how the target ended."""
    row = await _end_all(context)
    if row.sealed_credential:
        await _end_older(context)
        await _take_back_credential(context)
    context.emit(f"{context.name}: {row.state}, nothing left on the cloud{_but_the_image(row)}")
    return {"state": str(row.state)}


async def _end_all(context: TargetContext) -> TargetRecord:
    row = await end_target(context)
    rows = await in_thread(context.catalog.resources, build_id=context.plan.build_id, cloud=context.name)
    intents = [each for each in rows if not each.resource_id]
    if context.cloud.traits.marks_each and not intents:
        # What the catalog knows is all there should be, and what is not can still be found when that has gone.
        await delete(context, await _doomed(context, row, united([], rows)))
        await delete(context, await _doomed(context, row, await _left(context)))
        return row
    found = await _find(context, intents)
    unclear = await _identify(context, intents, found)
    await delete(context, await _doomed(context, row, united(found, rows)))
    if unclear:
        await _settle(context, row, unclear)
    return row


async def _end_older(context: TargetContext) -> None:
    """What builds that are over have left on a cloud that asks for a password: only now somebody is let in there.

    What can't be deleted is told, and waited for a short while only: it is not this build's failure.
    """
    now = datetime.now(UTC)
    over = await in_thread(builds_over, context.catalog, now=now)
    for leftover in sorted(set(await in_thread(recorded_leftovers, context.catalog, over))):
        if leftover.cloud != context.name:
            continue
        try:
            await _end_one_older(context, leftover.build_id, now)
        except Transient:
            raise  # the step is tried again
        except ImagesmithError as error:
            await _tell_what_stays(context, leftover, error)


async def _end_one_older(context: TargetContext, build_id: str, now: datetime) -> None:
    build = await in_thread(context.catalog.build, build_id)
    if not is_over(build, now=now):
        return  # it was begun anew meanwhile
    context.emit(f"{context.name}: deleting what build {build_id} left, whose credential has ended")
    plan = Plan.model_validate(build.plan)
    waits = context.waits.within(OLDER_LIMIT_S, f"the time for what build {build_id} left")
    older = replace(context, plan=plan, target=plan.targets[context.name], waits=waits)
    await _end_all(older)
    await older.update(sealed_credential="")


async def _tell_what_stays(context: TargetContext, leftover: Leftover, error: ImagesmithError) -> None:
    rows = await in_thread(recorded_things, context.catalog, [leftover.build_id])
    things = [f"{row.kind} {row.resource_id or row.name}" for row in rows if row.cloud == leftover.cloud]
    context.emit(
        f"{context.name}: WARNING: of build {leftover.build_id} there is still {', '.join(things)}, which could not be "
        f"deleted ({error}); see what uses it; the next build here tries again"
    )


async def end_target(context: TargetContext) -> TargetRecord:
    """The target's record in an ended state: one that did not succeed failed by its last error, or was cancelled."""
    row = await context.row()
    if row.state.ended:
        return row
    steps = await in_thread(context.catalog.steps, context.plan.build_id)
    errors = [step.error for step in steps if step.cloud == context.name and step.attempt == row.attempt and step.error]
    state = TargetState.FAILED if errors else TargetState.CANCELLED
    return await in_thread(
        context.catalog.fail_target,
        context.plan.build_id,
        context.name,
        errors[-1] if errors else CANCELLED,
        state=state,
    )


async def _find(context: TargetContext, intents: Sequence[ResourceRecord]) -> list[Resource]:
    """The target's resources by tag, and by name what `intents` may have made that bears no build's tag.

    Two clouds of one account are told apart by the tag of the cloud.
    """
    what = f"{context.name}: find what build {context.plan.build_id} made"
    if not intents:
        return await context.waits.again(what, lambda: context.looks.left(context.plan.build_id, context.waits))
    # Who looks for what a lost call has made needs the names, which only a look of its own tells.
    found = await context.waits.call(what, context.cloud.find_resources, context.plan.build_id)
    names = [intent.name for intent in intents if intent.kind is ResourceKind.SECURITY_GROUP]
    shared = await context.waits.call(what, context.cloud.find_shared, names) if names else []
    return [each for each in (*found, *shared) if each.tags.get(TAG_CLOUD, context.name) == context.name]


async def _left(context: TargetContext) -> list[Resource]:
    """What bears the target's tag although all that the catalog knew has been deleted."""
    what = f"{context.name}: see that build {context.plan.build_id} has left nothing"
    found = await context.waits.again(what, lambda: context.looks.left(context.plan.build_id, context.waits))
    rows = await in_thread(
        context.catalog.resources, build_id=context.plan.build_id, cloud=context.name, include_gone=True
    )
    gone = {(each.kind, each.resource_id) for each in rows if each.gone_at}
    return [each for each in found if (each.kind, each.id) not in gone]


def united(found: list[Resource], rows: Iterable[ResourceRecord]) -> list[Resource]:
    """Each thing once, with the time it was made where the catalog alone knows it."""
    things = {(resource.kind, resource.id): resource for resource in found}
    for row in rows:
        if row.resource_id:
            thing = things.get((row.kind, row.resource_id)) or Resource(row.kind, row.resource_id, name=row.name)
            made = row.made_at.isoformat() if row.made_at else ""
            things[row.kind, row.resource_id] = replace(thing, created=thing.created or made)
    return list(things.values())


async def _doomed(context: TargetContext, row: TargetRecord, resources: list[Resource]) -> list[Resource]:
    """What has to go: everything, except that a successful target keeps its image and the disks behind it.

    Raises BuildStateError where the target, which ended as `row`, was begun anew: what was found may be of its next
    attempt, which nobody but its own teardown may end.
    """
    if (await context.row()).attempt != row.attempt:
        raise BuildStateError(
            f"{context.name}: build {context.plan.build_id} was begun anew while what it had left was deleted; "
            "its own terminate task deletes the rest"
        )
    if row.state is not TargetState.SUCCESSFUL:
        return resources
    return [resource for resource in resources if resource.kind not in PARTS_OF_AN_IMAGE]


async def _identify(
    context: TargetContext, intents: list[ResourceRecord], found: list[Resource]
) -> list[ResourceRecord]:
    """The intents whose things were not found; the others get their things' ids, so that their end is recorded."""
    ledger = context.catalog.ledger(context.plan.build_id, context.name)
    ids = {(resource.kind, resource.name): resource.id for resource in found}
    unclear = []
    for intent in intents:
        if resource_id := ids.get((intent.kind, intent.name)):
            await in_thread(ledger.made, intent.kind, intent.name, resource_id)
        else:
            unclear.append(intent)
    return unclear


async def delete(context: TargetContext, doomed: list[Resource]) -> None:
    """Delete until the cloud says that each thing is gone, and write that down."""
    left = doomed

    async def look() -> bool | None:
        nonlocal left
        left = await _let_go(context, left)
        if not left:
            return True
        await crash_points.areach(crash_points.BEFORE_CALL)
        remaining = await _ask_for_the_end(context, left)
        await _record_gone(context, [resource for resource in left if resource not in remaining])
        left = remaining
        return True if not left else None

    what = f"{context.name}: delete " + ", ".join(f"{resource.kind} {resource.id}" for resource in doomed)
    await context.waits.until(look, what, every_s=DELETE_LOOKS_S)


async def _let_go(context: TargetContext, left: list[Resource]) -> list[Resource]:
    """What is ours to delete: not what other targets use as well. Once no instance of ours uses it they get it."""
    if any(each.kind is ResourceKind.INSTANCE for each in left):
        return left
    target = (context.plan.build_id, context.name)
    groups = [each for each in left if each.kind is ResourceKind.SECURITY_GROUP]
    others = [each for each in groups if await in_thread(context.catalog.let_go, *target, each.kind, each.id)]
    return [each for each in left if each not in others]


async def _ask_for_the_end(context: TargetContext, left: list[Resource]) -> list[Resource]:
    """What is not yet gone; where one call ends many instances, those of all builds are asked for together."""
    instances = [each for each in left if each.kind is ResourceKind.INSTANCE]
    if not instances or not context.cloud.traits.ends_many:
        return await in_thread(context.cloud.delete, left)
    remaining = await context.looks.end(instances, context.waits)
    return [*remaining, *(each for each in left if each.kind is not ResourceKind.INSTANCE)]


async def _record_gone(context: TargetContext, gone: list[Resource]) -> None:
    ledger = context.catalog.ledger(context.plan.build_id, context.name)
    for resource in gone:
        await in_thread(ledger.gone, resource.kind, resource.id)
        if resource.kind is ResourceKind.IMAGE:
            await in_thread(context.catalog.image_deleted, context.name, resource.id)


async def _settle(context: TargetContext, row: TargetRecord, unclear: list[ResourceRecord]) -> None:
    """Intents whose call may or may not have reached the cloud: look again once the cloud's listings must show it."""
    if context.cloud.traits.settle_s:
        context.emit(
            f"{context.name}: {len(unclear)} call(s) were cut off; looking again in {context.cloud.traits.settle_s:g} s"
        )
        await context.waits.pause(context.cloud.traits.settle_s, f"{context.name}: wait for the cloud's listings")
    found = await _find(context, unclear)
    await delete(context, await _doomed(context, row, found))
    if any(each.kind is ResourceKind.FLOATING_IP for each in await _identify(context, unclear, found)):
        context.emit(
            f"{context.name}: WARNING: the answer to a call for a floating IP was lost and none was found; "
            "Nova's own can bear no mark: see whether there is one that nobody uses"
        )
    for intent in unclear:
        await in_thread(context.catalog.abandon_resource, context.plan.build_id, context.name, intent.kind, intent.name)


async def _take_back_credential(context: TargetContext) -> None:
    """The last act on a cloud that asked for a password: what stood for it ends, and nothing of it is kept."""
    trouble: str = await context.waits.call(f"{context.name}: take back the credential", context.cloud.end_credential)
    if trouble:
        context.emit(f"{context.name}: the credential of this build ends by itself: {trouble}")
    await context.update(sealed_credential="")


def _but_the_image(row: TargetRecord) -> str:
    made = row.state is TargetState.SUCCESSFUL and not row.kept_image_id
    return f" but image {row.image_name}" if made else ""
