"""Builds side by side in several processes, as workers and a triggerer run them: they ask the cloud together.

The steps run for real against the sandbox, each process with its own driver, and share nothing but the catalog.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config

from imagesmith import settings
from imagesmith.catalog.store import Catalog
from imagesmith.clouds.ec2 import CLIENT_CONFIG, Ec2Cloud
from imagesmith.clouds.ec2_words import Ec2Settings
from imagesmith.core import TargetState
from imagesmith.generator import load_all
from imagesmith.keys import parse_secret
from imagesmith.sandbox.config import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from imagesmith.shared_looks import Board, SharedLooks
from imagesmith.steps.begin import Request, begin
from imagesmith.steps.runner import Deployment, Step, run_step
from imagesmith.waiting import StillWaiting

BUILDS, WORKERS = 12, 4
PATIENCE_S = 0.5
DONE, WAITING = "done", "waiting"
forking = multiprocessing.get_context("fork")


def account_of(endpoint: str, catalog: Catalog, gather_s: float) -> Any:
    session = boto3.session.Session(ACCESS_KEY_ID, SECRET_ACCESS_KEY, region_name=REGION)
    client = session.client("ec2", endpoint_url=endpoint, config=Config(**CLIENT_CONFIG))
    cloud = Ec2Cloud("first", lambda service: client, Ec2Settings())
    looks = SharedLooks(cloud, gather_s=gather_s, board=Board(catalog, "first", "account"))

    async def open_account(target: object, credential: object) -> Any:
        return cloud, looks

    return open_account


async def enter(step: Step, build_id: str, open_account: Any, catalog: Catalog, patience_s: float | None) -> str:
    deployment = Deployment(catalog, parse_secret(settings.secret_text()))
    try:
        await run_step(
            step,
            build_id,
            cloud="first",
            open_account=open_account,
            deployment=deployment,
            emit=lambda line: None,
            patience_s=patience_s,
        )
    except StillWaiting:
        return WAITING
    return DONE


def worker(endpoint: str, tasks: Any, ended: Any, waiting: Any) -> None:
    """Steps with little patience, one after the other, each with a driver of its own."""
    catalog = Catalog()
    for step, build_id in iter(tasks.get, None):
        open_account = account_of(endpoint, catalog, 0)
        how = asyncio.run(enter(Step(step), build_id, open_account, catalog, PATIENCE_S))
        (ended if how == DONE else waiting).put((step, build_id))


def triggerer(endpoint: str, waiting: Any, ended: Any) -> None:
    """All that waits, in one loop."""

    async def run() -> None:
        catalog = Catalog()
        open_account = account_of(endpoint, catalog, 0.1)
        tasks = set()

        async def go_on(step: str, build_id: str) -> None:
            await enter(Step(step), build_id, open_account, catalog, None)
            ended.put((step, build_id))

        with ThreadPoolExecutor(1) as thread:
            while (item := await asyncio.get_running_loop().run_in_executor(thread, waiting.get)) is not None:
                tasks.add(asyncio.create_task(go_on(*item)))
                await asyncio.sleep(0)

    asyncio.run(run())


@pytest.fixture
def crowd(deployment: Any) -> Iterator[tuple[Any, Any]]:
    """Queues to and from the processes."""
    tasks, waiting, ended = forking.Queue(), forking.Queue(), forking.Queue()
    endpoint = deployment.site.endpoint
    processes = [forking.Process(target=triggerer, args=(endpoint, waiting, ended), daemon=True)]
    processes += [
        forking.Process(target=worker, args=(endpoint, tasks, ended, waiting), daemon=True) for _ in range(WORKERS)
    ]
    for process in processes:
        process.start()
    yield tasks, ended
    for process in processes:
        process.kill()
        process.join()


def begun(deployment: Any, count: int) -> list[str]:
    loaded = load_all(deployment.include, only="tools")
    assert not loaded.findings, loaded.findings
    return [
        begin(
            Request("tools", "tools", f"run-{number}", how="manual", by="anna", parameters={}),
            load=lambda: loaded,
            catalog=deployment.catalog,
        ).build_id
        for number in range(count)
    ]


def run_all(crowd: tuple[Any, Any], build_ids: list[str]) -> None:
    tasks, ended = crowd
    steps = list(Step)
    for build_id in build_ids:
        tasks.put((str(steps[0]), build_id))
    left = len(build_ids)
    while left:
        step, build_id = ended.get(timeout=300)
        after = steps.index(Step(step)) + 1
        if after == len(steps):
            left -= 1
        else:
            tasks.put((str(steps[after]), build_id))


def build_all(deployment: Any, crowd: tuple[Any, Any], count: int) -> dict[str, int]:
    """How often each action was called for so many builds, of which each was built once and has left nothing."""
    deployment.generator(script="#!/bin/sh\n# sandbox: print hello\n# sandbox: take 4\n", verify=False)
    began = datetime.now(UTC)
    build_ids = begun(deployment, count)
    deployment.site.control("calls", method="DELETE")
    run_all(crowd, build_ids)
    calls = deployment.site.calls()
    took_s = (datetime.now(UTC) - began).total_seconds()
    deployment.site.control("unreliable", {})
    print(f"{count} builds in {took_s:.0f} s, {sum(calls.values()) / count:.2f} calls each: {calls}")
    catalog = deployment.catalog
    targets = [catalog.target(build_id, "first") for build_id in build_ids]
    assert {target.state for target in targets} == {TargetState.SUCCESSFUL}
    assert len({target.instance_id for target in targets}) == count == len(deployment.site.instances())
    assert len(deployment.site.images()) == count
    assert deployment.site.left() == []
    assert {row.kind for row in catalog.resources()} <= {"image", "snapshot"}
    return calls


def test_builds_in_several_processes_ask_the_cloud_together(deployment, crowd):
    deployment.site.settings(boot_s=2, image_s=2, stop_s=0.5)
    calls = build_all(deployment, crowd, BUILDS)
    assert (calls["RunInstances"], calls["CreateImage"]) == (BUILDS, BUILDS)
    # Alone each makes 16. Looks are per tick, not per build: the more builds, the fewer each.
    assert sum(calls.values()) / BUILDS <= 11, calls


@pytest.mark.chaos
def test_a_hundred_builds_make_a_quarter_of_packers_calls(deployment, crowd):
    """Packer 1.6.6 makes 19 for each image on the same cloud."""
    deployment.site.settings(boot_s=5, image_s=5, stop_s=1)
    calls = build_all(deployment, crowd, 100)
    assert sum(calls.values()) / 100 <= 19 / 4, calls


@pytest.mark.chaos
def test_a_hundred_builds_on_an_unreliable_account_leave_nothing(deployment, crowd):
    deployment.site.settings(boot_s=5, image_s=5, stop_s=1)
    deployment.site.control("unreliable", {"account": "ec2", "rate": 0.1, "seed": 2026})
    build_all(deployment, crowd, 100)
