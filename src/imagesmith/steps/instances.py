"""An instance of a target, launched or adopted, until it answers over SSH with the host key it was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from imagesmith.catalog.records import ResourceRecord, TargetRecord
from imagesmith.core import AddressRequest, Instance, InstanceState, LaunchRequest, ResourceKind
from imagesmith.errors import (
    ConnectionLost,
    CredentialsRefused,
    DefinitionError,
    LaunchRefused,
    QuotaExceeded,
    TimeLimitExceeded,
    Transient,
    Unreachable,
)
from imagesmith.keys import KeyPair
from imagesmith.ssh import KeyRefused, Login, await_banner, connect
from imagesmith.steps.context import TargetContext
from imagesmith.steps.roles import Role
from imagesmith.waiting import in_thread

NOTHING: Mapping[str, Any] = {}
INSTANCE_FIRST_LOOK_S = 0.5
INSTANCE_LOOKS_S = (5, 3)
SSH_LOOKS_S = (0.5,)
# While SSH is awaited the cloud is asked this seldom whether the instance still lives.
ALIVE_LOOK_EVERY = 30
CONSOLE_TAIL_CHARS = 2_000
# What a cloud answers when it has made nothing; any other error may hide an effect.
REFUSALS = (LaunchRefused, QuotaExceeded, CredentialsRefused, DefinitionError)


async def bring_up(
    context: TargetContext, row: TargetRecord, role: Role, *, image_id: str, details: Mapping[str, Any] = NOTHING
) -> TargetRecord:
    """The target's record once its instance of that role runs and lets us in; one that was launched is adopted.

    `details` are those of the source image, if it was just looked up.
    """
    if not role.instance_id(row):
        row = await _launch(context, row, role, image_id=image_id, details=details)
    instance = await _running(context, row, role)
    row = await context.update(**role.columns(address=instance.address))
    await _ssh_answers(context, row, role)
    return row


def instance_name(context: TargetContext, row: TargetRecord, role: Role) -> str:
    """The name of the instance, key pair and group of one attempt: the same again after a crash, never another's."""
    return f"imagesmith-{context.plan.build_id}-{context.name}-{row.attempt}{role.suffix}"


async def things_of(context: TargetContext, name: str) -> list[ResourceRecord]:
    """What the catalog has of the instance of that name; a second thing of one kind bears its id behind the name."""
    rows = await in_thread(context.catalog.resources, build_id=context.plan.build_id, cloud=context.name)
    return [row for row in rows if row.name.partition("#")[0] == name]


async def _launch(
    context: TargetContext, row: TargetRecord, role: Role, *, image_id: str, details: Mapping[str, Any]
) -> TargetRecord:
    login, host = (context.key(f"{role.prefix}{purpose}", row.attempt) for purpose in ("login", "host"))
    name = instance_name(context, row, role)
    request = LaunchRequest(
        name=name,
        build_id=context.plan.build_id,
        source_image_id=image_id,
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
    return await context.update(**role.columns(instance_id=instance_id))


async def _instance_for(context: TargetContext, request: LaunchRequest) -> str:
    """The id of the instance. A plain refusal closes what it was intended for, so that nobody looks for it later."""
    ledger = context.catalog.ledger(context.plan.build_id, context.name)
    unclear = bool(await _open_intents(context, request.name))

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
        for intent in [] if unclear else await _open_intents(context, request.name):
            await in_thread(
                context.catalog.abandon_resource, context.plan.build_id, context.name, intent.kind, intent.name
            )
        raise


async def _open_intents(context: TargetContext, name: str) -> list[ResourceRecord]:
    return [row for row in await things_of(context, name) if not row.resource_id]


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


async def _running(context: TargetContext, row: TargetRecord, role: Role) -> Instance:
    instance_id = role.instance_id(row)

    async def look() -> Instance | None:
        instance = await context.see_instance(instance_id)
        _refuse_dead(context, instance)
        if instance.state is InstanceState.RUNNING and not instance.address and await _give_address(context, row, role):
            instance = await context.see_instance(instance_id)
        return instance if instance.state is InstanceState.RUNNING and instance.address else None

    what = f"{context.name}: wait until instance {instance_id} runs and has an address"
    return await context.waits.until(look, what, every_s=INSTANCE_LOOKS_S, first_s=INSTANCE_FIRST_LOOK_S)


async def _give_address(context: TargetContext, row: TargetRecord, role: Role) -> bool:
    name = instance_name(context, row, role)
    known = await things_of(context, name)
    request = AddressRequest(
        name=name,
        build_id=context.plan.build_id,
        instance_id=role.instance_id(row),
        tags=context.tags(row),
        known_ids=[each.resource_id for each in known if each.kind is ResourceKind.FLOATING_IP and each.resource_id],
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


async def _ssh_answers(context: TargetContext, row: TargetRecord, role: Role) -> None:
    login = context.login(row, role)
    trouble: list[ConnectionLost] = []

    async def look() -> str | None:
        try:
            await await_banner(login)
            async with connect(login, context.plan.build_id) as remote:
                return remote.host_key()
        except ConnectionLost as error:
            trouble.append(error)
        if len(trouble) % ALIVE_LOOK_EVERY == 0:
            _refuse_dead(context, await context.see_instance(role.instance_id(row)))
        return None

    what = f"{context.name}: wait for SSH at {login}"
    try:
        host_key = await context.waits.until(look, what, every_s=SSH_LOOKS_S)
    except TimeLimitExceeded as error:
        raise Unreachable(await _diagnosis(context, row, role, login=login, trouble=trouble)) from error
    if login.host_key is None:
        context.emit(f"{context.name}: WARNING: this cloud hands over no host key; took {host_key} on first use")
        await context.update(**role.columns(host_key=host_key))
    context.emit(f"{context.name}: {login} answers")


async def _diagnosis(
    context: TargetContext, row: TargetRecord, role: Role, *, login: Login, trouble: list[ConnectionLost]
) -> str:
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
    console = await in_thread(context.cloud.console_output, role.instance_id(row))
    tail = console[-CONSOLE_TAIL_CHARS:].strip() or "(the cloud shows none)"
    return (
        f"{context.name}: no SSH at {login} within the limit of {role.step}; last error: {last}; likely: {causes}. "
        f"End of the console output:\n{tail}"
    )
