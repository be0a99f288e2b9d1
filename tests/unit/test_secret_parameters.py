"""Secret parameters of generators: their names are known, and their values are in no plan, schema or message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from imagesmith.catalog.records import BuildState
from imagesmith.catalog.store import Catalog
from imagesmith.core import TargetState
from imagesmith.errors import BuildStateError, CredentialsRefused, DefinitionError, ImagesmithError
from imagesmith.generator import Loaded, load_all
from imagesmith.plan import Plan, freeze, new_build_id, params_schema
from imagesmith.sealing import seal_value
from imagesmith.secret_parameters import secret_names
from imagesmith.steps.begin import Request, begin
from imagesmith.steps.context import TargetContext
from imagesmith.steps.publish import publish
from imagesmith.steps.runner import Deployment, unsealed_secrets

GENERATOR = """
script: |
  #!/bin/sh
parameters:
  extra: {type: string, default: ""}
  token: {type: string, secret: true}
clouds:
  ec2: {source_image: ami-12345678, ssh_username: admin, instance_type: t3.small}
"""
SECRET = b"s" * 32
VALUE = "s3cret-value"
NOW = datetime.now(UTC)


@pytest.fixture
def include(tmp_path: Path) -> Path:
    folder = tmp_path / "include"
    (folder / "generators").mkdir(parents=True)
    (folder / "clouds.yaml").write_text("ec2: {type: ec2}\n")
    (folder / "generators" / "tools.yaml").write_text(GENERATOR)
    return folder


@pytest.fixture
def loaded(include: Path) -> Loaded:
    found = load_all(include)
    assert found.findings == []
    return found


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    one = Catalog(f"sqlite:///{tmp_path / 'catalog.db'}")
    one.upgrade()
    return one


def sealed(generator: str = "tools", lifetime: timedelta = timedelta(hours=1)) -> str:
    return seal_value(SECRET, VALUE, generator=generator, parameter="token", expires=datetime.now(UTC) + lifetime)


def request(**parameters: object) -> Request:
    return Request(generator="tools", dag_id="tools", run_id="r", how="manual", by="ann", parameters=parameters)


def test_the_form_hides_it_and_takes_a_sealed_value_only(loaded: Loaded) -> None:
    schema = params_schema(loaded.generators["tools"], loaded.clouds)["token"]
    assert (schema["format"], schema["default"], schema["type"]) == ("password", None, ["null", "string"])
    assert schema["pattern"] == r"^sealed\.1\."
    assert schema["description"] == "Asked at every build and stored nowhere."


def test_a_generator_with_it_is_another_version(loaded: Loaded, include: Path) -> None:
    plain = GENERATOR.replace(", secret: true", "")
    (include / "generators" / "tools.yaml").write_text(plain)
    assert load_all(include).generators["tools"].version != loaded.generators["tools"].version


def test_the_plan_has_its_name_and_refuses_its_value(loaded: Loaded) -> None:
    generator = loaded.generators["tools"]
    words = {"build_id": new_build_id(NOW, "x"), "created": NOW}
    plan = freeze(generator, loaded.clouds, **words, parameters={"extra": "vim"})
    assert (plan.secrets, plan.parameters) == (("token",), {"extra": "vim"})
    assert "token" not in plan.environment("ec2")
    assert Plan.model_validate(plan.model_dump(mode="json")) == plan
    with pytest.raises(DefinitionError, match="tools: parameter token is secret") as refusal:
        freeze(generator, loaded.clouds, **words, parameters={"token": VALUE})
    assert VALUE not in str(refusal.value)


def test_a_plan_of_before_there_were_secrets_is_read(loaded: Loaded) -> None:
    plan = freeze(loaded.generators["tools"], loaded.clouds, build_id=new_build_id(NOW, "x"), created=NOW)
    stored = plan.model_dump(mode="json")
    del stored["secrets"]
    assert Plan.model_validate(stored).secrets == ()


def test_begin_keeps_the_sealed_value_beside_the_plan(loaded: Loaded, catalog: Catalog) -> None:
    value = sealed()
    build = begin(request(token=value, extra="vim"), load=lambda: loaded, catalog=catalog)
    assert build.sealed_secrets == {"token": value}
    assert value not in repr(build)
    assert value not in str(build.plan)
    version = catalog.generator_version("tools", build.version)
    assert version is not None and value not in str(version.content)
    plan = Plan.model_validate(build.plan)
    assert unsealed_secrets(Deployment(catalog, SECRET), plan, build, "ec2") == {"token": VALUE}


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (None, DefinitionError, "the secret parameter token has no value, and a manual run has nobody to ask"),
        ("", DefinitionError, "the secret parameter token has no value"),
        (VALUE, CredentialsRefused, "token came on a way on which it is stored.*should be changed"),
        ([VALUE], CredentialsRefused, "token came on a way on which it is stored"),
    ],
)
def test_a_value_that_is_not_sealed_is_refused_without_being_told(
    loaded: Loaded, catalog: Catalog, given: object, error: type[ImagesmithError], words: str
) -> None:
    with pytest.raises(error, match=words) as refusal:
        begin(request(token=given), load=lambda: loaded, catalog=catalog)
    assert VALUE not in str(refusal.value)
    assert catalog.builds() == []


def test_it_is_gone_with_the_builds_end_and_a_cleared_build_says_so(loaded: Loaded, catalog: Catalog) -> None:
    build = begin(request(token=sealed()), load=lambda: loaded, catalog=catalog)
    publish(build.build_id, catalog=catalog, secret=SECRET)
    ended = catalog.build(build.build_id)
    assert (ended.state, ended.sealed_secrets) == (BuildState.CANCELLED, None)
    with pytest.raises(BuildStateError, match="secret parameters token, which were removed.*start a new build"):
        begin(request(), load=lambda: loaded, catalog=catalog)
    assert catalog.build(build.build_id).state is BuildState.CANCELLED
    with pytest.raises(BuildStateError, match="token were removed.*start a new build of tools"):
        unsealed_secrets(Deployment(catalog, SECRET), Plan.model_validate(build.plan), ended, "ec2")


def test_a_build_restarted_before_its_end_still_has_it(loaded: Loaded, catalog: Catalog) -> None:
    build = begin(request(token=sealed()), load=lambda: loaded, catalog=catalog)
    catalog.fail_target(build.build_id, "ec2", "no quota")
    again = begin(request(), load=lambda: loaded, catalog=catalog)
    assert (again.attempt, again.sealed_secrets) == (2, build.sealed_secrets)


def test_a_target_that_has_all_it_needs_wants_none(loaded: Loaded, catalog: Catalog) -> None:
    build = begin(request(token=sealed()), load=lambda: loaded, catalog=catalog)
    catalog.advance_target(build.build_id, "ec2", TargetState.SUCCESSFUL)
    publish(build.build_id, catalog=catalog, secret=SECRET)
    ended = catalog.build(build.build_id)
    assert unsealed_secrets(Deployment(catalog, SECRET), Plan.model_validate(build.plan), ended, "ec2") == {}
    assert begin(request(), load=lambda: loaded, catalog=catalog).attempt == 2


@pytest.mark.parametrize("changes", [{"generator": "other"}, {"lifetime": -timedelta(seconds=1)}])
def test_a_value_of_elsewhere_or_of_before_opens_nothing(loaded: Loaded, catalog: Catalog, changes: dict) -> None:
    build = begin(request(token=sealed(**changes)), load=lambda: loaded, catalog=catalog)
    with pytest.raises(CredentialsRefused, match="token.*start a new build"):
        unsealed_secrets(Deployment(catalog, SECRET), Plan.model_validate(build.plan), build, "ec2")


def test_names_are_read_off_files_with_mistakes(include: Path) -> None:
    generators = include / "generators"
    (generators / "plain.yaml").write_text("parameters: {token: {type: string}}\n")
    (generators / "broken.yaml").write_text(
        "parameters:\n  key: {type: nothing, secret: true}\n  odd: {secret: maybe}\n"
    )
    (generators / "escaped.yaml").write_text('parameters: {hidden: {"s\\u0065cret": true}}\n')
    assert secret_names(include) == {"token", "key", "odd", "hidden"}
    assert secret_names(include, only="tools") == {"token"}
    assert secret_names(include, only="plain") == frozenset()
    assert secret_names(include, only="no-generator") == frozenset()


def test_a_file_that_cannot_tell_is_not_taken_for_one_without(include: Path) -> None:
    (include / "generators" / "torn.yaml").write_text("parameters: {token: {secret: true}\n")
    assert secret_names(include) is None
    assert secret_names(include, only="torn") is None
    assert secret_names(include, only="tools") == {"token"}


def test_no_step_emits_or_shows_a_value() -> None:
    said: list[str] = []
    nothing: Any = None
    context = TargetContext(
        plan=nothing,
        target=nothing,
        catalog=nothing,
        cloud=nothing,
        looks=nothing,
        waits=nothing,
        secret=b"",
        emit=said.append,
        secrets={"token": VALUE},
    )
    context.emit(f"got {VALUE} and {quote(VALUE)}.")
    assert said == ["got *** and ***."]
    assert VALUE not in repr(context)
