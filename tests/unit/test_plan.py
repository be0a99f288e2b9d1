"""The plan: exact through JSON, parameters checked, names rendered."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagesmith.cloud_settings import CloudSettings
from imagesmith.errors import DefinitionError
from imagesmith.generator import Generator, load_all
from imagesmith.parameters import MAX_VALUE_BYTES
from imagesmith.plan import Plan, freeze, new_build_id, parameters_from_text, params_schema

NOW = datetime(2026, 11, 22, 12, 30, 5, 123456, tzinfo=UTC)

TEXT = """\
description: Two clouds
scripts:
  - one.sh
  - |
    #!/usr/bin/python3
    print("zwei ✓")
files: {logo.bin: /opt/logo.bin}
parameters:
  extra: {type: string, default: "", description: further packages}
  count: {type: integer, default: 3}
  ratio: {type: number, default: 0.5}
  debug: {type: boolean, default: false}
  flavour: {type: string, choices: [plain, full], default: plain}
  banner: {type: string, default: "two\\nlines"}
time_limits: {launch: 5m, save: 2h}
clouds:
  east: &entry
    source_image: {name: "debian-12-*", owner: self}
    ssh_username: admin
    instance_type: t3.small
    image_name: "{generator}-{version}-{date}"
    public: true
    tags: {team: physics}
    disk_gib: 20
    time_limits: {launch: 90s}
  west:
    source_image: ami-0123456789abcdef0
    ssh_username: root
    instance_type: m5.large
    required: false
"""


def build(root: Path) -> tuple[Generator, dict[str, CloudSettings]]:
    include = root / "include"
    for folder in ("generators", "scripts", "files"):
        (include / folder).mkdir(parents=True, exist_ok=True)
    (include / "clouds.yaml").write_text("east: {type: ec2}\nwest: {type: ec2, region: us-west-2}\n")
    (include / "scripts" / "one.sh").write_text("#!/bin/sh\necho one\n")
    (include / "files" / "logo.bin").write_bytes(bytes(range(256)))
    (include / "generators" / "two.yaml").write_text(TEXT)
    loaded = load_all(include)
    assert loaded.findings == []
    return loaded.generators["two"], loaded.clouds


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Generator, dict[str, CloudSettings]]:
    return build(tmp_path_factory.mktemp("plan"))


def plan_of(two: tuple[Generator, dict[str, CloudSettings]], **changes: Any) -> Plan:
    generator, clouds = two
    arguments: dict[str, Any] = {"build_id": new_build_id(NOW, "seed"), "created": NOW} | changes
    return freeze(generator, clouds, **arguments)


def test_plan_is_equal_after_json(two: tuple[Generator, dict[str, CloudSettings]]) -> None:
    plan = plan_of(two, parameters={"extra": "a\nb\t✓", "count": 0, "ratio": 2, "debug": True})
    text = plan.model_dump_json()
    again = Plan.model_validate_json(text)
    assert again == plan
    assert again.model_dump_json() == text
    assert again.files[0].content == bytes(range(256))
    assert {name: type(value) for name, value in again.parameters.items()} == {
        name: type(value) for name, value in plan.parameters.items()
    }


def test_targets_have_all_that_a_step_needs(two: tuple[Generator, dict[str, CloudSettings]]) -> None:
    plan = plan_of(two)
    east, west = plan.targets["east"], plan.targets["west"]
    assert east.image_name == f"two-{plan.version}-20261122"
    assert west.image_name == f"two-{plan.build_id}"
    assert east.time_limits_s == {"launch": 90, "customize": 3600, "save": 7200, "verify": 600, "terminate": 900}
    assert west.time_limits_s["launch"] == 300
    assert (west.cloud_type, west.settings["region"]) == ("ec2", "us-west-2")
    assert "type" not in west.settings
    assert (west.required, east.required) == (False, True)
    assert (east.public, east.disk_gib, east.tags) == (True, 20, {"team": "physics"})
    assert west.source_image.query().id == "ami-0123456789abcdef0"


def test_environment_of_the_script(two: tuple[Generator, dict[str, CloudSettings]]) -> None:
    plan = plan_of(two, parameters={"debug": True, "count": 7})
    assert plan.environment("east") == {
        "extra": "",
        "count": "7",
        "ratio": "0.5",
        "debug": "true",
        "flavour": "plain",
        "banner": "two\nlines",
        "IMAGESMITH_GENERATOR": "two",
        "IMAGESMITH_VERSION": plan.version,
        "IMAGESMITH_BUILD_ID": plan.build_id,
        "IMAGESMITH_CLOUD": "east",
    }
    assert "IMAGESMITH_CLOUD" not in plan.environment()


REFUSED = [
    ({"parameters": {"extr": "x"}}, "two: there is no parameter extr; did you mean extra?"),
    ({"parameters": {"count": "3"}}, "parameter count: '3' is not a whole number; give a whole number"),
    ({"parameters": {"count": True}}, "parameter count: True is not a whole number; give a whole number"),
    ({"parameters": {"count": 2.5}}, "parameter count: 2.5 is not a whole number; give a whole number"),
    ({"parameters": {"count": None}}, "parameter count: None is not a whole number; give a whole number"),
    ({"parameters": {"count": 2**63}}, "is beyond 64 bits"),
    ({"parameters": {"ratio": float("nan")}}, "parameter ratio: nan is not a number"),
    ({"parameters": {"ratio": False}}, "parameter ratio: False is not a number"),
    ({"parameters": {"debug": "true"}}, "parameter debug: 'true' is not true or false"),
    ({"parameters": {"extra": 5}}, "parameter extra: 5 is not text"),
    ({"parameters": {"extra": "a\x00b"}}, "holds a control character other than tab and line feed"),
    ({"parameters": {"extra": "a\x1b[31m"}}, "holds a control character other than tab and line feed"),
    ({"parameters": {"extra": "\ud800"}}, "is not text that UTF-8 can write"),
    ({"parameters": {"extra": "é" * MAX_VALUE_BYTES}}, "is 65536 bytes long, more than 32768"),
    ({"parameters": {"flavour": "mad"}}, "'mad' is not one of the choices; use plain or full"),
    ({"parameters": {"flavour": ""}}, "'' is not one of the choices; use plain or full"),
    ({"parameters": {"flavour": None}}, "'' is not one of the choices; use plain or full"),
    ({"chosen_clouds": []}, "two: no cloud is chosen; choose at least one of: east, west"),
    ({"chosen_clouds": ["wst"]}, "two: cloud wst is not one of this generator; did you mean west?"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_refusal_names_the_thing_and_the_cure(
    two: tuple[Generator, dict[str, CloudSettings]], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DefinitionError) as refusal:
        plan_of(two, **changes)
    assert message in str(refusal.value)


def test_cloud_that_went_away(two: tuple[Generator, dict[str, CloudSettings]]) -> None:
    generator, clouds = two
    with pytest.raises(DefinitionError, match=r"cloud west is not in include/clouds\.yaml; describe it there"):
        freeze(generator, {"east": clouds["east"]}, build_id="b", created=NOW)


def test_parameter_without_value(tmp_path: Path) -> None:
    generator, clouds = build(tmp_path)
    extra = generator.parameters["extra"].model_copy(update={"default": None})
    changed = generator.model_copy(update={"parameters": {"extra": extra}})
    with pytest.raises(DefinitionError, match="two: parameter extra has no value; give text"):
        freeze(changed, clouds, build_id="b", created=NOW)
    assert "default" not in params_schema(changed, clouds)["extra"]
    assert params_schema(changed, clouds)["extra"]["type"] == "string"


def test_what_forms_send(two: tuple[Generator, dict[str, CloudSettings]]) -> None:
    plan = plan_of(two, parameters={"banner": None, "count": 4.0, "ratio": 1})
    assert (plan.parameters["banner"], plan.parameters["count"]) == ("", 4)
    assert isinstance(plan.parameters["count"], int)


def test_clouds_are_chosen_in_the_order_of_the_generator(
    two: tuple[Generator, dict[str, CloudSettings]],
) -> None:
    assert list(plan_of(two).targets) == ["east", "west"]
    assert list(plan_of(two, chosen_clouds=["west", "east", "west"]).targets) == ["east", "west"]
    assert list(plan_of(two, chosen_clouds=["west"]).targets) == ["west"]


def test_params_schema_is_what_airflow_takes(two: tuple[Generator, dict[str, CloudSettings]]) -> None:
    specs = params_schema(*two)
    assert specs["extra"] == {
        "title": "extra",
        "type": ["string", "null"],
        "description": "further packages",
        "default": "",
    }
    assert specs["flavour"]["enum"] == ["plain", "full"]
    assert specs["flavour"]["type"] == "string"
    assert specs["banner"]["format"] == "multiline"
    assert (specs["debug"]["type"], specs["debug"]["default"]) == ("boolean", False)
    clouds = specs["clouds"]
    assert clouds["default"] == clouds["examples"] == clouds["items"]["enum"] == ["east", "west"]
    assert (clouds["type"], clouds["minItems"]) == ("array", 1)


def test_parameters_from_a_command_line(two: tuple[Generator, dict[str, CloudSettings]]) -> None:
    typed = parameters_from_text(two[0], {"count": "12", "ratio": "1.5", "debug": "True", "extra": "5"})
    assert typed == {"count": 12, "ratio": 1.5, "debug": True, "extra": "5"}
    for name, text in {"count": "x", "ratio": "much", "debug": "yes", "flavour": "mad", "nope": "1"}.items():
        with pytest.raises(DefinitionError, match=name):
            parameters_from_text(two[0], {name: text})


def test_build_id() -> None:
    build_id = new_build_id(NOW, "run-1")
    assert re.fullmatch(r"20261122-123005-[0-9a-f]{6}", build_id)
    assert build_id == new_build_id(NOW.astimezone(timezone(timedelta(hours=9))), "run-1")
    assert build_id != new_build_id(NOW, "run-2")


def test_moments_without_zone_are_refused(two: tuple[Generator, dict[str, CloudSettings]]) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001, RUF100 (what is tested)
    with pytest.raises(ValueError, match="no time zone"):
        new_build_id(naive, "x")
    with pytest.raises(ValueError, match="no time zone"):
        plan_of(two, created=naive)


_TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200)


@given(extra=_TEXTS, count=st.integers(-(2**63) + 1, 2**63 - 1), ratio=st.floats(allow_nan=False, allow_infinity=False))
def test_any_accepted_value_survives_json(
    two: tuple[Generator, dict[str, CloudSettings]], extra: str, count: int, ratio: float
) -> None:
    plan = plan_of(two, parameters={"extra": extra, "count": count, "ratio": ratio})
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
