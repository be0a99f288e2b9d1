"""The DAG of a generator whose file changes, or goes, while builds of it are under way."""

from __future__ import annotations

from typing import Any

import pytest

from imagesmith import settings
from imagesmith.catalog.records import BuildState
from imagesmith.generator import load_all
from imagesmith.steps.begin import Request, begin

WHOLE = {"begin", "publish"} | {
    f"{cloud}.{step}"
    for cloud in ("first", "second")
    for step in ("launch_vm", "customize", "snapshot_image", "verify_image", "terminate")
}


@pytest.fixture
def build_id(deployment: Any) -> str:
    """A build of `tools` on two clouds, verified and with an hour for its script, under way."""
    deployment.clouds("second")
    deployment.generator(clouds={"first": {}, "second": {}}, verify=True, time_limits={"customize": "1h"})
    request = Request("tools", "tools", "a-run", how="manual", by="somebody", parameters={})
    return begin(request, load=lambda: load_all(settings.include_dir()), catalog=deployment.catalog).build_id


def file_gone(deployment: Any) -> None:
    (deployment.include / "generators" / "tools.yaml").unlink()


def file_broken(deployment: Any) -> None:
    (deployment.include / "generators" / "tools.yaml").write_text("script: [\n")


def clouds_broken(deployment: Any) -> None:
    (deployment.include / "clouds.yaml").write_text("first: [\n")


def cloud_taken_out(deployment: Any) -> None:
    deployment.generator(clouds={"first": {}}, verify=True, time_limits={"customize": "1h"})


def made_shorter(deployment: Any) -> None:
    deployment.generator(clouds={"first": {}, "second": {}}, verify=False, time_limits={"customize": "1m"})


@pytest.mark.parametrize("change", [file_gone, file_broken, clouds_broken, cloud_taken_out, made_shorter])
def test_a_build_under_way_keeps_its_tasks_and_their_time(deployment: Any, build_id: str, change: Any) -> None:
    change(deployment)
    dag = deployment.dag("tools")
    assert set(dag.task_ids) == WHOLE
    for cloud in ("first", "second"):
        assert dag.get_task(f"{cloud}.customize").execution_timeout.total_seconds() >= 3600
        assert dag.get_task(f"{cloud}.terminate").is_teardown


def test_when_the_build_has_ended_the_file_alone_counts(deployment: Any, build_id: str) -> None:
    cloud_taken_out(deployment)
    deployment.catalog.end_build(build_id, BuildState.SUCCESSFUL)
    assert set(deployment.dag("tools").task_ids) == {task for task in WHOLE if not task.startswith("second")}
    file_gone(deployment)
    assert deployment.dag("tools") is None


def test_what_is_kept_for_a_build_starts_no_other(deployment: Any, build_id: str) -> None:
    deployment.generator(schedule="@hourly")
    file_gone(deployment)
    dag = deployment.dag("tools")
    assert dag.schedule is None
    assert build_id in dag.description
    assert deployment.run().state == "failed"
    assert [build.build_id for build in deployment.catalog.builds()] == [build_id]


def test_a_plan_that_cannot_be_read_is_in_nobodys_way(deployment: Any, build_id: str) -> None:
    deployment.catalog.begin_build(
        build_id="20200101-000000-abcdef",
        generator="others",
        version="0" * 12,
        dag_id="others",
        run_id="old",
        plan={"of": "another release"},
        content={},
        targets=[],
        requested_how="manual",
        requested_by="",
        deadline=deployment.catalog.build(build_id).deadline,
    )
    assert deployment.dag("others") is None
    deployment.generator("others")
    assert set(deployment.dag("tools").task_ids) == WHOLE
    assert deployment.dag("others") is not None


def test_files_alone_count_where_the_catalog_cannot_be_asked(deployment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment.generator()
    monkeypatch.delenv("IMAGESMITH_SECRET")
    from operators.deployment import this_deployment

    this_deployment.cache_clear()
    assert deployment.dag("tools") is not None
