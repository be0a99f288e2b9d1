"""Begin: the build's plan frozen in the catalog. Calls no cloud, so it always succeeds and the teardown always runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from imagesmith.catalog.records import BuildRecord, NewTarget
from imagesmith.catalog.store import Catalog
from imagesmith.core import PASSWORD_PREFIX, TargetState
from imagesmith.errors import BuildStateError, CredentialsRefused, DefinitionError
from imagesmith.generator import Loaded
from imagesmith.plan import CLOUDS_PARAM, REBUILD_PARAM, Plan, freeze, new_build_id
from imagesmith.sealing import is_sealed
from imagesmith.steps.begin_again import begin_again, old_plan


@dataclass(frozen=True)
class Request:
    """Who asked for which build, and how: one DAG run, in Airflow's words."""

    generator: str
    dag_id: str
    run_id: str
    how: str
    by: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Sealed:
    """What a request brings in a sealed form: credentials by cloud, secret parameters by name."""

    credentials: dict[str, str]
    secrets: dict[str, str]


def begin(request: Request, *, load: Callable[[], Loaded], catalog: Catalog) -> BuildRecord:
    """The build of this run: new, the one that is there, or that one started anew when the run was cleared.

    Raises DefinitionError when the generator is broken or a parameter does not fit, before anything is launched.
    """
    known = catalog.find_build(request.dag_id, request.run_id)
    if known is not None:
        return _again(catalog, known)
    sealed = Sealed({}, {})
    plan = _freeze(request, load(), sealed, catalog=catalog)
    return catalog.begin_build(
        build_id=plan.build_id,
        generator=plan.generator,
        version=plan.version,
        content=_content(plan),
        dag_id=request.dag_id,
        run_id=request.run_id,
        requested_by=request.by,
        requested_how=request.how,
        plan=plan.model_dump(mode="json"),
        deadline=plan.created + timedelta(seconds=plan.time_limit_s),
        targets=[
            NewTarget(
                cloud=name,
                required=target.required,
                image_name=target.image_name,
                sealed_credential=sealed.credentials.get(name, ""),
            )
            for name, target in plan.targets.items()
        ],
        sealed_secrets=sealed.secrets,
    )


def _again(catalog: Catalog, build: BuildRecord) -> BuildRecord:
    """A killed `begin` finds its build and leaves it; a cleared one starts what had ended badly anew."""
    lost = (TargetState.FAILED, TargetState.CANCELLED)
    targets = catalog.targets(build.build_id)
    if not any(target.state in lost for target in targets) and not build.state.ended:
        return build
    plan = Plan.model_validate(build.plan)
    if plan.secrets and not build.sealed_secrets and any(target.state in lost for target in targets):
        raise BuildStateError(
            f"build {build.build_id} had the secret parameters {', '.join(plan.secrets)}, which were removed when it "
            f"ended, so it can't be started again; start a new build of {build.generator} and give them there"
        )
    deadline = datetime.now(UTC) + timedelta(seconds=plan.time_limit_s)
    return catalog.restart_build(build.build_id, deadline=deadline)


def _freeze(request: Request, loaded: Loaded, sealed: Sealed, *, catalog: Catalog) -> Plan:
    """The plan; `sealed` gets the credential of each cloud that asks for a password, and the secret parameters."""
    generator = loaded.generators.get(request.generator)
    if generator is None:
        raise DefinitionError(
            f"generator {request.generator} can't be built; run `imagesmith validate`:\n"
            + "\n".join(map(str, loaded.findings))
        )
    parameters = dict(request.parameters)
    chosen: Sequence[str] | None = parameters.pop(CLOUDS_PARAM, None)
    given = {cloud: parameters.pop(PASSWORD_PREFIX + cloud, None) for cloud in generator.clouds}
    old = old_plan(parameters.pop(REBUILD_PARAM, None), generator, catalog=catalog, chosen=chosen)
    skipped = {}
    for cloud in generator.clouds if old is None else old.targets:
        if cloud not in generator.clouds or not loaded.clouds[cloud].asks_password:
            continue
        if chosen is not None and cloud not in chosen:
            continue
        if given[cloud]:
            sealed.credentials[cloud] = _sealed(cloud, given[cloud])
        else:
            skipped[cloud] = _without_password(request, cloud)
    for name in generator.secrets if old is None else old.secrets:
        sealed.secrets[name] = _sealed_secret(request, name, parameters.pop(name, None))
    created = datetime.now(UTC).replace(microsecond=0)
    build_id = new_build_id(created, f"{request.dag_id}\0{request.run_id}")
    if old is not None:
        return begin_again(
            old, generator, loaded.clouds, catalog=catalog, build_id=build_id, created=created, skipped=skipped
        )
    return freeze(
        generator,
        loaded.clouds,
        build_id=build_id,
        created=created,
        parameters=parameters,
        chosen_clouds=chosen,
        skipped=skipped,
    )


def _sealed(cloud: str, given: object) -> str:
    """The credential that the API server sealed; a password that came past it is refused without being told."""
    if not isinstance(given, str) or not is_sealed(given):
        raise CredentialsRefused(
            f"{cloud}: the password came on a way on which it is stored, so it is not used and should be changed; "
            "start builds in Airflow's form, over its REST API, or with `imagesmith build`"
        )
    return given


def _sealed_secret(request: Request, name: str, given: object) -> str:
    """The value that the API server sealed; one that came past it is refused without being told."""
    if given in ("", None):
        raise DefinitionError(
            f"{request.generator}: the secret parameter {name} has no value, and a {request.how} run has nobody to "
            f"ask; start the build in Airflow's form, over its REST API, or with `imagesmith build {request.generator}`"
        )
    if not isinstance(given, str) or not is_sealed(given):
        raise CredentialsRefused(
            f"{request.generator}: the value of the secret parameter {name} came on a way on which it is stored, so it "
            "is not used and should be changed; start builds in Airflow's form, over its REST API, or with "
            "`imagesmith build`"
        )
    return given


def _without_password(request: Request, cloud: str) -> str:
    return (
        f"{cloud} asks for its password at every build, and a {request.how} run has none; to build there, start "
        f"{request.generator} in Airflow's form or with `imagesmith build {request.generator} --cloud {cloud}`"
    )


def _content(plan: Plan) -> dict[str, Any]:
    """What a version of a generator consists of, for the catalog: all but what is the build's own."""
    left_out = {"build_id", "created", "parameters", "skipped", "skip_if_unchanged", "rebuild_of"}
    return plan.model_dump(mode="json", exclude=left_out)
