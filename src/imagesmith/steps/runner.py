"""One step of one target, run with its limits and its record: the only way steps are entered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from imagesmith import crash_points
from imagesmith.catalog.records import BuildRecord
from imagesmith.catalog.store import Catalog
from imagesmith.core import Cloud, TargetState
from imagesmith.durations import format_duration
from imagesmith.errors import BuildStateError, ImagesmithError, Transient
from imagesmith.masking import Mask
from imagesmith.plan import Plan, PlannedTarget
from imagesmith.sealing import unseal, unseal_value
from imagesmith.shared_looks import SharedLooks
from imagesmith.steps.context import TargetContext
from imagesmith.steps.launch_vm import launch_vm
from imagesmith.steps.snapshot_image import snapshot_image
from imagesmith.steps.ssh_customize import ssh_customize
from imagesmith.steps.terminate import terminate
from imagesmith.steps.unchanged import unchanged
from imagesmith.steps.verify_image import verify_image
from imagesmith.waiting import Limit, StillWaiting, Waits, in_thread

StepResult = dict[str, str]
# What a password was exchanged for, where the cloud asks for one; None where the connection has all it takes.
Credential = Mapping[str, str] | None
# From a target to its cloud's driver, and the looks that all targets of one account share.
OpenAccount = Callable[[PlannedTarget, Credential], Awaitable[tuple[Cloud, SharedLooks]]]


class Step(StrEnum):
    """The steps of a target, by the names of their tasks."""

    LAUNCH_VM = "launch_vm"
    CUSTOMIZE = "customize"
    SNAPSHOT_IMAGE = "snapshot_image"
    VERIFY_IMAGE = "verify_image"
    TERMINATE = "terminate"


@dataclass(frozen=True)
class StepRule:
    """What a step runs and which key of `time_limits` bounds it; `bound_by_build`: by the build's limit as well.

    `wants_secrets`: it does not even begin where the build's secret parameters are gone.
    """

    run: Callable[[TargetContext], Awaitable[StepResult]]
    limit: str
    bound_by_build: bool = True
    wants_secrets: bool = True


STEPS: dict[Step, StepRule] = {
    Step.LAUNCH_VM: StepRule(launch_vm, "launch"),
    Step.CUSTOMIZE: StepRule(ssh_customize, "customize"),
    Step.SNAPSHOT_IMAGE: StepRule(snapshot_image, "save"),
    Step.VERIFY_IMAGE: StepRule(verify_image, "verify"),
    Step.TERMINATE: StepRule(terminate, "terminate", bound_by_build=False, wants_secrets=False),
}


@dataclass(frozen=True)
class Deployment:
    """What every step of this process shares."""

    catalog: Catalog
    secret: bytes


async def run_step(
    step: Step,
    build_id: str,
    *,
    cloud: str,
    open_account: OpenAccount,
    deployment: Deployment,
    emit: Callable[[str], None],
    patience_s: float | None,
) -> StepResult:
    """The step's small result; raises StillWaiting when `patience_s` ends first, and the step's error when it fails.

    An error that nobody can wait out fails the target at once; a Transient one leaves it to the next try.
    """
    crash_points.enter(step, cloud)
    catalog = deployment.catalog
    build = await in_thread(catalog.build, build_id)
    plan = Plan.model_validate(build.plan)
    if cloud not in plan.targets:
        raise BuildStateError(f"{cloud} was not chosen for build {build_id}")
    if step is not Step.TERMINATE:
        await in_thread(_refuse_ended, catalog, build_id, cloud)
    started = await in_thread(catalog.start_step, build_id, cloud, step)
    limit = _limit(step, plan, build, started_at=started.started_at, cloud=cloud)
    secrets: Mapping[str, str] = {}
    try:
        if STEPS[step].wants_secrets:
            secrets = await in_thread(unsealed_secrets, deployment, plan, build, cloud)
        credential = await in_thread(unsealed, deployment, plan, cloud)
        driver, looks = await open_account(plan.targets[cloud], credential)
        context = TargetContext(
            plan=plan,
            target=plan.targets[cloud],
            catalog=catalog,
            cloud=driver,
            looks=looks,
            waits=Waits(limit, patience_s=patience_s),
            secret=deployment.secret,
            emit=emit,
            secrets=secrets,
        )
        result = await STEPS[step].run(context)
    except StillWaiting:
        raise
    except ImagesmithError as error:
        message = Mask(secrets.values()).text(str(error))
        await in_thread(_record_failure, catalog, build_id, cloud, step, kind=type(error), message=message)
        if message != str(error):
            raise type(error)(message) from None  # what caused it would be shown with it
        raise
    await crash_points.areach(crash_points.RESULT)
    await in_thread(catalog.end_step, build_id, cloud, step)
    return result


def _record_failure(
    catalog: Catalog, build_id: str, cloud: str, step: Step, *, kind: type[ImagesmithError], message: str
) -> None:
    catalog.end_step(build_id, cloud, step, error=message)
    if not issubclass(kind, Transient) and step is not Step.TERMINATE:
        catalog.fail_target(build_id, cloud, message)


def unsealed(deployment: Deployment, plan: Plan, cloud: str) -> Credential:
    """The credential of a target whose cloud asks for a password; raises CredentialsRefused when it has ended."""
    if plan.targets[cloud].settings.get("password") != "ask":
        return None
    sealed = deployment.catalog.target(plan.build_id, cloud).sealed_credential
    return unseal(deployment.secret, sealed, generator=plan.generator, cloud=cloud)


def unsealed_secrets(deployment: Deployment, plan: Plan, build: BuildRecord, cloud: str) -> dict[str, str]:
    """The values of the build's secret parameters, none for a target that has all it needs.

    Raises BuildStateError once they are gone, and CredentialsRefused when they have expired.
    """
    if not plan.secrets or deployment.catalog.target(plan.build_id, cloud).state is TargetState.SUCCESSFUL:
        return {}
    sealed = build.sealed_secrets or {}
    if missing := [name for name in plan.secrets if name not in sealed]:
        raise BuildStateError(
            f"{cloud}: build {plan.build_id} has ended, and its secret parameters {', '.join(missing)} were removed; "
            f"start a new build of {plan.generator} and give them there"
        )
    return {
        name: unseal_value(deployment.secret, sealed[name], generator=plan.generator, parameter=name)
        for name in plan.secrets
    }


def _refuse_ended(catalog: Catalog, build_id: str, cloud: str) -> None:
    target = catalog.target(build_id, cloud)
    if target.state.ended and target.state is not TargetState.SUCCESSFUL:
        raise BuildStateError(
            f"{target.error or f'{cloud}: {target.state}'} (clear the build's begin task to build anew)"
        )


def _limit(step: Step, plan: Plan, build: BuildRecord, *, started_at: datetime, cloud: str) -> Limit:
    """The step's own limit from its first start on, or what is left of the build's, whichever is less."""
    rule = STEPS[step]
    own_s = plan.targets[cloud].time_limits_s[rule.limit]
    own = Limit(
        at=started_at + timedelta(seconds=own_s),
        whose=f"the limit of {format_duration(own_s)} for {step} (time_limits.{rule.limit})",
    )
    whole = Limit(
        at=build.deadline,
        whose=f"the limit of {format_duration(plan.time_limit_s)} for the build (time_limit)",
    )
    return min(own, whole, key=lambda limit: limit.at) if rule.bound_by_build else own


def planned_target(
    catalog: Catalog, dag_id: str, run_id: str, *, cloud: str, step: Step
) -> tuple[str, PlannedTarget | str]:
    """The build's id and the target's plan, or why this step has none; raises BuildStateError without a build."""
    build = catalog.find_build(dag_id, run_id)
    if build is None:
        raise BuildStateError(f"{dag_id}: run {run_id} has no build in the catalog; clear its begin task")
    plan = Plan.model_validate(build.plan)
    left_out = plan.skipped.get(cloud) or f"{cloud} was not chosen for this build"
    if plan.skip_if_unchanged and cloud in plan.targets and step not in (Step.LAUNCH_VM, Step.TERMINATE):
        left_out = _kept(catalog, build.build_id, cloud)
        return build.build_id, left_out or plan.targets[cloud]
    return build.build_id, plan.targets.get(cloud, left_out)


def _kept(catalog: Catalog, build_id: str, cloud: str) -> str:
    """Why nothing is done for a target that keeps an earlier build's image; "" where something is."""
    image_id = catalog.target(build_id, cloud).kept_image_id
    image = catalog.image(cloud, image_id) if image_id else None
    return unchanged(image) if image else ""
