"""Images that are booted before they count: what their inventories say, and what fails them, in whole builds."""

from __future__ import annotations

import pytest

from imagesmith.catalog.records import BuildState
from imagesmith.core import TargetState

from .nimbus_sites import KVM, XEN, NimbusSites
from .openstack_sites import INDIA, SIERRA, Sites
from .test_secret_parameters import PARAMETERS, VALUE, rows_of, sealed

INSTALL = "#!/bin/sh\n# sandbox: install htop 3.2.2-2\n"


def packages(deployment, run, cloud="first"):
    """Version by name of the image's inventory."""
    image = next(
        each
        for each in deployment.catalog.images(build_id=deployment.build(run).build_id, include_deleted=True)
        if each.cloud == cloud
    )
    inventory = deployment.catalog.inventory(image.inventory_digest)
    return {package.name: package.version for package in inventory.packages}


def test_an_image_is_booted_tested_and_declared_good(deployment):
    (deployment.include / "scripts" / "has-htop.sh").write_text("#!/bin/sh\n# sandbox: print htop is there\n")
    deployment.generator(script=INSTALL, verify=True, tests=["has-htop.sh"])
    run = deployment.run()
    build, target = deployment.build(run), deployment.target(run)
    assert (run.state, target.state, run.tasks["first.verify_image"]) == ("success", TargetState.SUCCESSFUL, "success")
    image = deployment.catalog.images(build_id=build.build_id)[0]
    assert image.verified_at is not None
    assert packages(deployment, run)["htop"] == "3.2.2-2"
    assert deployment.site.tagged(build.build_id)[image.image_id]["imagesmith:digest"] == image.inventory_digest
    assert target.test_output_tail == "htop is there\n"
    assert list(deployment.site.instances().values()) == ["terminated", "terminated"]
    assert deployment.site.left() == []
    open_rows = {row.kind for row in deployment.catalog.resources(build_id=build.build_id)}
    assert open_rows <= {"image", "snapshot"}


def test_through_the_triggerer_the_result_is_the_same(deployment, monkeypatch):
    monkeypatch.setenv("IMAGESMITH_WORKER_PATIENCE", "0")
    deployment.generator(verify=True, tests=["#!/bin/sh\n# sandbox: print tested\n"])
    run = deployment.run()
    assert run.state == "success"
    assert deployment.target(run).test_output_tail == "tested\n"
    assert len(deployment.site.instances()) == 2
    assert deployment.site.left() == []


def test_the_same_scripts_give_the_same_digest_on_two_clouds(deployment):
    deployment.clouds("second")
    deployment.generator(script=INSTALL, verify=True, clouds={"first": {}, "second": {"image_name": "2-{build_id}"}})
    run = deployment.run()
    digests = {image.inventory_digest for image in deployment.catalog.images(build_id=deployment.build(run).build_id)}
    assert (run.state, len(digests)) == ("success", 1)


def test_a_package_on_one_cloud_only_is_in_that_inventory_only(deployment):
    deployment.clouds("second")
    script = "#!/bin/sh\n# sandbox: on second install sl 5.02-1\n"
    deployment.generator(script=script, clouds={"first": {}, "second": {"image_name": "2-{build_id}"}})
    run = deployment.run()
    first, second = packages(deployment, run), packages(deployment, run, "second")
    assert second == {**first, "sl": "5.02-1"}


def test_an_image_built_on_an_image_has_what_that_has(deployment):
    deployment.generator(script=INSTALL, clouds={"first": {"image_name": "parent"}})
    assert deployment.run().state == "success"
    deployment.generator("child", clouds={"first": {"source_image": {"name": "parent"}}}, verify=True)
    run = deployment.run("child")
    image = deployment.catalog.images(build_id=deployment.build(run, "child").build_id)[0]
    names = {package.name for package in deployment.catalog.inventory(image.inventory_digest).packages}
    assert "htop" in names


REFUSED = {
    "difference": (
        {"script": "#!/bin/sh\n# sandbox: drift bash 5.3-1\n"},
        "dpkg package bash:amd64 is 5.3-1 (Debian Developers) instead of 5.2.15-2+b9",
    ),
    "test": ({"tests": ["#!/bin/sh\n# sandbox: print no htop here\n# sandbox: exit 7\n"]}, "test-1 exited 7"),
    "history": (
        {"script": "#!/bin/sh\n# sandbox: write /root/.bash_history ls\n"},
        "/root/.bash_history holds a shell",
    ),
    "key": (
        {
            "script": "#!/bin/sh\n# sandbox: write /root/.ssh/authorized_keys ssh-ed25519 AAAA$IMAGESMITH_BUILD_ID\n",
        },
        "/root/.ssh/authorized_keys lets in a key that ends in",
    ),
    "directory": (
        {"script": "#!/bin/sh\n# sandbox: write /root/.imagesmith/x y\n"},
        "/root/.imagesmith/x is left of a build",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_image_is_removed_and_says_why(deployment, case):
    keys, words = REFUSED[case]
    deployment.generator(verify=True, **keys)
    run = deployment.run()
    build, target = deployment.build(run), deployment.target(run)
    assert (run.state, build.state, target.state) == ("failed", BuildState.FAILED, TargetState.FAILED)
    assert words in target.error
    assert run.tasks["first.verify_image"] == "failed"
    assert deployment.site.images() == {}
    assert deployment.site.left() == []
    assert deployment.catalog.images(build_id=build.build_id) == []


def test_a_secret_in_the_image_is_found_and_not_told(deployment, capfd, caplog):
    script = "#!/bin/sh\n# sandbox: write /root/notes the token is $token\n"
    deployment.generator(parameters=PARAMETERS, script=script, verify=True)
    run = deployment.run(conf=sealed())
    target = deployment.target(run)
    assert (run.state, target.state) == ("failed", TargetState.FAILED)
    assert "/root/notes holds the value of the secret parameter token" in target.error
    assert VALUE not in target.error + "".join(capfd.readouterr()) + caplog.text
    assert VALUE.encode() not in rows_of(deployment)
    assert deployment.site.images() == {}
    assert deployment.site.left() == []


@pytest.mark.parametrize(("file", "cloud", "expected"), [(False, None, 1), (True, False, 1), (False, True, 2)])
def test_verification_can_be_switched_off(deployment, file, cloud, expected):
    entry = {} if cloud is None else {"verify": cloud}
    deployment.generator(verify=file, clouds={"first": entry})
    run = deployment.run()
    assert (run.state, len(deployment.site.instances())) == ("success", expected)
    assert ("first.verify_image" in run.tasks) is (expected == 2)


def test_a_public_image_is_public_only_once_it_is_verified(deployment):
    deployment.generator(verify=True, clouds={"first": {"public": True}}, tests=["#!/bin/sh\n# sandbox: exit 1\n"])
    assert deployment.run().state == "failed"
    assert "ModifyImageAttribute" not in deployment.site.calls()
    deployment.generator(verify=True, clouds={"first": {"public": True}})
    assert deployment.run().state == "success"
    assert deployment.site.calls()["ModifyImageAttribute"] == 1


@pytest.mark.parametrize("cloud", [KVM, XEN])
def test_on_nimbus(deployment, cloud):
    nimbus = NimbusSites(deployment)
    nimbus.generator(cloud, verify=True, script=INSTALL)
    run = deployment.run()
    assert run.state == "success", deployment.target(run, cloud).error
    assert packages(deployment, run, cloud)["htop"] == "3.2.2-2"
    assert nimbus.workspaces(cloud) == []
    assert len(nimbus.images(cloud)) == 1


def test_a_bad_image_on_nimbus_is_removed(deployment):
    nimbus = NimbusSites(deployment)
    nimbus.generator(KVM, verify=True, script="#!/bin/sh\n# sandbox: drift sl 5\n")
    run = deployment.run()
    assert run.state == "failed"
    assert "dpkg package sl:amd64 is new" in deployment.target(run, KVM).error
    assert nimbus.workspaces(KVM) == nimbus.images(KVM) == []


@pytest.mark.parametrize("cloud", [INDIA, SIERRA])
@pytest.mark.parametrize("good", [True, False], ids=["good", "bad"])
def test_on_openstack(deployment, cloud, good):
    openstack = Sites(deployment)
    openstack.generator(cloud, verify=True, script=INSTALL if good else "#!/bin/sh\n# sandbox: drift sl 5\n")
    run = deployment.run()
    assert run.state == ("success" if good else "failed"), deployment.target(run, cloud).error
    assert openstack.left(cloud) == {}
    assert len(openstack.images(cloud)) == good
    if good:
        assert packages(deployment, run, cloud)["htop"] == "3.2.2-2"


def test_on_openstack_from_a_volume(deployment):
    openstack = Sites(deployment)
    entry = {"source_image": "simulated-1", "ssh_username": "admin", "instance_type": "m1.small", "disk_gib": 12}
    deployment.generator(clouds={SIERRA: entry}, verify=True, script=INSTALL)
    run = deployment.run()
    assert run.state == "success", deployment.target(run, SIERRA).error
    assert packages(deployment, run, SIERRA)["htop"] == "3.2.2-2"
    assert openstack.left(SIERRA) == {}
    assert len(openstack.shown(SIERRA)["volume_snapshots"]) == 1
