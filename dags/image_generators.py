"""One DAG for each generator in `include/generators`, with a task group for each of its clouds.

    begin >> [cloud: launch_vm >> customize >> snapshot_image >> verify_image;
    terminate as teardown of (begin, launch_vm)] >> publish

A generator file with mistakes has no DAG until it is mended; `imagesmith validate` names them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, TaskGroup, get_parsing_context

from imagesmith import settings
from imagesmith.cloud_settings import CloudSettings
from imagesmith.generator import Generator, load_all
from imagesmith.plan import params_schema, time_limits_s
from operators.begin import Begin
from operators.image_assets import build_schedule
from operators.launch_vm import LaunchVM
from operators.publish import Publish
from operators.snapshot_image import SnapshotImage
from operators.ssh_customize import SSHCustomize
from operators.terminate import Terminate
from operators.verify_image import VerifyImage

log = logging.getLogger(__name__)

# The steps keep their own limits and say which was passed; this much later Airflow ends a process that does not.
BACKSTOP = timedelta(minutes=10)


def generator_dag(generator: Generator, clouds: Mapping[str, CloudSettings]) -> DAG:
    """The DAG of one generator."""
    with DAG(
        dag_id=generator.name,
        description=generator.description,
        doc_md=_doc(generator),
        schedule=build_schedule(generator),
        start_date=datetime(2026, 1, 1),
        catchup=False,
        max_active_runs=64,
        params={name: Param(**schema) for name, schema in params_schema(generator, clouds).items()},
        # Later tasks first: what holds a machine is brought to its end before the next begins.
        default_args={"owner": "imagesmith", "weight_rule": "upstream"},
        tags=["imagesmith", *generator.clouds],
        is_paused_upon_creation=False,
    ) as dag:
        begin = Begin(task_id="begin", generator=generator.name)
        publish = Publish(task_id="publish", generator=generator.name)
        for cloud in generator.clouds:
            terminate = _target_group(begin, generator, cloud, pool=clouds[cloud].pool)
            terminate >> publish
        # A teardown, too: only such tasks still run in a run marked failed by hand, and this one fails it for good.
        publish.as_teardown(setups=begin, on_failure_fail_dagrun=True)
    return dag


def _target_group(begin: Begin, generator: Generator, cloud: str, *, pool: str | None) -> Terminate:
    def options(limit: str) -> dict[str, Any]:
        return {"cloud": cloud, **({"pool": pool} if pool else {}), **_limit(generator, cloud, limit)}

    with TaskGroup(group_id=cloud, tooltip=f"{generator.name} on {cloud}"):
        launch = LaunchVM(task_id="launch_vm", **options("launch"))
        customize = SSHCustomize(task_id="customize", **options("customize"))
        snapshot = SnapshotImage(task_id="snapshot_image", **options("save"))
        # Out of the pool: nothing that is made waits for a slot to be removed.
        terminate = Terminate(task_id="terminate", cloud=cloud, **_limit(generator, cloud, "terminate"))
        begin >> launch >> customize >> snapshot
        if generator.verifies(cloud):
            snapshot >> VerifyImage(task_id="verify_image", **options("verify")) >> terminate
        else:
            snapshot >> terminate
        # `begin` as a setup makes this run even when the launch itself failed half way.
        terminate.as_teardown(setups=[begin, launch], on_failure_fail_dagrun=True)
    return terminate


def _limit(generator: Generator, cloud: str, key: str) -> dict[str, Any]:
    return {"execution_timeout": timedelta(seconds=time_limits_s(generator, cloud)[key]) + BACKSTOP}


def _doc(generator: Generator) -> str:
    scripts = "\n\n".join(f"**{script.name}**\n```bash\n{script.text}\n```" for script in generator.scripts)
    return f"{generator.description}\n\nVersion `{generator.version}` on {', '.join(generator.clouds)}.\n\n{scripts}"


def _dags() -> None:
    # A task parses this file again, and needs its own DAG only.
    loaded = load_all(settings.include_dir(), only=get_parsing_context().dag_id)
    for finding in loaded.findings:
        log.warning("%s", finding)
    for name, generator in loaded.generators.items():
        globals()[name] = generator_dag(generator, loaded.clouds)


_dags()
