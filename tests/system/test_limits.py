"""Limits: of time, of what a script prints, of a disk. Each ends cleanly, says which it was, and leaves nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from imagesmith.core import TargetState
from imagesmith.sandbox import config

from .airflow_rest import Rest, until
from .conftest import Deployment
from .sandbox_listing import left_on
from .simulated_builds import CLOUDS

WITHIN_S = 5.0
NEVER_S = 600
DEBIAN = {
    "source_image": {"name": "debian-12-amd64-*", "owner": config.BASE_OWNER_ID},
    "ssh_username": config.DEFAULT_USER,
    "instance_type": "t3.small",
}


@pytest.fixture
def slow(deployment: Deployment) -> Iterator[Deployment]:
    """Machines of one site that never boot, and images of another account that never come."""
    deployment.sandbox.control("settings", {"account": "openstack-sierra", "boot_s": NEVER_S})
    deployment.sandbox.control("settings", {"image_s": NEVER_S})
    yield deployment
    for account in ("openstack-sierra", "ec2"):
        deployment.sandbox.control("settings", {"account": account, "boot_s": 5, "image_s": 5})


def write(deployment: Deployment, name: str, cloud: str, entry: Mapping[str, Any], **keys: Any) -> None:
    document = {"name": name, "verify": False, "clouds": {cloud: entry}, **keys}
    (deployment.include / "generators" / f"{name}.yaml").write_text(json.dumps(document))


def start(deployment: Deployment, rest: Rest, name: str) -> str:
    until(lambda: rest.has_dag(name), f"the DAG {name} is there", limit_s=60)
    status, run = rest.call("POST", f"/api/v2/dags/{name}/dagRuns", {"logical_date": None, "conf": {}})
    assert status == 200, run
    return str(run["dag_run_id"])


# Generator: its cloud, the step that meets its limit, the limit in seconds, and whose it is.
ENDLESS = "#!/bin/sh\n# sandbox: take 600\n"
SHORT = "#!/bin/sh\n# sandbox: take 1\n"
LIMITED: Mapping[str, tuple[str, str, str, dict[str, Any]]] = {
    "late-boot": (
        "openstack-sierra",
        "launch_vm",
        "time_limits.launch",
        {"script": SHORT, "time_limits": {"launch": "15s"}},
    ),
    "late-script": (
        "ec2",
        "customize",
        "time_limits.customize",
        {"script": ENDLESS, "time_limits": {"customize": "15s"}},
    ),
    "late-image": ("ec2", "snapshot_image", "time_limits.save", {"script": SHORT, "time_limits": {"save": "15s"}}),
    "late-build": ("nimbus-hotel-kvm", "customize", "time_limit", {"script": ENDLESS, "time_limit": "40s"}),
}


@pytest.mark.system
@pytest.mark.alone
def test_time_limits_end_what_they_limit(slow: Deployment) -> None:
    rest = Rest(slow)
    for name, (cloud, _, _, keys) in LIMITED.items():
        write(slow, name, cloud, CLOUDS[cloud], **keys)
    runs = {name: start(slow, rest, name) for name in LIMITED}
    for name, run_id in runs.items():
        assert rest.await_end(name, run_id) == "failed"
        cloud, step_name, whose, _ = LIMITED[name]
        build = slow.catalog.find_build(name, run_id)
        assert build is not None
        step = next(step for step in slow.catalog.steps(build.build_id) if step.step == step_name)
        assert step.ended_at is not None
        over_s = (step.ended_at - step.started_at).total_seconds() - 15
        if whose == "time_limit":
            over_s = (step.ended_at - build.deadline).total_seconds()
        print(f"{name}: {over_s:+.1f} s")
        assert -WITHIN_S <= over_s <= WITHIN_S
        target = slow.catalog.target(build.build_id, cloud)
        assert target.state is TargetState.FAILED
        assert f"({whose}) is used up" in target.error, target.error
    for cloud in CLOUDS:
        assert left_on(slow.sandbox, cloud) == []


@pytest.mark.chaos
def test_a_script_that_fills_the_disk_of_its_machine(deployment: Deployment) -> None:
    script = '#!/bin/sh\necho begins\nhead -c 100G /dev/zero >"$HOME/full"\necho cannot be said\nexit 7\n'
    write(deployment, "full-disk", "ec2", DEBIAN, script=script)
    rest = Rest(deployment)
    run_id = start(deployment, rest, "full-disk")
    assert rest.await_end("full-disk", run_id) == "failed"
    build = deployment.catalog.find_build("full-disk", run_id)
    assert build is not None
    target = deployment.catalog.target(build.build_id, "ec2")
    assert "exited 7" in target.error, target.error
    assert "No space left on device" in target.error, target.error
    assert left_on(deployment.sandbox, "ec2") == []


@pytest.mark.chaos
def test_a_script_that_prints_a_gigabyte(deployment: Deployment) -> None:
    script = '#!/bin/sh\nyes "a line of no interest to anybody" | head -c 1G\necho; echo the end\n'
    write(deployment, "gigabyte", "ec2", DEBIAN, script=script)
    rest = Rest(deployment)
    run_id = start(deployment, rest, "gigabyte")
    assert rest.await_end("gigabyte", run_id) == "success"
    build = deployment.catalog.find_build("gigabyte", run_id)
    assert build is not None
    target = deployment.catalog.target(build.build_id, "ec2")
    assert target.output_tail.endswith("\nthe end\n")
    logs = list((deployment.home / "airflow").rglob("dag_id=gigabyte/*/task_id=ec2.customize/*"))
    size = sum(log.stat().st_size for log in logs)
    print(f"the log of a gigabyte takes {size / 2**20:.1f} MiB")
    assert logs and size < 64 << 20
    texts = [log.read_text() for log in logs]
    assert "".join(texts).count("prints so much that only its end is shown") == 1
    [text] = [text for text in texts if "bytes of output left out; its end follows" in text]
    end = text.partition("bytes of output left out; its end follows")[2]
    assert '"event":"the end"' in end
    assert end.count("a line of no interest to anybody") < 1000


@pytest.mark.chaos
def test_a_thousand_lines_a_second_come_live(deployment: Deployment) -> None:
    loop = 'i=0; while [ $i -lt 20 ]; do seq -f "second $i line %g" 1000; sleep 1; i=$((i+1)); done'
    write(deployment, "live", "ec2", DEBIAN, script=f"#!/bin/sh\n{loop}\ndate +ended-at-%s\n")
    rest = Rest(deployment)
    run_id = start(deployment, rest, "live")

    def log() -> str:
        logs: list[Path] = list((deployment.home / "airflow").rglob("dag_id=live/*/task_id=ec2.customize/*"))
        return "".join(each.read_text() for each in logs)

    until(lambda: "ended-at-" in log(), "the script ends")
    text = log()
    ended_at = int(text.partition("ended-at-")[2].split('"')[0].split("\\")[0].split()[0])
    late_s = time.time() - ended_at
    print(f"the last line was in the log {late_s:.1f} s after it was printed")
    assert late_s < 5
    assert [text.count(f"second {second} line ") for second in range(20)] == [1000] * 20
    assert rest.await_end("live", run_id) == "success"
