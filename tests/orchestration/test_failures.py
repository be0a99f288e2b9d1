"""The table of failures: what a user reads, that nothing is left, and that nobody else is harmed."""

from __future__ import annotations

import os
from typing import Any

import pytest

from imagesmith.catalog.records import BuildState
from imagesmith.core import TargetState

UNKNOWN_IMAGE = "ami-0123456789abcdef0"


def fails(deployment: Any, run: Any, *words: str) -> str:
    """What the target says of its failure; the run failed, nothing is left and nothing is a half-made image."""
    build, target = deployment.build(run), deployment.target(run)
    assert (run.state, build.state, target.state) == ("failed", BuildState.FAILED, TargetState.FAILED)
    assert run.tasks["publish"] == "failed"
    assert deployment.site.left() == []
    for word in words:
        assert word in target.error, target.error
    assert build.error == f"first: failed: {target.error.removeprefix('first: ')}"
    return target.error


def test_a_script_that_exits_3(deployment):
    output = "".join(f"# sandbox: print line {number}\n" for number in range(1, 2000))
    (deployment.include / "scripts" / "install.sh").write_text(f"#!/bin/sh\n{output}# sandbox: exit 3\n")
    deployment.generator(script="install.sh")
    deployment.generator("others")
    error = fails(deployment, deployment.run(), "first: install.sh exited 3", "line 1999")
    assert "line 1000\n" not in error
    assert deployment.site.images() == {}
    assert deployment.run("others").state == "success"
    assert deployment.site.left() == []


def test_a_script_beyond_its_limit(deployment):
    (deployment.include / "scripts" / "hangs.sh").write_text("#!/bin/sh\n# sandbox: take 600\n")
    deployment.generator(script="hangs.sh", time_limits={"customize": "5s"})
    fails(deployment, deployment.run(), "run hangs.sh: the limit of 5s for customize (time_limits.customize)")


def test_a_build_beyond_its_limit(deployment):
    deployment.site.settings(script_s=600)
    deployment.generator(time_limit="12s")
    fails(deployment, deployment.run(), "the limit of 12s for the build (time_limit) is used up")


def test_ssh_that_never_answers(deployment):
    deployment.clouds("first", ssh_port=2299)
    deployment.generator(time_limits={"launch": "10s"})
    fails(
        deployment,
        deployment.run(),
        "no SSH at admin@127.",
        "the security group or a firewall may keep port 2299 closed",
        "End of the console output:\n-----BEGIN SSH HOST KEY FINGERPRINTS",
    )


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        ("InsufficientInstanceCapacity", "choose another instance_type or subnet, or build later"),
        ("InstanceLimitExceeded", "remove what is not needed there or ask the cloud for a higher limit"),
    ],
)
def test_a_launch_that_is_refused(deployment, code, cure):
    deployment.generator()
    deployment.site.settings(launch_error={"code": code, "message": "The cloud has its reasons."})
    fails(deployment, deployment.run(), f"{code}: The cloud has its reasons; {cure}")
    assert deployment.site.instances() == {}
    assert deployment.site.calls()["RunInstances"] == 1


def test_wrong_credentials(deployment):
    deployment.connection("first", secret="not-the-secret")
    deployment.generator()
    run = deployment.run()
    deployment.connection("first")
    fails(deployment, run, "first: find source image", "SignatureDoesNotMatch", "check the Airflow connection first")
    assert "not-the-secret" not in deployment.target(run).error


def test_no_connection(deployment, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_FIRST")
    deployment.generator()
    run = deployment.run()
    assert run.state == "failed"
    assert run.tasks["first.launch_vm"] == "failed"
    assert "no Airflow connection named first" in deployment.target(run).error
    assert deployment.site.calls() == {}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (UNKNOWN_IMAGE, f"first: find source image {UNKNOWN_IMAGE}: InvalidAMIID.NotFound"),
        ({"name": "gone-*", "owner": "136693071363"}, "first: image gone-* of owner 136693071363 not found"),
    ],
)
def test_a_source_image_that_is_gone(deployment, source, words):
    deployment.generator(clouds={"first": {"source_image": source}})
    fails(deployment, deployment.run(), words, "check source_image of first in the generator")
    assert "RunInstances" not in deployment.site.calls()


def test_a_name_that_is_taken(deployment):
    taken = deployment.site.save_an_image("tools-stable")
    deployment.site.control("calls", method="DELETE")
    deployment.generator(clouds={"first": {"image_name": "tools-stable"}})
    fails(deployment, deployment.run(), f"an image named tools-stable is there already ({taken})")
    assert "RunInstances" not in deployment.site.calls()
    assert deployment.site.images() == {"tools-stable": taken}


def test_a_parameter_of_a_wrong_value(deployment):
    deployment.generator(parameters={"size": {"type": "string", "choices": ["small", "big"], "default": "small"}})
    with pytest.raises(Exception, match="huge"):
        deployment.run(conf={"size": "huge"})
    assert deployment.site.calls() == {}


@pytest.mark.parametrize("required", [True, False])
def test_one_cloud_never_stops_another(deployment, required):
    deployment.clouds("second")
    broken = {"source_image": UNKNOWN_IMAGE, "required": required}
    deployment.generator(clouds={"first": broken, "second": {}})
    run = deployment.run()
    build = deployment.build(run)
    assert deployment.target(run, "first").state is TargetState.FAILED
    assert deployment.target(run, "second").state is TargetState.SUCCESSFUL
    assert list(deployment.site.images()) == [f"tools-{build.build_id}"]
    assert deployment.site.left() == []
    expected = ("failed", BuildState.FAILED) if required else ("success", BuildState.SUCCESSFUL)
    assert (run.state, build.state) == expected


def test_a_deployment_without_a_secret(deployment, monkeypatch):
    from operators.deployment import this_deployment

    monkeypatch.delenv("IMAGESMITH_SECRET")
    this_deployment.cache_clear()
    deployment.generator()
    run = deployment.run()
    assert run.state == "failed"
    assert deployment.site.calls() == {}
    assert "IMAGESMITH_SECRET" not in os.environ


def test_two_clouds_of_one_account_never_share_an_image(deployment):
    deployment.clouds("first", "second")
    deployment.generator(clouds={"first": {}, "second": {}})
    run = deployment.run()
    targets = [deployment.target(run, cloud) for cloud in ("first", "second")]
    assert run.state == "failed"
    assert sorted(target.state for target in targets) == ["failed", "successful"]
    assert "AMI name" in "".join(target.error for target in targets)
