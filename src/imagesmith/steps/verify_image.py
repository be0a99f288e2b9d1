"""VerifyImage: the saved image booted with a key of its own, and only good if it is what was customized.

What a boot decides (listening sockets, kernel parameters) is taken from this boot into the image's inventory; all else
has to be equal to what the customized instance told before its clean-up.
"""

from __future__ import annotations

from imagesmith import crash_points
from imagesmith.catalog.records import ImageRecord, TargetRecord
from imagesmith.core import InstanceState, TargetState
from imagesmith.differences import DECIDED_AT_BOOT, Difference, differences, shown
from imagesmith.errors import BuildStateError, ConnectionLost, InstanceLost, VerificationFailed
from imagesmith.inventory import Inventory
from imagesmith.inventory_text import Reading
from imagesmith.remains import given_words, judge, search_words
from imagesmith.ssh import Remote, connect
from imagesmith.steps.context import TargetContext
from imagesmith.steps.inspection import inspect, machine_is_ready, take_inventory
from imagesmith.steps.instances import bring_up, instance_name, things_of
from imagesmith.steps.roles import CUSTOMIZED, VERIFYING
from imagesmith.steps.script_runs import run_series, tests_of
from imagesmith.steps.snapshot_image import image_tags
from imagesmith.steps.terminate import PARTS_OF_AN_IMAGE, delete, united
from imagesmith.waiting import in_thread

REMAINS = "remains.sh"
RECONNECT_S = 1.0
# After this many connections that failed in a row the cloud is asked whether the instance still lives.
ALIVE_LOOK_EVERY = 5
# SSH answers before every service listens: so often and so long after each other sockets are looked at again.
SERVICE_LOOKS = 5
SERVICE_LOOK_S = 2.0


async def verify_image(context: TargetContext) -> dict[str, str]:
    """Boot the image, compare, search and test, and declare it successful; raises VerificationFailed."""
    build_id = context.plan.build_id
    row = await in_thread(context.catalog.advance_target, build_id, context.name, TargetState.VERIFYING)
    if row.state is TargetState.SUCCESSFUL:
        return {"image_name": row.image_name}
    image = await _image(context)
    if not row.verify_instance_id:
        await _make_room(context, row)
    row = await bring_up(context, row, VERIFYING, image_id=image.image_id)
    await _verify(context, row)
    await _declare_good(context, image)
    return {"image_id": image.image_id, "image_name": image.name}


async def _image(context: TargetContext) -> ImageRecord:
    images = await in_thread(context.catalog.images, build_id=context.plan.build_id, cloud=context.name)
    found = next((image for image in images if image.available_at), None)
    if found is None:
        raise BuildStateError(
            f"{context.name}: this build has saved no image to verify; clear its snapshot_image task as well"
        )
    return found


async def _make_room(context: TargetContext, row: TargetRecord) -> None:
    """End the customized instance, whose image is there: quotas and floating IPs may be enough for one only."""
    things = await things_of(context, instance_name(context, row, CUSTOMIZED))
    old = [each for each in united([], things) if each.kind not in PARTS_OF_AN_IMAGE]
    if old:
        await delete(context, old)


async def _verify(context: TargetContext, row: TargetRecord) -> None:
    """All that is to be seen on the instance, over as many connections as it takes."""
    failures = 0
    while True:
        try:
            async with connect(context.login(row, VERIFYING), _work_id(context)) as remote:
                failures = 0
                await _look(context, remote)
                await run_series(context, remote, tests_of(context.plan))
                return
        except ConnectionLost as error:
            failures += 1
            await _after_loss(context, row, error, failures)


def _work_id(context: TargetContext) -> str:
    """What the tests' directory over there is named by, so that none of the build is taken for it."""
    return f"{context.plan.build_id}-verify"


async def _after_loss(context: TargetContext, row: TargetRecord, error: ConnectionLost, failures: int) -> None:
    if failures % ALIVE_LOOK_EVERY == 0:
        instance = await context.see_instance(row.verify_instance_id)
        if instance.state not in (InstanceState.PENDING, InstanceState.RUNNING):
            raise InstanceLost(
                f"{context.name}: instance {instance.id}, booted to verify the image, is {instance.state}: "
                f"{instance.reason or 'no reason given'}; build again"
            )
    what = f"{context.name}: reach instance {row.verify_instance_id} again"
    await context.waits.pause(RECONNECT_S, what, cause=error)


async def _look(context: TargetContext, remote: Remote) -> None:
    """What the image holds, seen once: the tests that come later may change anything."""
    row = await context.row()
    if row.verify_inspected_id == row.verify_instance_id:
        return
    await machine_is_ready(context, remote)
    expected = await in_thread(context.catalog.inventory, row.inventory_digest)
    if expected is None:
        raise BuildStateError(
            f"{context.name}: there is no inventory of the customized instance to compare with; build anew"
        )
    reading = await _compared(context, remote, row, expected=expected)
    await _refuse_remains(context, remote, row)
    digest = await in_thread(context.catalog.record_inventory, reading.inventory)
    await crash_points.areach(crash_points.AFTER_CALL)
    await context.update(verify_inspected_id=row.verify_instance_id, inventory_digest=digest)
    context.emit(f"{context.name}: the image holds what was customized ({digest[:12]}) and nothing of the build")


async def _compared(context: TargetContext, remote: Remote, row: TargetRecord, *, expected: Inventory) -> Reading:
    """The booted image's inventory, which is the customized instance's; raises VerificationFailed."""
    await crash_points.areach(crash_points.BEFORE_CALL)
    for looks_left in reversed(range(SERVICE_LOOKS)):
        reading = await take_inventory(context, remote)
        found = differences(expected, reading.inventory)
        _refuse_differences(context, found)
        if not looks_left or not any(each.part == "sockets" for each in found):
            break
        await context.waits.pause(SERVICE_LOOK_S, f"{context.name}: wait for the image's services")
    same = set(row.identity.splitlines()) & set(reading.identity)
    if same:
        names = ", ".join(sorted(line.split()[0] for line in same))
        raise VerificationFailed(
            f"{context.name}: every machine of this image would have the build's {names}; see clean-up.sh"
        )
    if found:
        context.emit(f"{context.name}: decided at boot, and taken into the image's inventory:\n{shown(found)}")
    return reading


def _refuse_differences(context: TargetContext, found: list[Difference]) -> None:
    wrong = [each for each in found if each.part not in DECIDED_AT_BOOT]
    if wrong:
        raise VerificationFailed(
            f"{context.name}: the image, booted, is not what was customized:\n{shown(wrong)}\n"
            "does something change at every boot? let the script settle it, or set verify: false"
        )


async def _refuse_remains(context: TargetContext, remote: Remote, row: TargetRecord) -> None:
    wanted, too_short = search_words(context.secrets)
    for name in too_short:
        context.emit(f"{context.name}: WARNING: the secret {name} is too short to be searched for in the image")
    printed = await inspect(context, remote, REMAINS, given=given_words(wanted))
    remains = judge(
        printed,
        own_key=context.key(f"{VERIFYING.prefix}login", row.attempt).public,
        meant=_meant(context),
        own_directory=_work_id(context),
        secrets=list(wanted),
    )
    if remains:
        raise VerificationFailed(
            f"{context.name}: the image holds what must not stay in it:\n" + "\n".join(remains) + "\n"
            "let the script remove it; keys that are meant to stay stand in a script, file or parameter"
        )


def _meant(context: TargetContext) -> list[str]:
    """All that the generator says, and so means."""
    plan = context.plan
    files = [file.content.decode(errors="replace") for file in plan.files]
    return [*(script.text for script in plan.scripts), *files, *map(str, plan.parameters.values())]


async def _declare_good(context: TargetContext, image: ImageRecord) -> None:
    """The image's own tags and permissions first, then the catalog's word."""
    row = await context.row()
    if context.target.public or row.inventory_digest != image.inventory_digest:
        await context.waits.call(
            f"{context.name}: finish image {image.image_id}",
            context.cloud.finish_image,
            image.image_id,
            tags=image_tags(context, row),
            public=context.target.public,
        )
    await in_thread(context.catalog.image_verified, context.name, image.image_id)
    await in_thread(context.catalog.advance_target, context.plan.build_id, context.name, TargetState.SUCCESSFUL)
    context.emit(f"{context.name}: image {image.image_id} ({image.name}) is verified")
