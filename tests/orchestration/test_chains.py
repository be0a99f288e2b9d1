"""Generators that start from each other's images: assets, the builds they start, and builds that are left out."""

from __future__ import annotations

from typing import Any

import pytest

from imagesmith.catalog.records import BuildState
from imagesmith.core import TargetState
from imagesmith.envelope import payload_of
from imagesmith.keys import parse_secret, signing_key
from imagesmith.provenance import read_statement

from .conftest import SECRET

PARENT = {"source_image": {"generator": "base"}}


def events_of(name: str) -> list[Any]:
    """The events of the asset, oldest first."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(AssetEvent).join(AssetModel, AssetModel.id == AssetEvent.asset_id).where(AssetModel.name == name)
        found = session.scalars(query.order_by(AssetEvent.id)).all()
        session.expunge_all()
        return list(found)


def scheduled(name: str) -> list[Any]:
    """The generator's runs that its parents' images started, after the scheduler has looked."""
    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.sqlalchemy import prohibit_commit
    from sqlalchemy import select

    with create_session() as session:
        job = Job()
        session.add(job)
        session.commit()
        with prohibit_commit(session) as guard:
            SchedulerJobRunner(job)._create_dagruns_for_dags(guard, session)
        runs = session.scalars(select(DagRun).where(DagRun.dag_id == name, DagRun.run_type == "asset_triggered"))
        return [(run, len(run.consumed_asset_events)) for run in runs]


@pytest.fixture
def clean(deployment: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The deployment, with no events or runs of other tests, whose DAGs of the same names are forgotten at once."""
    from airflow.models.asset import AssetDagRunQueue, AssetEvent
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    monkeypatch.setenv("AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL", "0")
    with create_session() as session:
        for table in (AssetDagRunQueue, AssetEvent, DagRun):
            session.execute(delete(table))
    return deployment


def test_each_new_image_is_an_event_of_its_asset_with_all_that_is_known(clean):
    clean.clouds("second")
    clean.generator("base", clouds={"first": {}, "second": {"image_name": "second-{build_id}"}})
    run = clean.run("base")
    build = clean.build(run, "base")
    for image in clean.catalog.images(build_id=build.build_id):
        (event,) = events_of(f"imagesmith:base:{image.cloud}")
        assert event.extra == {
            "cloud": image.cloud,
            "image_id": image.image_id,
            "image_name": image.name,
            "inventory_digest": image.inventory_digest,
            "generator": "base",
            "version": build.version,
            "build_id": build.build_id,
            "source_image_id": image.source_image_id,
            "parent": None,
        }
        assert (event.source_dag_id, event.source_task_id, event.source_run_id) == ("base", "publish", run.run_id)


def test_a_build_ends_with_a_statement_about_the_content_of_its_images(clean):
    clean.clouds("second")
    clean.generator("base", clouds={"first": {}, "second": {"image_name": "second-{build_id}"}})
    build = clean.build(clean.run("base"), "base")
    payload = payload_of(build.provenance.encode(), signing_key(parse_secret(SECRET)).public_key())
    claim = read_statement(payload)
    images = clean.catalog.images(build_id=build.build_id)
    assert {image.cloud for image in images} == {"first", "second"}
    assert claim.subjects == {f"{image.cloud}/{image.image_id}": image.inventory_digest for image in images}
    assert claim.build_id == build.build_id


def test_a_cloud_without_a_new_image_has_no_event(clean):
    clean.clouds("second")
    clean.generator(
        "base", clouds={"first": {}, "second": {"required": False, "source_image": {"name": "nothing-fits-this"}}}
    )
    assert clean.run("base").state == "success"
    assert len(events_of("imagesmith:base:first")) == 1
    assert events_of("imagesmith:base:second") == []


def test_a_cleared_build_tells_only_of_what_is_new(clean):
    clean.clouds("second")
    clean.generator("base", clouds={"first": {}, "second": {"required": False, "image_name": "second-{build_id}"}})
    clean.connection("second", secret="not-the-secret")
    run = clean.run("base")
    assert run.state == "success"
    clean.connection("second")
    assert clean.run("base", again=run).state == "success"
    assert [len(events_of(f"imagesmith:base:{cloud}")) for cloud in ("first", "second")] == [1, 1]


def test_an_image_starts_from_the_newest_of_its_parent_and_keeps_it(clean):
    clean.generator("base")
    clean.generator("child", clouds={"first": {**PARENT, "image_name": "child-{build_id}"}})
    clean.run("base")
    parent = clean.catalog.images(generator="base")[0]
    failed = clean.run("child", without=r".*(customize|snapshot_image|terminate|verify_image)|publish")
    assert clean.target(failed, name="child").source_image_id == parent.image_id
    clean.run("base")
    assert clean.run("child", again=failed).state == "success"
    image = clean.catalog.images(generator="child")[0]
    assert image.source_image_id == parent.image_id
    (event,) = events_of("imagesmith:child:first")
    assert event.extra["parent"] == {
        "generator": "base",
        "version": parent.version,
        "build_id": parent.build_id,
        "image_name": parent.name,
        "inventory_digest": parent.inventory_digest,
    }
    again = clean.run("child")
    assert clean.target(again, name="child").source_image_id == clean.catalog.images(generator="base")[0].image_id


def test_without_an_image_of_the_parent_nothing_is_launched(clean):
    clean.generator("base")
    clean.generator("child", clouds={"first": PARENT})
    run = clean.run("child")
    assert run.state == "failed"
    assert (
        "first: generator base has no successful image there yet to start from; build it first: "
        "`imagesmith build base --cloud first`"
    ) in clean.target(run, name="child").error
    assert clean.site.instances() == {}


def test_a_parent_on_two_clouds_starts_one_build(clean):
    clean.clouds("second")
    clean.generator("base", clouds={"first": {}, "second": {"image_name": "second-{build_id}"}})
    clean.generator("child", clouds={"first": PARENT, "second": PARENT}, rebuild_when="parent")
    assert scheduled("child") == []
    clean.run("base")
    ((run, events),) = scheduled("child")
    assert (events, str(run.run_type)) == (2, "asset_triggered")
    assert len(scheduled("child")) == 1, "it is started once"
    clean.run("base", conf={"clouds": ["second"]})
    assert [events for _, events in scheduled("child")] == [2, 1]


def test_a_grandchild_waits_for_the_child(clean):
    clean.generator("base")
    clean.generator("child", clouds={"first": {**PARENT, "image_name": "child-{build_id}"}}, rebuild_when="parent")
    grand = {"first": {"source_image": {"generator": "child"}, "image_name": "grand-{build_id}"}}
    clean.generator("grandchild", clouds=grand, rebuild_when="parent")
    clean.run("base")
    assert (len(scheduled("child")), len(scheduled("grandchild"))) == (1, 0)
    clean.run("child")
    assert len(scheduled("grandchild")) == 1


def test_with_a_schedule_both_start_builds(clean):
    clean.generator("base")
    clean.generator("child", clouds={"first": PARENT}, rebuild_when="parent", schedule="@weekly")
    clean.run("base")
    assert len(scheduled("child")) == 1
    assert clean.dag("child").timetable.timetable.expression == "0 0 * * 0"


def test_what_would_be_the_same_is_not_built_again(clean):
    clean.clouds("second")
    clean.generator(
        "tools", clouds={"first": {}, "second": {"image_name": "second-{build_id}"}}, skip_if_unchanged=True
    )
    first = clean.build(clean.run())
    images, launched = clean.site.images(), len(clean.site.instances())
    run = clean.run()
    build, target = clean.build(run), clean.target(run)
    assert (run.state, build.state, target.state) == ("success", BuildState.SUCCESSFUL, TargetState.SUCCESSFUL)
    assert (clean.site.images(), len(clean.site.instances())) == (images, launched)
    kept = clean.catalog.image("first", target.kept_image_id)
    assert kept.build_id == first.build_id
    assert {run.tasks[f"first.{task}"] for task in ("customize", "snapshot_image")} == {"skipped"}
    assert {run.tasks[task] for task in ("first.launch_vm", "first.terminate", "publish")} == {"success"}
    assert len(events_of("imagesmith:tools:first")) == 1, "nothing is new"
    assert build.provenance == ""
    assert clean.site.left() == []


@pytest.mark.parametrize(
    "change",
    [
        {"script": "#!/bin/sh\n# sandbox: print other\necho other\n"},
        {"clouds": {"first": {"tags": {"team": "physics"}}}},
        {"skip_if_unchanged": False},
    ],
    ids=["script", "entry", "not wanted"],
)
def test_what_would_be_another_is_built(clean, change):
    clean.generator("tools", skip_if_unchanged=True)
    clean.run()
    clean.generator("tools", **{"skip_if_unchanged": True, **change})
    assert clean.run().state == "success"
    assert len(clean.site.images()) == 2


def test_other_parameters_and_a_deleted_image_are_built(clean):
    clean.generator("tools", skip_if_unchanged=True, parameters={"extra": {"type": "string", "default": ""}})
    clean.run()
    clean.run(conf={"extra": "vim"})
    assert len(clean.site.images()) == 2
    clean.run()
    assert len(clean.site.images()) == 2, "what was built before the last build counts, too"
    for image in clean.catalog.images():
        clean.catalog.image_deleted(image.cloud, image.image_id)
    clean.run()
    assert len(clean.site.images()) == 3


def test_only_the_cloud_whose_parent_is_new_is_built(clean):
    clean.clouds("second")
    clean.generator("base", clouds={"first": {}, "second": {"image_name": "second-{build_id}"}})
    clean.generator(
        "child",
        clouds={
            "first": {**PARENT, "image_name": "child-{build_id}"},
            "second": {**PARENT, "image_name": "child-second-{build_id}"},
        },
        skip_if_unchanged=True,
    )
    clean.run("base")
    clean.run("child")
    clean.run("base", conf={"clouds": ["second"]})
    run = clean.run("child")
    assert run.state == "success"
    assert clean.target(run, "first", "child").kept_image_id
    assert not clean.target(run, "second", "child").kept_image_id
    assert len(clean.catalog.images(generator="child")) == 3
