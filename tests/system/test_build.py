"""The main job on real virtual machines: a build through Airflow, killed in the middle, and what is in its image."""

import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from imagesmith.core import TAG_BUILD, ResourceKind
from imagesmith.sandbox.nimbus.sites import SITES as NIMBUS_SITES
from imagesmith.sandbox.openstack import sites

from .airflow_rest import until
from .guest import Guest, assert_dstat_and_nothing_of_the_build
from .sandbox_guests import guest_of
from .traces import files_under, traces

pytestmark = pytest.mark.system

HOTEL = "openstack-hotel"
ALL = ("ec2", *sites.SITES, *NIMBUS_SITES)
ONE_OF_EACH_TYPE = ("ec2", HOTEL, "nimbus-hotel-xen")

QUICK = """
description: a script that takes its time and counts its runs
verify: false
script: |
  #!/bin/sh
  echo run | sudo tee -a /var/lib/runs >/dev/null
  sudo cp /etc/machine-id /var/lib/machine-id-of-the-build
  for second in $(seq {seconds}); do echo "second $second"; sleep 1; done
clouds:
  ec2:
    source_image: {{name: "debian-12-amd64-*", owner: "136693071363"}}
    ssh_username: admin
    instance_type: t3.small
"""


def _add_generator(deployment: Any, name: str, *, seconds: int) -> None:
    """A generator whose script leaves one line a run in /var/lib/runs of the image."""
    (deployment.include / "generators" / f"{name}.yaml").write_text(f"name: {name}{QUICK.format(seconds=seconds)}")


def _running_script(deployment: Any, generator: str) -> Any:
    """The target of the generator's newest build once its script has printed something."""

    def look() -> Any:
        for build in deployment.catalog.builds(generator=generator, limit=1):
            target = deployment.catalog.target(build.build_id, "ec2")
            if target.output_offset > 0:
                return target
        return None

    return until(look, f"the script of {generator} runs")


def _left(deployment: Any, build_id: str) -> list[tuple[str, str]]:
    """What bears the build's tag on the cloud and is neither its image nor a disk of it, ended instances aside."""
    ec2 = deployment.ec2()
    tags = ec2.describe_tags(Filters=[{"Name": f"tag:{TAG_BUILD}", "Values": [build_id]}])["Tags"]
    found = {(tag["ResourceType"], tag["ResourceId"]) for tag in tags}
    ended = {
        instance["InstanceId"]
        for reservation in ec2.describe_instances()["Reservations"]
        for instance in reservation["Instances"]
        if instance["State"]["Name"] == "terminated"
    }
    images = {kind_id for kind_id in found if kind_id[0] == "image"}
    disks = {
        ("snapshot", mapping["Ebs"]["SnapshotId"])
        for _, image_id in images
        for image in ec2.describe_images(ImageIds=[image_id])["Images"]
        for mapping in image["BlockDeviceMappings"]
        if "Ebs" in mapping
    }
    return sorted(kind_id for kind_id in found - images - disks if kind_id[1] not in ended)


def _packages(deployment: Any, digest: str) -> set[str]:
    return {package.name for package in deployment.catalog.inventory(digest).packages}


def _build_dstat(deployment: Any, clouds: Sequence[str], password: str) -> tuple[Any, str]:
    """The build, and what was printed of it."""
    chosen = [word for cloud in clouds for word in ("--cloud", cloud)]
    deployment.sandbox.control("settings", {"account": HOTEL, "password": password})
    try:
        code, printed = deployment.typed("build", "dstat", *chosen, "--wait", answer=password)
    finally:
        deployment.sandbox.control("settings", {"account": HOTEL, "password": sites.PASSWORD})
    assert code == 0, printed
    return deployment.catalog.builds(generator="dstat", limit=1)[0], printed


@pytest.mark.parametrize("clouds", [ONE_OF_EACH_TYPE, pytest.param(ALL, marks=pytest.mark.long)], ids=len)
def test_dstat_builds_on_its_clouds_and_its_images_run_dstat_and_hold_nothing_of_the_build(
    deployment, tmp_path, clouds
):
    password = 'Th3 "password" of the hotel'
    build, printed = _build_dstat(deployment, clouds, password)
    assert build.state == "successful", printed
    images = {image.cloud: image for image in deployment.catalog.images(build_id=build.build_id)}
    assert set(images) == set(clouds)
    assert _left(deployment, build.build_id) == []
    for image in images.values():
        assert image.image_id in printed
        assert image.source_image_id in printed
        assert image.verified_at is not None
        assert "dstat" in _packages(deployment, image.inventory_digest)
    with ExitStack() as ends:
        booting: list[Guest] = []
        for cloud, image in images.items():  # one boots while another is looked at
            booting.append(guest_of(deployment, cloud, image.image_id, key=tmp_path / f"key-{cloud}"))
            ends.callback(booting[-1].end)
            if len(booting) == 2:
                _look_and_end(booting.pop(0))
        _look_and_end(booting.pop())
        ends.pop_all()
    for site in sites.SITES:
        there = deployment.sandbox.control("list")["accounts"][site]
        assert [one for one in there["servers"] if one["status"] != "DELETED"] == []
        assert (there["key_pairs"], there["floating_ips"], there["application_credentials"]) == ([], [], [])
    for site in NIMBUS_SITES:
        assert deployment.sandbox.control("list")["accounts"][site]["workspaces"] == []
    # The saved disks and all that the sandbox has written, its logs too.
    assert traces(password, files_under(deployment.sandbox.home / "sandbox")) == []


def _look_and_end(guest: Guest) -> None:
    assert_dstat_and_nothing_of_the_build(guest)
    guest.end()


def test_a_build_survives_kill_9_of_its_task_and_of_the_triggerer_while_the_script_runs(deployment, tmp_path):
    _add_generator(deployment, "killed", seconds=75)
    waiting = deployment.start("build", "killed", "--wait")
    target = _running_script(deployment, "killed")
    assert not _in_triggerer(deployment, target.build_id)
    os.kill(_task_process(deployment), signal.SIGKILL)
    until(lambda: _in_triggerer(deployment, target.build_id), "the script is followed by the triggerer", limit_s=120)
    _kill_tree(deployment.pid("triggerer"))
    deployment.imagesmith("airflow", "up")
    out, _ = waiting.communicate(timeout=600)
    assert waiting.returncode == 0, out
    build = deployment.catalog.build(target.build_id)
    rows = deployment.catalog.resources(build_id=build.build_id, include_gone=True)
    made = [row for row in rows if row.kind is ResourceKind.INSTANCE]
    assert (build.state, len(made)) == ("successful", 1)
    assert _left(deployment, build.build_id) == []
    image = deployment.catalog.images(build_id=build.build_id)[0]
    guest = guest_of(deployment, "ec2", image.image_id, key=tmp_path / "key")
    try:
        assert guest.run("cat /var/lib/runs") == "run\n"
        # Made anew at this boot, because the image holds none.
        ids = guest.run("cat /etc/machine-id /var/lib/machine-id-of-the-build").split()
        assert len(ids[0]) == 32 and len(set(ids)) == 2
    finally:
        guest.end()


def _in_triggerer(deployment: Any, build_id: str) -> bool:
    logs = deployment.sandbox.home / "airflow" / "logs"
    run = deployment.catalog.build(build_id).run_id
    return any(run in str(path) and "customize" in str(path) for path in logs.rglob("*.trigger.*.log"))


def _task_process(deployment: Any) -> int:
    """The process that runs a task's code: what the executor's worker process forked for it."""
    scheduler = deployment.pid("scheduler")

    def look() -> int | None:
        for worker in _children(scheduler):
            if tasks := _children(worker):
                return tasks[0]
        return None

    return int(until(look, "a process of a task"))


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _kill_tree(pid: int) -> None:
    children = _children(pid)
    os.kill(pid, signal.SIGKILL)
    for child in children:
        os.kill(child, signal.SIGKILL)


def test_cancelling_a_build_leaves_nothing(deployment):
    _add_generator(deployment, "cancelled", seconds=300)
    deployment.imagesmith("build", "cancelled")
    target = _running_script(deployment, "cancelled")
    deployment.imagesmith("cancel", target.build_id)
    until(lambda: deployment.catalog.build(target.build_id).state.ended, "the cancelled build ends", limit_s=120)
    assert deployment.catalog.build(target.build_id).state == "cancelled"
    assert _left(deployment, target.build_id) == []
