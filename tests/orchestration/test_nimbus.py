"""Whole builds on the two Nimbus sites: what they leave there, and how they end when a site gives trouble."""

from __future__ import annotations

import time
from typing import Any

import pytest

from imagesmith import settings
from imagesmith.clouds import nimbus_client

from .nimbus_sites import KVM, XEN, NimbusSites


@pytest.fixture
def nimbus(deployment) -> NimbusSites:
    return NimbusSites(deployment)


def test_one_build_on_both_sites(deployment, nimbus):
    nimbus.generator(XEN, KVM)
    run = deployment.run()
    build = deployment.build(run)
    assert (run.state, build.state) == ("success", "successful"), build.error
    for site in (XEN, KVM):
        assert nimbus.images(site) == [f"tools-{build.build_id}"]
        assert nimbus.workspaces(site) == []
        assert deployment.target(run, site).output_tail == "hello\n"


def _fails(deployment, nimbus, *words: str, site: str = KVM) -> str:
    """What the target says of its failure; nothing runs and no image is left."""
    run = deployment.run()
    target = deployment.target(run, site)
    assert (run.state, target.state) == ("failed", "failed"), target.error
    assert nimbus.workspaces(site) == []
    assert nimbus.images(site) == []
    for word in words:
        assert word in target.error, target.error
    return target.error


def test_a_failed_save_that_exits_0(deployment, nimbus):
    nimbus.generator(KVM)
    nimbus.plan(KVM, "save", "corrupt", text="no space left in the repository")
    _fails(deployment, nimbus, "no space left in the repository")


def test_a_save_that_prints_nothing(deployment, nimbus):
    nimbus.generator(KVM)
    nimbus.plan(KVM, "save", "silent")
    _fails(deployment, nimbus, "ended without saying that the image was saved")


def test_a_client_that_dies_before_it_tells_of_the_workspace(deployment, nimbus):
    nimbus.generator(KVM)
    nimbus.plan(KVM, "run", "crash_after")
    run = deployment.run()
    assert run.state == "success", deployment.target(run, KVM).error
    assert nimbus.workspaces(KVM) == []
    assert len(nimbus.images(KVM)) == 1


@pytest.mark.parametrize("kind", ["hang_before", "hang_after"])
def test_a_client_that_hangs_while_it_launches_is_ended_and_started_again(deployment, nimbus, monkeypatch, kind):
    monkeypatch.setattr(nimbus_client, "CREATE_LIMIT_S", 4.0)
    nimbus.generator(KVM)
    nimbus.plan(KVM, "run", kind, seconds=600)
    run = deployment.run()
    assert run.state == "success", deployment.target(run, KVM).error
    assert nimbus.workspaces(KVM) == []
    assert len(nimbus.images(KVM)) == 1


def test_a_client_that_is_killed_while_it_ends_a_workspace_is_started_again(deployment, nimbus):
    nimbus.generator(KVM, script="#!/bin/sh\n# sandbox: exit 3\n")
    nimbus.plan(KVM, "terminate", "killed", count=2)
    _fails(deployment, nimbus, "exited 3")


def test_a_client_that_always_hangs(deployment, nimbus, monkeypatch):
    monkeypatch.setattr(nimbus_client, "CREATE_LIMIT_S", 2.0)
    nimbus.generator(KVM, time_limits={"launch": "8s"})
    nimbus.plan(KVM, "run", "hang_before", seconds=600, count=99)
    _fails(deployment, nimbus, "the cloud client created nothing in 2 s and was ended", "the limit of 8s for launch")


def test_a_save_that_hangs_is_ended_with_its_client(deployment, nimbus):
    nimbus.generator(KVM, time_limits={"save": "6s"})
    nimbus.plan(KVM, "save", "hang_before", seconds=600)
    _fails(deployment, nimbus, "wait until image", "the limit of 6s for snapshot_image (time_limits.save)")
    [written] = (settings.home() / "nimbus" / KVM).glob("*/save.pid")
    _until(lambda: not nimbus_client.is_running(int(written.read_text().split()[0])))


def _until(done: Any) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_lease_that_ends_while_the_script_runs(deployment, nimbus):
    nimbus.settings(KVM, minute_s=0.05)
    nimbus.generator(KVM, script="#!/bin/sh\n# sandbox: take 600\n", time_limits={"customize": "60s"})
    _fails(deployment, nimbus, "its lease has ended or somebody ended it")


@pytest.mark.parametrize("query", ["{name}", "{name}*"], ids=["by name", "by pattern"])
def test_a_public_image_that_another_user_may_not_read(deployment, nimbus, query):
    entry = {"source_image": "simulated-1", "ssh_username": "root", "instance_type": "512", "public": True}
    deployment.generator("theirs", clouds={KVM: entry})
    assert deployment.run("theirs").state == "success"
    [name] = nimbus.images(KVM)
    nimbus.make_private(KVM, f"VMS/common/{name}")
    nimbus.connection(KVM, user=1)
    entry["source_image"] = {"name": query.format(name=name)}
    deployment.generator(clouds={KVM: entry})
    run = deployment.run()
    target = deployment.target(run, KVM)
    assert (run.state, target.state) == ("failed", "failed")
    assert "an image in common that is not public is its owner's alone" in target.error
    assert nimbus.workspaces(KVM) == []
    assert nimbus.images(KVM) == [name]


def test_a_wrong_secret_key(deployment, nimbus):
    nimbus.generator(KVM)
    nimbus.connection(KVM, secret_key="wrong")
    _fails(deployment, nimbus, f"check the Airflow connection {KVM}")


def test_a_workspace_that_never_runs(deployment, nimbus):
    nimbus.generator(XEN)
    nimbus.plan(XEN, "run", "corrupt", text="the node has no such bridge")
    _fails(deployment, nimbus, "the node has no such bridge", site=XEN)


def test_an_existing_name_is_an_error_before_anything_starts(deployment, nimbus):
    nimbus.generator(KVM)
    assert deployment.run().state == "success"
    name = nimbus.images(KVM)[0]
    entry = {"source_image": "simulated-1", "ssh_username": "root", "instance_type": "512", "image_name": name}
    deployment.generator(clouds={KVM: entry})
    run = deployment.run()
    assert run.state == "failed"
    assert f"an image named {name} is there already" in deployment.target(run, KVM).error
    assert nimbus.images(KVM) == [name]


def test_a_public_image_is_common_and_for_everybody(deployment, nimbus):
    entry = {"source_image": "simulated-1", "ssh_username": "root", "instance_type": "512", "public": True}
    deployment.generator(clouds={KVM: entry})
    assert deployment.run().state == "success"
    [image] = [each for each in nimbus.shown(KVM)["images"] if "simulated" not in each["id"]]
    assert image["id"].startswith("VMS/common/") and image["public"]


@pytest.mark.parametrize(
    ("action", "after", "verify"),
    [("save", 0, True), ("save", 0, False), ("run", 1, True)],
    ids=["the save fails", "the save fails, unverified", "the verification fails"],
)
def test_a_retry_saves_anew_what_was_deleted(deployment, nimbus, action, after, verify):
    nimbus.generator(KVM, verify=verify)
    nimbus.plan(KVM, action, "corrupt", after=after)
    failed = deployment.run()
    assert (failed.state, nimbus.images(KVM)) == ("failed", [])
    run = deployment.run(again=failed)
    build = deployment.build(run)
    assert (run.state, build.attempt) == ("success", 2), deployment.target(run, KVM).error
    [image] = deployment.catalog.images(build_id=build.build_id)
    assert (image.state, image.verified_at is not None) == ("available", verify)
    assert nimbus.images(KVM) == [image.name]
    assert nimbus.workspaces(KVM) == []


def test_a_name_is_free_again_for_other_builds_once_its_image_is_gone(deployment, nimbus):
    entry = {"source_image": "simulated-1", "ssh_username": "root", "instance_type": "512", "image_name": "img"}
    deployment.generator(clouds={KVM: entry})
    nimbus.plan(KVM, "save", "corrupt")
    assert deployment.run().state == "failed"
    for _ in range(2):
        run = deployment.run()
        assert run.state == "success", deployment.target(run, KVM).error
        [image] = deployment.catalog.images()
        assert (image.build_id, image.state) == (deployment.build(run).build_id, "available")
        assert nimbus.images(KVM) == ["img"]
        nimbus.remove(KVM, image.image_id)
    assert nimbus.workspaces(KVM) == []
