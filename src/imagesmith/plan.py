"""A build's frozen input: made once from a generator, stored, and read by every later step.

Nothing here reads a file, a clock or a cloud.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict

from imagesmith.allowances import Allowance, Consistency
from imagesmith.cloud_settings import CloudSettings
from imagesmith.content import Script
from imagesmith.core import PASSWORD_PREFIX, ImageQuery
from imagesmith.definition import DEFAULT_TIME_LIMITS_S, CloudEntry
from imagesmith.errors import DefinitionError
from imagesmith.findings import did_you_mean
from imagesmith.generator import Generator
from imagesmith.image_names import render
from imagesmith.parameters import NOUNS, SEALED_ONLY, Value, accept, as_variable, from_text, json_schema

# Flat arguments of an Airflow `Param`: default, description, and a JSON schema's own keys.
ParamSpec = dict[str, Any]

# The key of a run's conf that says which clouds to build on; no parameter may have this name.
CLOUDS_PARAM = "clouds"
# The key of a run's conf that names a build whose inputs are built again; no parameter may have this name either.
REBUILD_PARAM = "rebuild"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PlannedScript(_Frozen):
    """A script's text as it will run."""

    name: str
    text: str
    sha256: str


class PlannedFile(_Frozen):
    """A file's content and its path on the VM."""

    name: str
    path: str
    content_base64: str
    sha256: str

    @property
    def content(self) -> bytes:
        """The bytes themselves."""
        return base64.b64decode(self.content_base64)


class PlannedSource(_Frozen):
    """The source image to look for: `id`, or `name`, `properties` and `owner`, or the newest of a `generator`."""

    id: str = ""
    name: str = ""
    owner: str = ""
    properties: dict[str, str] = {}
    generator: str = ""

    def __str__(self) -> str:
        return f"the newest image of {self.generator}" if self.generator else str(self.query())

    def query(self) -> ImageQuery:
        """The same for a driver."""
        return ImageQuery(id=self.id, name=self.name, owner=self.owner, properties=self.properties)


class PlannedCloud(_Frozen):
    """A cloud, as far as its driver must know it; `settings` are the driver's."""

    cloud: str
    cloud_type: str
    settings: dict[str, Any]


class PlannedTarget(PlannedCloud):
    """One cloud's part of the build; `time_limits_s` has every step."""

    source_image: PlannedSource
    ssh_username: str
    instance_type: str
    image_name: str
    # What the name was made from, for builds from this plan again; "" in plans of before there were such.
    image_name_template: str = ""
    public: bool
    tags: dict[str, str]
    required: bool
    disk_gib: int | None
    time_limits_s: dict[str, int]
    # Whether the saved image is booted before it counts; plans of before know of no such step.
    verify: bool = False


class Plan(_Frozen):
    """All that a build needs to know; equal after a round trip through JSON."""

    build_id: str
    generator: str
    version: str
    description: str
    script_sha256: str
    scripts: tuple[PlannedScript, ...]
    tests: tuple[PlannedScript, ...] = ()
    files: tuple[PlannedFile, ...]
    parameters: dict[str, Value]
    # The names of secret parameters; nothing here is made from their values.
    secrets: tuple[str, ...] = ()
    created: Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
    time_limit_s: int
    targets: dict[str, PlannedTarget]
    # Clouds that were chosen and are left out all the same, each with the reason and the cure.
    skipped: dict[str, str] = {}
    # Whether a target is left out whose image would be the same as an earlier one.
    skip_if_unchanged: bool = False
    consistency: Consistency = "report"
    allow_differences: tuple[Allowance, ...] = ()
    # The build whose inputs these are, where one was built again.
    rebuild_of: str = ""

    def environment(self, cloud: str | None = None) -> dict[str, str]:
        """The script's own variables; with a cloud's name also IMAGESMITH_CLOUD."""
        ours = {
            "IMAGESMITH_GENERATOR": self.generator,
            "IMAGESMITH_VERSION": self.version,
            "IMAGESMITH_BUILD_ID": self.build_id,
        }
        if cloud is not None:
            ours["IMAGESMITH_CLOUD"] = cloud
        return {name: as_variable(value) for name, value in self.parameters.items()} | ours


def new_build_id(created: datetime, seed: str) -> str:
    """`YYYYMMDD-HHMMSS-` in UTC and 6 hex digits of the seed: the same for the same input.

    `created` has a time zone. Legal as a tag and inside image names on every cloud.
    """
    if created.tzinfo is None:
        raise ValueError("new_build_id: created has no time zone; pass datetime.now(UTC)")
    moment = created.astimezone(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{moment}-{hashlib.sha256(seed.encode()).hexdigest()[:6]}"


def moment_of(build_id: str) -> datetime | None:
    """When a build began, from its id; None for what is no id of ours."""
    try:
        return datetime.strptime(build_id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def freeze(
    generator: Generator,
    clouds: Mapping[str, CloudSettings],
    *,
    build_id: str,
    created: datetime,
    parameters: Mapping[str, object] | None = None,
    chosen_clouds: Sequence[str] | None = None,
    skipped: Mapping[str, str] | None = None,
) -> Plan:
    """The plan of one build; raises DefinitionError naming what does not fit and the cure.

    Parameters left out have their defaults; secret ones are refused, as a plan is stored. `chosen_clouds` None means
    all of the generator's; of these `skipped` are left out, for the reasons given.
    """
    if created.tzinfo is None:
        raise ValueError("freeze: created has no time zone; pass datetime.now(UTC)")
    names = [name for name in _chosen(generator, chosen_clouds) if name not in (skipped or {})]
    if not names:
        raise DefinitionError(f"{generator.name}: nothing is left to build: {'; '.join((skipped or {}).values())}")
    return Plan(
        build_id=build_id,
        generator=generator.name,
        version=generator.version,
        description=generator.description,
        script_sha256=generator.script_sha256,
        scripts=_planned_scripts(generator.scripts),
        tests=_planned_scripts(generator.tests),
        files=_planned_files(generator),
        parameters=_accepted(generator, parameters or {}),
        secrets=generator.secrets,
        created=created,
        time_limit_s=generator.time_limit_s,
        targets={name: _target(generator, name, clouds=clouds, build_id=build_id, created=created) for name in names},
        skipped=dict(skipped or {}),
        skip_if_unchanged=generator.skip_if_unchanged,
        consistency=generator.consistency,
        allow_differences=generator.allow_differences,
    )


def params_schema(generator: Generator, clouds: Mapping[str, CloudSettings]) -> dict[str, ParamSpec]:
    """What a DAG turns into Params: the generator's parameters, `clouds`, a choice of several, and passwords."""
    specs = {name: json_schema(name, parameter) for name, parameter in generator.parameters.items()}
    names = list(generator.clouds)
    specs[CLOUDS_PARAM] = {
        "title": "Clouds",
        "description": "Where to build; all of the generator's clouds unless some are taken out.",
        "type": "array",
        "items": {"type": "string", "enum": names},
        "uniqueItems": True,
        "minItems": 1,
        "examples": names,  # what makes Airflow's form show a choice of several
        "default": names,
    }
    for name in names:
        if clouds[name].asks_password:
            specs[PASSWORD_PREFIX + name] = {
                "title": f"Password for {name}",
                "description": f"Asked at every build on {name} and stored nowhere.",
                **SEALED_ONLY,
            }
    return specs


def parameters_from_text(generator: Generator, given: Mapping[str, str]) -> dict[str, Value]:
    """Typed values of what somebody wrote on a command line; raises DefinitionError naming the parameter."""
    _refuse_strangers(generator, given)
    return {name: from_text(name, generator.parameters[name], text) for name, text in given.items()}


def _chosen(generator: Generator, chosen: Sequence[str] | None) -> list[str]:
    if chosen is None:
        return list(generator.clouds)
    known = ", ".join(generator.clouds)
    if not isinstance(chosen, list | tuple):
        raise DefinitionError(f"{generator.name}: clouds: {chosen!r:.80} is no list; give a list of some of: {known}")
    if not chosen:
        raise DefinitionError(f"{generator.name}: no cloud is chosen; choose at least one of: {known}")
    for name in chosen:
        if not isinstance(name, str) or name not in generator.clouds:
            cure = did_you_mean(str(name), list(generator.clouds), things="its clouds are")
            raise DefinitionError(f"{generator.name}: cloud {name!s:.80} is not one of this generator; {cure}")
    return [name for name in generator.clouds if name in chosen]


def _refuse_strangers(generator: Generator, given: Mapping[str, object]) -> None:
    for name in given:
        if name in generator.secrets:
            raise DefinitionError(
                f"{generator.name}: parameter {name} is secret, so its value is not taken here; leave it out: it is "
                "asked when a build starts"
            )
        if name not in generator.parameters:
            cure = did_you_mean(name, list(generator.parameters), things="its parameters are")
            raise DefinitionError(f"{generator.name}: there is no parameter {name}; {cure}")


def _accepted(generator: Generator, given: Mapping[str, object]) -> dict[str, Value]:
    _refuse_strangers(generator, given)
    accepted: dict[str, Value] = {}
    for name, parameter in generator.parameters.items():
        if parameter.secret:
            continue
        if name not in given and parameter.default is None:
            raise DefinitionError(f"{generator.name}: parameter {name} has no value; give {NOUNS[parameter.type]}")
        accepted[name] = accept(name, parameter, given.get(name, parameter.default))
    return accepted


def _planned_scripts(scripts: Sequence[Script]) -> tuple[PlannedScript, ...]:
    return tuple(PlannedScript(name=script.name, text=script.text, sha256=script.sha256) for script in scripts)


def _planned_files(generator: Generator) -> tuple[PlannedFile, ...]:
    return tuple(
        PlannedFile(
            name=file.name,
            path=file.path,
            content_base64=base64.b64encode(file.content).decode(),
            sha256=file.sha256,
        )
        for file in generator.files
    )


def _target(
    generator: Generator,
    name: str,
    *,
    clouds: Mapping[str, CloudSettings],
    build_id: str,
    created: datetime,
) -> PlannedTarget:
    if name not in clouds:
        raise DefinitionError(f"{generator.name}: cloud {name} is not in include/clouds.yaml; describe it there")
    entry, settings = generator.clouds[name], clouds[name]
    return PlannedTarget(
        cloud=name,
        cloud_type=settings.type,
        settings=settings.driver_settings(),
        source_image=PlannedSource.model_validate(entry.source_image.model_dump()),
        ssh_username=entry.ssh_username,
        instance_type=entry.instance_type,
        image_name=_image_name(generator, entry, build_id=build_id, created=created),
        image_name_template=entry.image_name,
        public=entry.public,
        tags=entry.tags,
        required=entry.required,
        disk_gib=entry.disk_gib,
        time_limits_s=time_limits_s(generator, name),
        verify=generator.verifies(name),
    )


def time_limits_s(generator: Generator, cloud: str) -> dict[str, int]:
    """Seconds each step of a target may take: the cloud's own limits, else the generator's, else ours."""
    given = {**generator.time_limits.given(), **generator.clouds[cloud].time_limits.given()}
    return {**DEFAULT_TIME_LIMITS_S, **given}


def _image_name(generator: Generator, entry: CloudEntry, *, build_id: str, created: datetime) -> str:
    return render(
        entry.image_name,
        generator=generator.name,
        version=generator.version,
        build_id=build_id,
        date=created.astimezone(UTC).strftime("%Y%m%d"),
    )
