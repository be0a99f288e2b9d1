"""Builds that end well: what they leave on the cloud and in the catalog."""

from __future__ import annotations

import pytest

from imagesmith.catalog.records import BuildState
from imagesmith.core import ImageState, TargetState

TASKS = ("launch_vm", "customize", "snapshot_image", "terminate")
# What a build changes on the cloud; all else it asks is a look, and how many looks a wait takes is up to the cloud.
EFFECTS = {
    "CreateSecurityGroup": 1,
    "AuthorizeSecurityGroupIngress": 1,
    "RunInstances": 1,
    "CreateImage": 1,
    "DeleteSecurityGroup": 1,
}


def test_a_build_leaves_its_image_and_nothing_else(deployment):
    deployment.generator(clouds={"first": {"tags": {"team": "physics"}}})
    run = deployment.run()
    build, target = deployment.build(run), deployment.target(run)
    assert (run.state, build.state, target.state) == ("success", BuildState.SUCCESSFUL, TargetState.SUCCESSFUL)
    image = deployment.catalog.images(build_id=build.build_id)[0]
    assert (image.state, image.source_image_id) == (ImageState.AVAILABLE, target.source_image_id)
    assert deployment.site.images() == {f"tools-{build.build_id}": image.image_id}
    assert deployment.site.left() == []
    assert target.output_tail == "hello\n"
    open_rows = {row.kind for row in deployment.catalog.resources(build_id=build.build_id)}
    assert open_rows <= {"image", "snapshot"}
    calls = deployment.site.calls()
    assert EFFECTS.items() <= calls.items()
    assert "ImportKeyPair" not in calls, "the build's key travels in the user data"


def test_a_build_makes_fewer_calls_than_packer(deployment):
    """Packer's amazon-ebs builder makes 19 for the same build on the sandbox."""
    deployment.generator()
    deployment.site.control("calls", method="DELETE")
    assert deployment.run().state == "success"
    calls = deployment.site.calls()
    assert sum(calls.values()) <= 16, calls


def test_all_it_makes_bears_the_builds_tags(deployment):
    deployment.generator(clouds={"first": {"tags": {"team": "physics", "imagesmith": "mine"}}})
    run = deployment.run(without=r".*terminate|publish")
    build, target = deployment.build(run), deployment.target(run)
    things = deployment.site.tagged(build.build_id)
    assert {id_.partition("-")[0] for id_ in things} == {"i", "vol", "ami", "snap"}
    [group] = deployment.site.groups()
    assert {tag["Key"] for tag in group["Tags"]} == {"Name", "imagesmith:cloud", "imagesmith:deployment"}
    for tags in things.values():
        assert tags["imagesmith:cloud"] == "first"
        assert tags["imagesmith:generator"] == "tools"
        assert tags["imagesmith:version"] == build.version
        assert tags["imagesmith:script-sha256"] == build.plan["script_sha256"]
        assert tags["imagesmith:source-image"] == target.source_image_id
        assert tags["team"] == "physics"
        assert build.build_id in tags["Name"]


def test_through_the_triggerer_the_result_is_the_same(deployment, monkeypatch):
    from triggers import step_trigger

    step_trigger._accounts.clear()
    monkeypatch.setenv("IMAGESMITH_WORKER_PATIENCE", "0")
    deployment.site.settings(boot_s=0.5, script_s=0.5, image_s=0.5)
    deployment.generator()
    run = deployment.run()
    assert run.state == "success"
    assert deployment.target(run).output_tail == "hello\n"
    assert len(deployment.site.images()) == 1
    assert deployment.site.left() == []
    assert len(deployment.site.instances()) == 1
    assert len(step_trigger._accounts) == 1, "no step went through a trigger"


def test_two_clouds_of_one_account_do_not_meet(deployment):
    deployment.clouds("second")
    deployment.generator(clouds={"first": {}, "second": {"image_name": "second-{build_id}"}})
    run = deployment.run()
    build = deployment.build(run)
    assert run.state == "success"
    assert set(deployment.site.images()) == {f"tools-{build.build_id}", f"second-{build.build_id}"}
    assert deployment.site.left() == []


def test_a_cloud_that_was_not_chosen_is_skipped(deployment):
    deployment.clouds("second")
    deployment.generator(clouds={"first": {}, "second": {}})
    run = deployment.run(conf={"clouds": ["second"]})
    assert run.state == "success"
    assert {run.tasks[f"first.{task}"] for task in TASKS} == {"skipped"}
    assert {run.tasks[f"second.{task}"] for task in TASKS} == {"success"}
    assert [target.cloud for target in deployment.catalog.targets(deployment.build(run).build_id)] == ["second"]
    assert len(deployment.site.instances()) == 1


def test_a_public_image_can_be_launched_by_all(deployment):
    deployment.generator(clouds={"first": {"public": True}})
    assert deployment.run().state == "success"
    image_id = next(iter(deployment.site.images().values()))
    reply = deployment.site.ec2.describe_image_attribute(ImageId=image_id, Attribute="launchPermission")
    assert {"Group": "all"} in reply["LaunchPermissions"]


@pytest.mark.parametrize("action", ["DescribeImages", "RunInstances", "CreateImage", "TerminateInstances"])
def test_a_busy_cloud_is_waited_out_in_the_step(deployment, action):
    deployment.generator()
    deployment.site.settings(api_error={"code": "RequestLimitExceeded", "status": 503, "count": 1, "action": action})
    run = deployment.run()
    assert run.state == "success"
    assert deployment.target(run).attempt == 1
    assert deployment.site.left() == []
    assert list(deployment.site.instances().values()) == ["terminated"]


def test_a_bad_file_hides_no_other_generator(deployment):
    deployment.generator("good")
    deployment.generator("bad", script="no-such-file.sh")
    (deployment.include / "generators" / "worse.yaml").write_text("clouds: [")
    assert deployment.dag("good") is not None
    assert deployment.dag("bad") is None
    assert deployment.dag("worse") is None
    assert deployment.dag("imagesmith_janitor") is not None
