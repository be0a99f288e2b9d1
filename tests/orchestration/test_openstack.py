"""Whole builds on the three OpenStack sites: what they leave there, and how they end when a site gives trouble."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from tests.unit.openstack_client import Stack

from imagesmith.core import ResourceKind, TargetState
from imagesmith.keys import parse_secret
from imagesmith.sealing import seal
from imagesmith.steps import terminate

from .conftest import SECRET
from .openstack_sites import HOTEL, INDIA, SIERRA, Sites


@pytest.fixture
def openstack(deployment) -> Sites:
    return Sites(deployment)


def test_one_build_on_all_three_sites(deployment, openstack):
    openstack.generator(HOTEL, INDIA, SIERRA)
    run = deployment.run(conf=openstack.sealed())
    build = deployment.build(run)
    assert (run.state, build.state) == ("success", "successful"), build.error
    for site in (HOTEL, INDIA, SIERRA):
        assert openstack.images(site) == [f"tools-{build.build_id}"]
        assert openstack.left(site) == {}
        assert deployment.target(run, site).output_tail == "hello\n"


def test_through_the_triggerer_the_result_is_the_same(deployment, openstack, monkeypatch):
    monkeypatch.setenv("IMAGESMITH_WORKER_PATIENCE", "0")
    openstack.settings(HOTEL, boot_s=0.5, script_s=0.5, image_s=0.5)
    openstack.generator(HOTEL)
    run = deployment.run(conf=openstack.sealed())
    assert run.state == "success", deployment.target(run, HOTEL).error
    assert openstack.left(HOTEL) == {}


def test_an_image_bears_the_builds_properties(deployment, openstack):
    openstack.generator(SIERRA)
    run = deployment.run()
    build = deployment.build(run)
    image = next(each for each in openstack.shown(SIERRA)["images"] if each["name"] == f"tools-{build.build_id}")
    said = image["properties"]
    assert said["imagesmith_build"] == build.build_id
    assert said["imagesmith_generator"] == "tools"
    assert said["imagesmith_version"] == build.version
    assert said["imagesmith_script_sha256"] == build.plan["script_sha256"]
    assert said["imagesmith_source_image"] == deployment.target(run, SIERRA).source_image_id


def _on_a_volume(deployment, openstack, *, disk_gib: int, **keys):
    entry = {"source_image": "simulated-1", "ssh_username": "admin", "instance_type": "m1.small"}
    deployment.generator(clouds={SIERRA: {**entry, "disk_gib": disk_gib}}, **keys)
    return deployment.run()


def test_a_server_on_a_volume_of_its_size_leaves_an_image_with_its_volume_snapshot(deployment, openstack):
    run = _on_a_volume(deployment, openstack, disk_gib=12)
    assert run.state == "success", deployment.target(run, SIERRA).error
    shown = openstack.shown(SIERRA)
    assert [each["size_gib"] for each in shown["volume_snapshots"]] == [12]
    assert openstack.images(SIERRA) == [f"tools-{deployment.build(run).build_id}"]
    assert openstack.left(SIERRA) == {}


def test_a_failed_build_on_a_volume_leaves_neither_volume_nor_snapshot(deployment, openstack):
    run = _on_a_volume(deployment, openstack, disk_gib=12, script="#!/bin/sh\n# sandbox: exit 3\n")
    assert run.state == "failed"
    assert openstack.left(SIERRA) == {}
    assert openstack.shown(SIERRA)["volume_snapshots"] == []


@pytest.mark.parametrize("status", [503, 409, 0])
def test_a_volumes_snapshot_goes_though_its_first_deletion_fails_and_another_process_ends_it(
    deployment, openstack, monkeypatch, status
):
    """Only the image names its snapshots: were it gone before them, the next process would not know of any."""
    monkeypatch.setenv("IMAGESMITH_WORKER_PATIENCE", "0")
    openstack.settings(SIERRA, fault={"method": "DELETE", "path": "/snapshots/", "status": status})
    drifting = "#!/bin/sh\n# sandbox: drift sl 5.02-1\n"
    run = _on_a_volume(deployment, openstack, disk_gib=12, script=drifting, verify=True)
    assert "5.02-1" in deployment.target(run, SIERRA).error
    assert (run.state, run.tasks[f"{SIERRA}.terminate"]) == ("failed", "success")
    shown = openstack.shown(SIERRA)
    assert (openstack.images(SIERRA), shown["volume_snapshots"], openstack.left(SIERRA)) == ([], [], {})


def test_a_volume_too_small_for_the_image_names_the_key(deployment, openstack):
    run = _on_a_volume(deployment, openstack, disk_gib=1)
    assert run.state == "failed"
    assert f"check disk_gib of {SIERRA} in the generator" in deployment.target(run, SIERRA).error
    assert openstack.left(SIERRA) == {}


@pytest.mark.parametrize("late", ["image_late_s", "task_late_s"])
def test_the_server_lives_until_image_and_task_state_are_through(deployment, openstack, late):
    """Deleted while Nova still works on it, it would take the image along: the door does as Nova does."""
    openstack.settings(SIERRA, **{late: 4})
    openstack.generator(SIERRA)
    began = time.monotonic()
    run = deployment.run()
    assert run.state == "success", deployment.target(run, SIERRA).error
    assert time.monotonic() - began > 4
    assert openstack.images(SIERRA) == [f"tools-{deployment.build(run).build_id}"]
    assert openstack.left(SIERRA) == {}


def test_no_floating_ip_to_be_had(deployment, openstack):
    openstack.settings(SIERRA, floating_ips=0)
    openstack.generator(SIERRA)
    run = deployment.run()
    error = deployment.target(run, SIERRA).error
    assert run.state == "failed"
    assert "floating IP" in error and "quota" in error.lower(), error
    assert openstack.left(SIERRA) == {}


@pytest.mark.parametrize("where", [INDIA, SIERRA])
def test_a_server_that_ends_in_error_tells_the_clouds_fault(deployment, openstack, where):
    openstack.settings(where, doom="No valid host was found. There are not enough hosts available.")
    openstack.generator(where)
    run = deployment.run()
    assert run.state == "failed"
    assert "No valid host was found" in deployment.target(run, where).error
    assert openstack.left(where) == {}


def test_a_token_that_ends_in_the_middle_is_made_anew(deployment, openstack):
    openstack.settings(SIERRA, token_s=2, script_s=4)
    openstack.generator(SIERRA)
    run = deployment.run()
    assert run.state == "success", deployment.target(run, SIERRA).error
    assert openstack.left(SIERRA) == {}


def test_a_wrong_password_in_the_connection(deployment, openstack):
    from imagesmith.sandbox.openstack import sites

    openstack.connection(SIERRA, password="wrong", auth_url=openstack.auth_url(sites.SITES[SIERRA]))
    openstack.generator(SIERRA)
    run = deployment.run()
    assert run.state == "failed"
    assert "check the Airflow connection" in deployment.target(run, SIERRA).error


# Passwords that are asked at every build


def test_the_credential_of_a_build_ends_with_it(deployment, openstack):
    openstack.generator(HOTEL)
    conf = openstack.sealed()
    assert openstack.shown(HOTEL)["application_credentials"]
    run = deployment.run(conf=conf)
    assert run.state == "success"
    assert openstack.left(HOTEL) == {}
    assert deployment.target(run, HOTEL).sealed_credential == ""


def test_the_credential_of_a_build_that_failed_ends_with_it(deployment, openstack):
    openstack.generator(HOTEL, script="#!/bin/sh\n# sandbox: exit 3\n")
    run = deployment.run(conf=openstack.sealed())
    assert run.state == "failed"
    assert deployment.target(run, HOTEL).state is TargetState.FAILED
    assert openstack.left(HOTEL) == {}
    assert deployment.target(run, HOTEL).sealed_credential == ""


def test_a_run_without_a_password_skips_the_target_and_says_how_to_build_it(deployment, openstack):
    openstack.generator(HOTEL, SIERRA)
    run = deployment.run()
    assert run.state == "success"
    assert {run.tasks[f"{HOTEL}.{task}"] for task in ("launch_vm", "customize", "snapshot_image")} == {"skipped"}
    assert run.tasks[f"{SIERRA}.launch_vm"] == "success"
    said = deployment.build(run).plan["skipped"][HOTEL]
    assert f"imagesmith build tools --cloud {HOTEL}" in said
    assert openstack.images(HOTEL) == []


def test_a_password_that_came_past_the_gate_makes_no_run(deployment, openstack):
    from airflow.sdk.exceptions import ParamValidationError

    openstack.generator(HOTEL)
    with pytest.raises(ParamValidationError):
        deployment.run(conf={f"password_{HOTEL}": "in the clear"})
    assert deployment.catalog.builds() == []
    assert openstack.left(HOTEL) == {}


def test_a_credential_for_another_generator_opens_nothing(deployment, openstack):
    openstack.generator(HOTEL)
    deployment.generator("others", clouds={HOTEL: {}})
    run = deployment.run(conf=openstack.sealed(generator="others"))
    assert run.state == "failed"
    assert "was not sealed for tools" in deployment.target(run, HOTEL).error
    shown = openstack.shown(HOTEL)
    assert shown["servers"] == [] and shown["key_pairs"] == []


def test_a_run_without_a_password_that_has_no_other_target_is_no_success(deployment, openstack):
    openstack.generator(HOTEL)
    run = deployment.run()
    assert (run.state, run.tasks["begin"]) == ("failed", "failed")
    assert deployment.catalog.builds() == []


def _abandoned(deployment, openstack):
    """A build whose run ended without its teardown, long ago: a server with all it needs is left."""
    openstack.generator(HOTEL, script="#!/bin/sh\n# sandbox: print abandoned\n")
    run = deployment.run(conf=openstack.sealed(), without=r".*(customize|snapshot_image|terminate)|publish")
    build = deployment.build(run)
    deployment.catalog.restart_build(build.build_id, deadline=datetime.now(UTC) - timedelta(days=2))
    assert set(openstack.left(HOTEL)) >= {"servers", "key_pairs", "security_groups", "floating_ips"}
    return build.build_id


def test_the_janitor_opens_the_cloud_with_the_builds_own_credential(deployment, openstack):
    build_id = _abandoned(deployment, openstack)
    assert deployment.run("imagesmith_janitor", conf={"dry_run": False}).state == "success"
    assert openstack.left(HOTEL) == {}
    assert deployment.catalog.target(build_id, HOTEL).sealed_credential == ""


def _without_its_credential(deployment, openstack):
    """An abandoned build that nobody can log in for any more."""
    build_id = _abandoned(deployment, openstack)
    expired = seal(parse_secret(SECRET), {}, generator="tools", cloud=HOTEL, expires=datetime.now(UTC))
    deployment.catalog.update_target(build_id, HOTEL, sealed_credential=expired)
    return build_id


def test_what_is_left_after_its_credential_ended_goes_with_the_next_build_there(deployment, openstack):
    build_id = _without_its_credential(deployment, openstack)
    assert deployment.run("imagesmith_janitor", conf={"dry_run": False}).state == "failed"
    assert deployment.run(conf=openstack.sealed()).state == "success"
    # Only what Keystone itself ends at that moment, which this test has not awaited.
    assert set(openstack.left(HOTEL)) == {"application_credentials"}
    assert deployment.catalog.resources(build_id=build_id) == []
    assert deployment.run("imagesmith_janitor", conf={"dry_run": False}).state == "success"


def test_an_older_group_on_somebodys_server_is_not_the_next_builds_trouble(deployment, openstack, monkeypatch):
    monkeypatch.setattr(terminate, "OLDER_LIMIT_S", 10)
    build_id = _without_its_credential(deployment, openstack)
    of_old = openstack.shown(HOTEL)["application_credentials"]
    rows = deployment.catalog.resources(build_id=build_id)
    group = next(row.resource_id for row in rows if row.kind is ResourceKind.SECURITY_GROUP)
    stack = Stack(deployment.site.endpoint, HOTEL)
    stack.token = stack.log_in()
    somebodys = stack.launch(security_groups=[{"name": group}])
    stack.becomes(somebodys, "ACTIVE")

    run = deployment.run(conf=openstack.sealed())
    assert (run.state, run.tasks[f"{HOTEL}.terminate"]) == ("success", "success")
    assert openstack.shown(HOTEL)["application_credentials"] == of_old, "this build's own has ended"
    assert [row.resource_id for row in deployment.catalog.resources(build_id=build_id)] == [group]

    stack.do("DELETE", f"{stack.nova}/servers/{somebodys}")
    stack.gone(f"{stack.nova}/servers/{somebodys}")
    assert deployment.run(conf=openstack.sealed()).state == "success"
    assert deployment.catalog.resources(build_id=build_id) == []
    assert openstack.left(HOTEL) == {"application_credentials": of_old}


def test_a_credential_of_a_run_that_never_had_a_build_is_taken_back(deployment, openstack):
    from listeners import run_ends

    openstack.generator(HOTEL)
    run = SimpleNamespace(dag_id="tools", run_id="never-began", conf={**openstack.sealed(), "clouds": [HOTEL]})
    run_ends.on_dag_run_failed(run, "")
    assert run.conf == {"clouds": [HOTEL]}
    for thread in threading.enumerate():
        if thread.name == "imagesmith-take-back":
            thread.join()
    assert openstack.left(HOTEL) == {}
