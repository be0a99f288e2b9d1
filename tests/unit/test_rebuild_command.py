"""`imagesmith rebuild` and `catalog rebuild`, over a catalog in a file and an Airflow that answers like one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from imagesmith.catalog.records import NewTarget
from imagesmith.catalog.store import Catalog
from imagesmith.cli import main
from imagesmith.cloud_settings import read_clouds
from imagesmith.errors import DefinitionError
from imagesmith.generator import load_all
from imagesmith.plan import Plan, freeze
from imagesmith.rebuilding import inputs_sha256, rebuilt, resolved

GENERATOR = """\
script: |
  #!/bin/sh
  true
parameters:
  extra: {type: string, default: ""}
  count: {type: integer}
consistency: require
allow_differences:
  - {package: "linux-image-*", reason: kernels}
clouds:
  here: {source_image: {name: "base-*", owner: vendor}, ssh_username: admin, instance_type: small}
  there: {source_image: base-7, ssh_username: admin, instance_type: small, image_name: "{generator}-{date}-{build_id}"}
"""
MONDAY = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TUESDAY = MONDAY + timedelta(days=1)


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rebuild") / "catalog.db"
    catalog = Catalog(f"sqlite:///{path}")
    catalog.upgrade()
    catalog.close()
    return path


@pytest.fixture
def include(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "include"
    (folder / "generators").mkdir(parents=True)
    (folder / "generators" / "dstat.yaml").write_text(GENERATOR)
    (folder / "clouds.yaml").write_text("here: {type: memory, path: /w}\nthere: {type: memory, path: /w}\n")
    monkeypatch.setenv("IMAGESMITH_INCLUDE", str(folder))
    monkeypatch.setenv("IMAGESMITH_HOME", str(tmp_path / "home"))
    return folder


def planned(include: Path) -> Plan:
    loaded = load_all(include)
    assert loaded.findings == []
    wanted = {"build_id": "20260302-120000-aaaaaa", "created": MONDAY, "parameters": {"count": 3}}
    return freeze(loaded.generators["dstat"], loaded.clouds, **wanted)  # type: ignore[arg-type]


@pytest.fixture
def catalog(tmp_path: Path, include: Path, empty_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalog]:
    """A catalog with one build of dstat."""
    shutil.copy(empty_file, tmp_path / "catalog.db")
    monkeypatch.setenv("IMAGESMITH_CATALOG_URL", f"sqlite:///{tmp_path / 'catalog.db'}")
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.db'}")
    plan = planned(include)
    catalog.begin_build(
        build_id=plan.build_id,
        generator="dstat",
        version=plan.version,
        content={},
        dag_id="dstat",
        run_id="manual__1",
        requested_by="anna",
        requested_how="manual",
        plan=plan.model_dump(mode="json"),
        deadline=TUESDAY,
        targets=[NewTarget(cloud) for cloud in plan.targets],
    )
    yield catalog
    catalog.close()


def again(old: Plan, include: Path, **changes: Any) -> Plan:
    wanted: dict[str, Any] = {
        "build_id": "20260303-120000-bbbbbb",
        "created": TUESDAY,
        "clouds": read_clouds(include).clouds,
        "available": ["here", "there"],
        "skipped": {},
    }
    return rebuilt(old, **{**wanted, **changes})


def test_a_plan_comes_back_from_json_as_it_was(include: Path) -> None:
    plan = planned(include)
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert plan.consistency == "require"
    assert [each.reason for each in plan.allow_differences] == ["kernels"]


def test_a_rebuild_has_the_same_inputs_and_new_names(include: Path) -> None:
    old = resolved(planned(include), {"here": "base-9"})
    new = again(old, include)
    assert inputs_sha256(new) == inputs_sha256(old)
    assert [target.source_image.id for target in new.targets.values()] == ["base-9", "base-7"]
    assert [target.image_name for target in new.targets.values()] == [
        "dstat-20260303-120000-bbbbbb",
        "dstat-20260303-20260303-120000-bbbbbb",
    ]
    assert (new.rebuild_of, new.scripts, new.parameters) == (old.build_id, old.scripts, {"extra": "", "count": 3})
    third = again(new, include, build_id="20260304-120000-cccccc", created=TUESDAY + timedelta(days=1))
    assert third.targets["there"].image_name == "dstat-20260304-20260304-120000-cccccc"


def test_any_other_input_is_another_hash(include: Path) -> None:
    old = planned(include)
    changed = [
        resolved(old, {"here": "base-9"}),
        old.model_copy(update={"parameters": {"extra": "", "count": 4}}),
        old.model_copy(update={"scripts": (old.scripts[0].model_copy(update={"sha256": "0" * 64}),)}),
        old.model_copy(update={"targets": {"here": old.targets["here"]}}),
    ]
    assert len({inputs_sha256(plan) for plan in [old, *changed]}) == 5


def test_a_plan_of_before_templates_were_kept_gets_its_names_anew(include: Path) -> None:
    old = planned(include)
    targets = {name: target.model_copy(update={"image_name_template": ""}) for name, target in old.targets.items()}
    new = again(old.model_copy(update={"targets": targets}), include)
    assert new.targets["here"].image_name == "dstat-20260303-120000-bbbbbb"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"clouds": {}}, "was built on here, which is no longer in include/clouds.yaml; describe it there again"),
        ({"available": ["there"]}, "which the generator dstat no longer names; add here to its clouds again"),
        ({"skipped": {"here": "no password", "there": "none either"}}, "nothing is left to build: no password"),
    ],
)
def test_a_cloud_that_is_gone_is_named_with_the_cure(include: Path, changes: Any, words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        again(planned(include), include, **changes)


def test_a_cloud_that_became_another_is_not_built_on(include: Path) -> None:
    old = planned(include)
    (include / "clouds.yaml").write_text("here: {type: ec2}\nthere: {type: ec2}\n")
    with pytest.raises(DefinitionError, match="which was of type memory and is ec2 now; use `imagesmith build`"):
        again(old, include)


def test_rebuild_names_the_build_and_what_airflow_wants_of_parameters(
    airflow: Any, catalog: Catalog, capsys: Any
) -> None:
    assert main(["rebuild", "dstat"]) == 0
    assert [run["conf"] for run in airflow.runs.values()] == [
        {"count": 3, "clouds": ["here", "there"], "rebuild": "20260302-120000-aaaaaa"}
    ]
    assert "dstat: run manual__" in capsys.readouterr().out


def test_rebuild_without_the_generators_file_gives_airflow_all_parameters(
    airflow: Any, catalog: Catalog, include: Path
) -> None:
    (include / "generators" / "dstat.yaml").unlink()
    assert main(["rebuild", "manual__1", "--json"]) == 0
    confs = [run["conf"] for run in airflow.runs.values()]
    both = ["here", "there"]
    assert confs == [{"extra": "", "count": 3, "clouds": both, "rebuild": "20260302-120000-aaaaaa"}]


def test_what_the_generator_has_gained_since_hinders_no_rebuild(airflow: Any, catalog: Catalog, include: Path) -> None:
    """Nobody is asked for the new secret, and Airflow gets values that fit its parameters of today."""
    gained = "  token: {type: string, secret: true}\n  mirror: {type: string}\n  strict: {type: boolean}\n"
    text = GENERATOR.replace("  count: {type: integer}\n", f"{gained}  count: {{type: integer, choices: [8, 9]}}\n")
    (include / "generators" / "dstat.yaml").write_text(text)
    assert main(["rebuild", "dstat"]) == 0
    assert [run["conf"] for run in airflow.runs.values()] == [
        {
            **{"mirror": "", "strict": False, "count": 8},
            **{"clouds": ["here", "there"], "rebuild": "20260302-120000-aaaaaa"},
        }
    ]


def test_rebuild_without_a_dag_says_what_to_put_back(
    airflow: Any, catalog: Catalog, include: Path, capsys: Any
) -> None:
    (include / "generators" / "dstat.yaml").unlink()
    airflow.dags.clear()
    assert main(["rebuild", "dstat"]) == 1
    shown = capsys.readouterr().err
    assert "put include/generators/dstat.yaml back with the clouds here, there" in shown
    assert airflow.runs == {}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  there:", "  elsewhere:", "the generator dstat no longer names; add there to its clouds again"),
        ("{generator}-{date}-{build_id}", "x", ""),
    ],
)
def test_what_cannot_be_the_same_is_said_before_a_run_is_started(
    airflow: Any, catalog: Catalog, include: Path, capsys: Any, old: str, new: str, words: str
) -> None:
    """A template of today changes nothing: that of the old build counts."""
    (include / "clouds.yaml").write_text(
        "".join(f"{name}: {{type: memory, path: /w}}\n" for name in ("here", "there", "elsewhere"))
    )
    (include / "generators" / "dstat.yaml").write_text(GENERATOR.replace(old, new))
    assert main(["rebuild", "dstat"]) == (1 if words else 0)
    assert words in capsys.readouterr().err
    assert len(airflow.runs) == (0 if words else 1)


def test_a_secret_that_nobody_can_be_asked_for_any_more_is_named(
    airflow: Any, catalog: Catalog, include: Path, capsys: Any
) -> None:
    plan = planned(include).model_copy(update={"build_id": "20260302-130000-cccccc", "secrets": ("token",)})
    known = catalog.build("20260302-120000-aaaaaa")
    catalog.begin_build(
        **{"build_id": plan.build_id, "generator": "dstat", "version": known.version, "content": {}},
        **{"dag_id": "dstat", "run_id": "manual__2", "requested_by": "anna", "requested_how": "manual"},
        **{"plan": plan.model_dump(mode="json"), "deadline": TUESDAY, "targets": [NewTarget("here")]},
    )
    assert main(["rebuild", plan.build_id]) == 1
    shown = capsys.readouterr().err
    assert "had the secret parameters token, whose values are stored nowhere" in shown
    assert "dstat no longer asks for them; add them to its parameters again" in shown
    assert airflow.runs == {}


ANSWERS = [
    {"cloud": "here", "images": 3, "added": 2, "known": 1, "others": 0, "left_out": "", "problem": ""},
    {"cloud": "there", "images": 0, "added": 0, "known": 0, "others": 0, "left_out": "there: left out", "problem": ""},
]


def test_catalog_rebuild_shows_what_each_cloud_told(airflow: Any, catalog: Catalog, capsys: Any) -> None:
    airflow.add_dag("imagesmith_catalog_rebuild", tags=("imagesmith", "maintenance"))
    airflow.on_trigger = lambda *_: "success"
    airflow.results["read"] = ANSWERS
    assert main(["catalog", "rebuild"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["CLOUD", "IMAGES", "NEW", "KNOWN", "OTHERS'"],
        ["here", "3", "2", "1", "0"],
        ["there", "0", "0", "0", "0"],
        ["there:", "left", "out"],
    ]
    airflow.results["read"] = [{**ANSWERS[0], "problem": "here: CredentialsRefused"}]
    assert main(["catalog", "rebuild", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["problem"] == "here: CredentialsRefused"
