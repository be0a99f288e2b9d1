"""Runs that are cleared, builds that were abandoned: whoever cleans up finds what is theirs and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from imagesmith.catalog.records import BuildState
from imagesmith.core import TAG_DEPLOYMENT, TargetState

LONG_AGO = timedelta(days=2)
REFUSED = {"code": "InsufficientInstanceCapacity", "message": "None left."}


def test_a_failed_build_that_is_cleared_builds_anew(deployment):
    deployment.generator()
    deployment.site.settings(launch_error=REFUSED)
    failed = deployment.run()
    assert failed.state == "failed"
    build_id = deployment.build(failed).build_id
    run = deployment.run(again=failed)
    build, target = deployment.build(run), deployment.target(run)
    assert (run.state, run.run_id) == ("success", failed.run_id)
    assert (build.build_id, build.state, build.attempt, build.error) == (build_id, BuildState.SUCCESSFUL, 2, "")
    assert (target.state, target.attempt, target.error) == (TargetState.SUCCESSFUL, 2, "")
    assert list(deployment.site.images()) == [f"tools-{build_id}"]
    assert deployment.site.left() == []


def test_what_had_succeeded_is_not_built_again(deployment):
    deployment.clouds("second")
    deployment.generator(clouds={"first": {}, "second": {"image_name": "second-{build_id}"}})
    done = deployment.run(conf={"clouds": ["first", "second"]})
    images = deployment.site.images()
    run = deployment.run(again=done)
    assert run.state == "success"
    assert deployment.site.images() == images
    assert len(deployment.site.instances()) == 2


def test_clearing_the_snapshot_alone_saves_nothing(deployment):
    """Airflow then clears begin, launch and terminate as well, but not customize."""
    deployment.generator(script="#!/bin/sh\n# sandbox: exit 3\n")
    failed = deployment.run()
    run = deployment.run(again=failed, without=r"first\.customize")
    assert run.tasks["first.snapshot_image"] == "failed"
    assert "was not customized by this build; clear the customize task as well" in deployment.target(run).error
    assert run.state == "failed"
    assert deployment.site.images() == {}
    assert deployment.site.left() == []


def _interrupted(deployment: Any, name: str) -> Any:
    """A build whose run ended without its teardown: an instance with all it needs is left."""
    deployment.generator(name, clouds={"first": {"image_name": name + "-{build_id}"}})
    run = deployment.run(name, without=r".*(customize|snapshot_image|terminate)|publish")
    return deployment.build(run, name)


def _ids(deployment: Any, build_id: str) -> set[str]:
    instances = deployment.site.instances()
    return {id_ for id_ in deployment.site.tagged(build_id) if instances.get(id_) != "terminated"}


def test_the_janitor_ends_what_is_over_and_nothing_else(deployment):
    abandoned, alive = _interrupted(deployment, "abandoned"), _interrupted(deployment, "alive")
    now = datetime.now(UTC)
    deployment.catalog.restart_build(abandoned.build_id, deadline=now - LONG_AGO)
    tags = [{"Key": "imagesmith:build", "Value": "20200101-000000-ffffff"}]
    tags += [{"Key": "imagesmith:cloud", "Value": "first"}]
    stranger = deployment.site.ec2.create_key_pair(
        KeyName="theirs", TagSpecifications=[{"ResourceType": "key-pair", "Tags": tags}]
    )["KeyPairId"]
    before = {build.build_id: _ids(deployment, build.build_id) for build in (abandoned, alive)}
    assert {id_.partition("-")[0] for id_ in before[abandoned.build_id]} == {"i", "vol"}

    assert deployment.run("imagesmith_janitor", conf={"dry_run": True}).state == "success"
    assert {build_id: _ids(deployment, build_id) for build_id in before} == before
    assert deployment.catalog.build(abandoned.build_id).state is BuildState.RUNNING

    assert deployment.run("imagesmith_janitor", conf={"dry_run": False}).state == "success"
    assert _ids(deployment, abandoned.build_id) == set()
    assert _ids(deployment, alive.build_id) == before[alive.build_id]
    assert _ids(deployment, "20200101-000000-ffffff") == {stranger}
    assert deployment.catalog.build(abandoned.build_id).state is BuildState.CANCELLED
    assert deployment.catalog.target(abandoned.build_id, "first").state is TargetState.CANCELLED
    assert deployment.catalog.resources(build_id=abandoned.build_id) == []
    assert deployment.catalog.build(alive.build_id).state is BuildState.RUNNING


def test_the_janitor_fails_when_a_cloud_does_not_let_it_in(deployment):
    deployment.catalog.restart_build(
        _interrupted(deployment, "abandoned").build_id, deadline=datetime.now(UTC) - LONG_AGO
    )
    deployment.connection("first", secret="not-the-secret")
    assert deployment.run("imagesmith_janitor").state == "failed"
    deployment.connection("first")
    assert deployment.run("imagesmith_janitor").state == "success"
    assert deployment.site.left() == []


def test_a_lost_catalog_leaves_the_janitor_the_tags(deployment):
    lost = _interrupted(deployment, "lost")
    deployment.generator("kept", clouds={"first": {"image_name": "kept-{build_id}"}})
    assert deployment.run("kept").state == "success"
    tags = [{"Key": "imagesmith:build", "Value": "20200101-000000-ffffff"}, {"Key": TAG_DEPLOYMENT, "Value": "0" * 12}]
    deployment.site.ec2.create_key_pair(
        KeyName="theirs", TagSpecifications=[{"ResourceType": "key-pair", "Tags": tags}]
    )
    deployment.site.ec2.create_key_pair(KeyName="nobodys")
    images, ours = deployment.site.images(), _ids(deployment, lost.build_id)
    assert {id_.partition("-")[0] for id_ in ours} == {"i", "vol"}
    deployment.lose_catalog()

    assert deployment.run("imagesmith_janitor").state == "success"
    assert _ids(deployment, lost.build_id) == ours, "it is not old enough"
    assert deployment.run("imagesmith_janitor", conf={"older_than_hours": 0, "dry_run": True}).state == "success"
    assert _ids(deployment, lost.build_id) == ours

    assert deployment.run("imagesmith_janitor", conf={"older_than_hours": 0}).state == "success"
    assert deployment.site.left() == ["nobodys", "theirs"]
    assert deployment.site.images() == images


def test_the_janitor_looks_on_clouds_that_were_never_built_on(deployment):
    deployment.clouds("second", "third")
    deployment.patch.delenv("AIRFLOW_CONN_THIRD")
    build_id = _interrupted(deployment, "lost").build_id
    deployment.lose_catalog()
    (deployment.include / "clouds.yaml").write_text("second: {type: ec2}\nthird: {type: ec2}\n")
    assert deployment.run("imagesmith_janitor", conf={"older_than_hours": 0}).state == "success"
    assert _ids(deployment, build_id) == set(), "first is no cloud any more, and its account is second's"
