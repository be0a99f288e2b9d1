"""The pools of include/clouds.yaml: made when they are missing, and what takes a slot of them."""

from __future__ import annotations

import threading

import pytest
import yaml
from airflow.models.pool import Pool
from airflow.sdk.execution_time.task_runner import TaskRunnerMarker

from imagesmith import settings
from listeners import cloud_pools


@pytest.fixture
def clouds(deployment):
    path = deployment.include / "clouds.yaml"
    document = yaml.safe_load(path.read_text())
    for cloud in document:
        document[cloud]["pool"] = f"pool of {cloud}"
    path.write_text(yaml.safe_dump(document))
    yield document
    for pool in Pool.get_pools():
        if pool.pool != "default_pool":
            Pool.delete_pool(pool.pool)


def _wait() -> None:
    for thread in threading.enumerate():
        if thread.name == "imagesmith-pools":
            thread.join()


def test_a_missing_pool_is_made_when_a_build_starts(deployment, clouds):
    cloud_pools.on_dag_run_running(None, "")
    _wait()
    for cloud in clouds:
        pool = Pool.get_pool(f"pool of {cloud}")
        assert (pool.slots, pool.include_deferred) == (cloud_pools.SLOTS, True)
        assert cloud in pool.description


def test_what_an_administrator_made_of_a_pool_stays(deployment, clouds):
    name = f"pool of {next(iter(clouds))}"
    Pool.create_or_update_pool(name, 3, "ours", include_deferred=False)
    cloud_pools.on_starting(None)
    _wait()
    pool = Pool.get_pool(name)
    assert (pool.slots, pool.description, pool.include_deferred) == (3, "ours", False)
    assert cloud_pools.make_missing() == []


def test_a_task_that_starts_makes_no_pools_as_it_may_not_reach_the_database(deployment, clouds):
    cloud_pools.on_starting(TaskRunnerMarker())
    _wait()
    assert {pool.pool for pool in Pool.get_pools()} == {"default_pool"}


def test_a_clouds_file_that_can_not_be_read_makes_no_pool_and_harms_nobody(deployment):
    (settings.include_dir() / "clouds.yaml").write_text("a: [")
    assert cloud_pools.make_missing() == []


def test_all_tasks_of_a_target_but_its_clean_up_take_a_slot(deployment, clouds):
    deployment.generator()
    cloud = "first"
    tasks = {task.task_id: task.pool for task in deployment.dag("tools").tasks}
    pool = f"pool of {cloud}"
    steps = ("launch_vm", "customize", "snapshot_image")
    assert {step: tasks[f"{cloud}.{step}"] for step in steps} == dict.fromkeys(steps, pool)
    assert {tasks[f"{cloud}.terminate"], tasks["begin"], tasks["publish"]} == {"default_pool"}
    assert deployment.run().state == "success"
