"""LaunchVM: an instance of the source image that answers over SSH with the host key it was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from imagesmith.catalog.records import ResourceRecord, TargetRecord
from imagesmith.core import (
    TAG_CLOUD,
    AddressRequest,
    Instance,
    InstanceState,
    LaunchRequest,
    ResourceKind,
    SourceImage,
    TargetState,
)
from imagesmith.errors import (
    ConnectionLost,
    CredentialsRefused,
    DefinitionError,
    LaunchRefused,
    NameTaken,
    QuotaExceeded,
    TimeLimitExceeded,
    Transient,
    Unreachable,
)
from imagesmith.keys import KeyPair
from imagesmith.ssh import KeyRefused, Login, await_banner, connect
from imagesmith.steps.context import TargetContext
from imagesmith.waiting import in_thread

# The newest source image another build has just found is the newest for us, too.
SOURCE_GOOD_FOR = timedelta(minutes=1)
INSTANCE_FIRST_LOOK_S = 0.5
INSTANCE_LOOKS_S = (5, 3)
SSH_LOOKS_S = (0.5,)
# While SSH is awaited the cloud is asked this seldom whether the instance still lives.
ALIVE_LOOK_EVERY = 30
CONSOLE_TAIL_CHARS = 2_000
# What a cloud answers when it has made nothing; any other error may hide an effect.
REFUSALS = (LaunchRefused, QuotaExceeded, CredentialsRefused, DefinitionError)


async def launch_vm(context: TargetContext) -> dict[str, str]:
    """Launch the target's instance, or adopt it, and wait for its SSH; the instance's id and address."""
    row = await in_thread(context.catalog.advance_target, context.plan.build_id, context.name, TargetState.LAUNCHING)
    if row.state is TargetState.SUCCESSFUL:
        return {"image_name": row.image_name}
    row, details = await _settle_source_image(context, row)
    if not row.instance_id:
        await _refuse_taken_name(context, row)
        row = await _launch(context, row, details)
    instance = await _running(context, row)
    row = await context.update(address=instance.address)
    await _ssh_answers(context, row)
    return {"instance_id": instance.id, "address": instance.address}


def instance_name(context: TargetContext, row: TargetRecord) -> str:
    """The name of the instance, key pair and group of one attempt: the same again after a crash, never another's."""
    return f"imagesmith-{context.plan.build_id}-{context.name}-{row.attempt}"


async def _settle_source_image(context: TargetContext, row: TargetRecord) -> tuple[TargetRecord, Mapping[str, Any]]:
    """The record with the source image's id: looked up once, then kept by every retry; and the image's details."""
    if row.source_image_id:
        return row, {}
    query = context.target.source_image.query()

    async def look() -> SourceImage:
        since = max(context.plan.created, datetime.now(UTC) - SOURCE_GOOD_FOR)
        return await context.looks.source_image(query, context.waits, since=since)

    found = await context.waits.again(f"{context.name}: look up source image {query}", look)
    context.emit(f"{context.name}: source image {found.id} ({found.name})")
    return await context.update(source_image_id=found.id, source_image_name=found.name), found.details


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


async def _launch(context: TargetContext, row: TargetRecord, details: Mapping[str, Any]) -> TargetRecord:
    login, host = context.key("login", row.attempt), context.key("host", row.attempt)
    name = instance_name(context, row)
    request = LaunchRequest(
        name=name,
        build_id=context.plan.build_id,
        source_image_id=row.source_image_id or "",
        instance_type=context.target.instance_type,
        public_key=login.public,
        user_data=_user_data(login, host) if context.cloud.traits.host_key_injection else "",
        tags={"Name": name, **context.tags(row)},
        disk_gib=context.target.disk_gib,
        source_details=details,
        lease_s=context.plan.time_limit_s + context.target.time_limits_s["terminate"],
    )
    instance_id = await _instance_for(context, request)
    context.emit(f"{context.name}: instance {instance_id} ({request.instance_type}) launched")
    return await context.update(instance_id=instance_id)


async def _instance_for(context: TargetContext, request: LaunchRequest) -> str:
    """The id of the instance. A plain refusal closes what it was intended for, so that nobody looks for it later."""
    ledger = context.catalog.ledger(context.plan.build_id, context.name)
    unclear = bool(await _open_intents(context))

    async def launch() -> str:
        nonlocal unclear
        await context.let_settle(ResourceKind.INSTANCE)
        try:
            return await in_thread(context.cloud.launch, replace(request, retried=unclear), ledger)
        except Transient:
            unclear = True
            raise

    try:
        return await context.waits.again(f"{context.name}: launch an instance of {request.source_image_id}", launch)
    except REFUSALS:
        # An earlier call whose answer was lost may have made what this one was refused for.
        for intent in [] if unclear else await _open_intents(context):
            await in_thread(
                context.catalog.abandon_resource, context.plan.build_id, context.name, intent.kind, intent.name
            )
        raise


async def _open_intents(context: TargetContext) -> list[ResourceRecord]:
    rows = await in_thread(context.catalog.resources, build_id=context.plan.build_id, cloud=context.name)
    return [row for row in rows if not row.resource_id]


def _user_data(login: KeyPair, host: KeyPair) -> str:
    """Cloud-config that lets the build's key in and gives the instance its SSH host key, checked from the start.

    https://cloudinit.readthedocs.io/en/latest/reference/modules.html#ssh
    """
    private = "".join(f"    {line}\n" for line in host.private.splitlines())
    return (
        f"#cloud-config\nssh_authorized_keys:\n  - {login.public}\n"
        "ssh_deletekeys: true\nssh_genkeytypes: []\nssh_keys:\n"
        f"  ed25519_private: |\n{private}  ed25519_public: {host.public}\n"
    )


async def _running(context: TargetContext, row: TargetRecord) -> Instance:
    instance_id = row.instance_id or ""

    async def look() -> Instance | None:
        instance = await context.see_instance(instance_id)
        _refuse_dead(context, instance)
        if instance.state is InstanceState.RUNNING and not instance.address and await _give_address(context, row):
            instance = await context.see_instance(instance_id)
        return instance if instance.state is InstanceState.RUNNING and instance.address else None

    what = f"{context.name}: wait until instance {instance_id} runs and has an address"
    return await context.waits.until(look, what, every_s=INSTANCE_LOOKS_S, first_s=INSTANCE_FIRST_LOOK_S)


async def _give_address(context: TargetContext, row: TargetRecord) -> bool:
    rows = await in_thread(context.catalog.resources, build_id=context.plan.build_id, cloud=context.name)
    name = instance_name(context, row)
    request = AddressRequest(
        name=name,
        build_id=context.plan.build_id,
        instance_id=row.instance_id or "",
        tags=context.tags(row),
        known_ids=[each.resource_id for each in rows if each.kind is ResourceKind.FLOATING_IP and each.resource_id],
    )
    ledger = context.catalog.ledger(context.plan.build_id, context.name)

    async def give() -> bool:
        await context.let_settle(ResourceKind.FLOATING_IP)
        return await in_thread(context.cloud.give_address, request, ledger)

    return await context.waits.again(f"{context.name}: give {name} an address", give)


def _refuse_dead(context: TargetContext, instance: Instance) -> None:
    if instance.state in (InstanceState.PENDING, InstanceState.RUNNING):
        return
    raise LaunchRefused(
        f"{context.name}: instance {instance.id} is {instance.state} instead of running: "
        f"{instance.reason or 'the cloud gives no reason'}; look at the instance's limits and its type"
    )


async def _ssh_answers(context: TargetContext, row: TargetRecord) -> None:
    login = context.login(row)
    trouble: list[ConnectionLost] = []

    async def look() -> str | None:
        try:
            await await_banner(login)
            async with connect(login, context.plan.build_id) as remote:
                return remote.host_key()
        except ConnectionLost as error:
            trouble.append(error)
        if len(trouble) % ALIVE_LOOK_EVERY == 0:
            _refuse_dead(context, await context.see_instance(row.instance_id or ""))
        return None

    what = f"{context.name}: wait for SSH at {login}"
    try:
        host_key = await context.waits.until(look, what, every_s=SSH_LOOKS_S)
    except TimeLimitExceeded as error:
        raise Unreachable(await _diagnosis(context, row, login, trouble)) from error
    if login.host_key is None:
        context.emit(f"{context.name}: WARNING: this cloud hands over no host key; took {host_key} on first use")
        await context.update(host_key=host_key)
    context.emit(f"{context.name}: {login} answers")


async def _diagnosis(context: TargetContext, row: TargetRecord, login: Login, trouble: list[ConnectionLost]) -> str:
    """What is known of an instance that does not let us in: last error, likely causes, end of its console output."""
    last = trouble[-1] if trouble else None
    if isinstance(last, KeyRefused):
        causes = (
            f"ssh_username {login.username} may be wrong for this image (it is cloud-init's default user who gets the "
            "key), or the image's cloud-init ignores ssh_authorized_keys in the user data, or is not there"
        )
    else:
        causes = (
            "the security group or a firewall may keep port "
            f"{login.port} closed, the subnet may give no route or address, or the image may not boot or run sshd"
        )
    console = await in_thread(context.cloud.console_output, row.instance_id or "")
    tail = console[-CONSOLE_TAIL_CHARS:].strip() or "(the cloud shows none)"
    return (
        f"{context.name}: no SSH at {login} within the limit of launch_vm; last error: {last}; likely: {causes}. "
        f"End of the console output:\n{tail}"
    )
