"""The documents inside a generator's file, each part checked by itself.

What needs the file's name, the clouds or other files is checked in `generator.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from croniter import CroniterError, croniter
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from imagesmith.allowances import Allowance, Consistency
from imagesmith.cloud_settings import Line
from imagesmith.core import ImageQuery
from imagesmith.documents import Section, mistake, one_line
from imagesmith.durations import parse_duration
from imagesmith.image_names import DEFAULT, template_problem
from imagesmith.names import NAME_SHAPE
from imagesmith.parameters import Parameter

Step = Literal["launch", "customize", "save", "verify", "terminate"]
DEFAULT_TIME_LIMIT_S = 2 * 3600
DEFAULT_TIME_LIMITS_S: Mapping[str, int] = {
    "launch": 10 * 60,
    "customize": 60 * 60,
    "save": 60 * 60,
    "verify": 10 * 60,
    "terminate": 15 * 60,
}

# As in Airflow, without @continuous: a generator would build images without end.
SCHEDULE_PRESETS = ("@once", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")

_DURATION_CURE = "write e.g. 90s, 45m or 1h30m, at most 168h"
_SOURCE_CURE = "write an id in quotes, {name: pattern, owner: account} or {generator: name}"
_MAX_DISK_GIB = 16 * 1024  # EC2's largest general volume


def _duration(value: Any) -> int:
    if not isinstance(value, str):
        raise mistake(f"{value!r} is not a length of time", _DURATION_CURE)
    try:
        return parse_duration(value)
    except ValueError as error:
        raise mistake(str(error), _DURATION_CURE) from None


def _schedule(value: str) -> str:
    if value.startswith("@"):
        if value not in SCHEDULE_PRESETS:
            raise mistake(f"{value!r} is no schedule", f"use {', '.join(SCHEDULE_PRESETS)} or a cron expression")
        return value
    cure = 'write a cron expression of five fields, e.g. "0 3 * * 1", or @weekly'
    if len(value.split()) != 5:
        raise mistake(f"{value!r} is no schedule", cure)
    if any(field.lower().startswith("r") for field in value.split()):
        raise mistake(f"{value!r} means another moment each time it is read", cure)
    try:
        # Asking for a moment shows what the fields alone do not: there is no 31 February.
        croniter(value, datetime(2026, 1, 1, tzinfo=UTC)).get_next(datetime)
    except (CroniterError, ValueError) as error:
        raise mistake(f"{value!r} is no schedule: {error}", cure) from None
    return value


def _login(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", value):
        raise mistake(f"{value!r} is not a login name", "write the user of the source image, e.g. admin or ubuntu")
    return value


def _disk(value: int) -> int:
    if not 1 <= value <= _MAX_DISK_GIB:
        raise mistake(f"{value} GiB is no size for a disk", f"use 1 to {_MAX_DISK_GIB}")
    return value


def _template(value: str) -> str:
    problem = template_problem(one_line(value))
    if problem:
        raise mistake(*problem)
    return value


def _description(value: str) -> str:
    if len(value) > 2000:
        raise mistake(f"has {len(value)} characters", "use at most 2000")
    return value


def _tags(value: dict[str, str]) -> dict[str, str]:
    for key, text in value.items():
        if key.lower().startswith("imagesmith:"):
            raise mistake(f"the tag {key} is set by every build", "choose another name")
        one_line(key)
        if text:
            one_line(text, limit=1024)
    return value


def _generator_name(value: str) -> str:
    if not NAME_SHAPE.fullmatch(value):
        raise mistake(f"{value!r:.80} is no name of a generator", "write the name of a file in include/generators")
    return value


DurationS = Annotated[int, BeforeValidator(_duration)]


class TimeLimits(Section):
    """Limits of single steps in seconds; None where the default, or the generator's own, holds."""

    launch: DurationS | None = None
    customize: DurationS | None = None
    save: DurationS | None = None
    verify: DurationS | None = None
    terminate: DurationS | None = None

    def given(self) -> dict[str, int]:
        """The limits that were written down, by step."""
        return self.model_dump(exclude_none=True)


class SourceImageSpec(Section):
    """The image to start from: an id, the newest that fits a name's pattern, properties and an owner, or the newest
    image of another generator on the same cloud.
    """

    id: Line = ""
    name: Line = ""
    owner: Line = ""
    properties: dict[Line, Line] = Field(default_factory=dict)
    generator: Annotated[str, AfterValidator(_generator_name)] = ""

    @model_validator(mode="after")
    def _one_way(self) -> SourceImageSpec:
        if self.generator:
            if self.name or self.owner or self.properties:
                raise mistake("names a generator and something else", "write {generator: name} alone")
            return self
        if bool(self.id) == bool(self.name or self.properties):
            raise mistake("needs a name", _SOURCE_CURE)
        return self

    def query(self) -> ImageQuery:
        """The same for a driver."""
        return ImageQuery(id=self.id, name=self.name, owner=self.owner, properties=self.properties)


def _source_image(value: Any) -> Any:
    if isinstance(value, str):
        return {"id": value}
    if isinstance(value, dict) and "id" in value:
        raise mistake("an id needs no mapping", "write source_image: the-id")
    if not isinstance(value, dict):
        raise mistake(f"{value!r} is neither text nor a mapping", _SOURCE_CURE)
    return value


class CloudEntry(Section):
    """What a generator says about one of its clouds."""

    source_image: Annotated[SourceImageSpec, BeforeValidator(_source_image)]
    ssh_username: Annotated[str, AfterValidator(_login)]
    instance_type: Line = ""
    image_name: Annotated[str, AfterValidator(_template)] = DEFAULT
    public: bool = False
    tags: Annotated[dict[str, str], AfterValidator(_tags)] = Field(default_factory=dict)
    required: bool = True
    disk_gib: Annotated[int, AfterValidator(_disk)] | None = None
    time_limits: TimeLimits = TimeLimits()
    verify: bool | None = None


class GeneratorFile(Section):
    """A generator's file as it is written, its clouds and parameters included."""

    name: str | None = None
    description: Annotated[str, AfterValidator(_description)] = ""
    script: str | None = None
    scripts: list[str] | None = None
    tests: list[str] = Field(default_factory=list)
    verify: bool = True
    files: dict[str, str] = Field(default_factory=dict)
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    schedule: Annotated[str, AfterValidator(_schedule)] | None = None
    rebuild_when: Literal["parent"] | None = None
    skip_if_unchanged: bool = False
    time_limit: DurationS = DEFAULT_TIME_LIMIT_S
    time_limits: TimeLimits = TimeLimits()
    consistency: Consistency = "report"
    allow_differences: list[Allowance] = Field(default_factory=list)
    clouds: dict[str, CloudEntry]
