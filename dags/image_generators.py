"""One DAG for each generator in `include/generators`, with a task group for each of its clouds.

    begin >> [cloud: launch_vm >> customize >> snapshot_image >> verify_image;
    terminate as teardown of (begin, launch_vm)] >> publish

A generator file with mistakes has no DAG until it is mended; `imagesmith validate` names them. Builds under way keep
their tasks whatever becomes of the file.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, TaskGroup, get_parsing_context

from imagesmith import settings
from imagesmith.cloud_settings import CloudSettings
from imagesmith.errors import ImagesmithError
from imagesmith.generator import Generator, load_all
from imagesmith.plan import Plan, params_schema
from imagesmith.task_parts import Part, open_plans, parts_of, with_plans
from operators.begin import Begin
from operators.deployment import this_deployment
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


def generator_dag(generator: Generator, clouds: Mapping[str, CloudSettings], plans: Iterable[Plan] = ()) -> DAG:
    """The DAG of one generator, of which builds with these plans are under way."""
    return _dag(
        generator.name,
        with_plans(parts_of(generator, clouds), plans),
        description=generator.description,
        doc_md=_doc(generator),
        schedule=build_schedule(generator),
        params={name: Param(**schema) for name, schema in params_schema(generator, clouds).items()},
    )


def leftover_dag(name: str, plans: Sequence[Plan]) -> DAG:
    """The DAG of a generator without a file that can be used; it goes when the builds with these plans have ended."""
    ids = ", ".join(plan.build_id for plan in plans)
    why = f"its file is gone or has mistakes; this DAG stays until its builds have ended: {ids}"
    return _dag(name, with_plans({}, plans), description=why, doc_md=why, schedule=None)


def _dag(name: str, parts: Mapping[str, Part], **options: Any) -> DAG:
    with DAG(
        dag_id=name,
        start_date=datetime(2026, 1, 1),
        catchup=False,
        max_active_runs=64,
        # Later tasks first: what holds a machine is brought to its end before the next begins.
        default_args={"owner": "imagesmith", "weight_rule": "upstream"},
        tags=["imagesmith", *parts],
        is_paused_upon_creation=False,
        **options,
    ) as dag:
        begin = Begin(task_id="begin", generator=name)
        publish = Publish(task_id="publish", generator=name)
        for cloud, part in parts.items():
            terminate = _target_group(begin, name, cloud, part)
            terminate >> publish
        # A teardown, too: only such tasks still run in a run marked failed by hand, and this one fails it for good.
        publish.as_teardown(setups=begin, on_failure_fail_dagrun=True)
    return dag


def _target_group(begin: Begin, generator: str, cloud: str, part: Part) -> Terminate:
    def limit(key: str) -> dict[str, Any]:
        return {"execution_timeout": timedelta(seconds=part.time_limits_s[key]) + BACKSTOP}

    def options(key: str) -> dict[str, Any]:
        return {"cloud": cloud, **({"pool": part.pool} if part.pool else {}), **limit(key)}

    with TaskGroup(group_id=cloud, tooltip=f"{generator} on {cloud}"):
        launch = LaunchVM(task_id="launch_vm", **options("launch"))
        customize = SSHCustomize(task_id="customize", **options("customize"))
        snapshot = SnapshotImage(task_id="snapshot_image", **options("save"))
        # Out of the pool: nothing that is made waits for a slot to be removed.
        terminate = Terminate(task_id="terminate", cloud=cloud, **limit("terminate"))
        begin >> launch >> customize >> snapshot
        if part.verifies:
            snapshot >> VerifyImage(task_id="verify_image", **options("verify")) >> terminate
        else:
            snapshot >> terminate
        # `begin` as a setup makes this run even when the launch itself failed half way.
        terminate.as_teardown(setups=[begin, launch], on_failure_fail_dagrun=True)
    return terminate


def _doc(generator: Generator) -> str:
    scripts = "\n\n".join(f"**{script.name}**\n```bash\n{script.text}\n```" for script in generator.scripts)
    return f"{generator.description}\n\nVersion `{generator.version}` on {', '.join(generator.clouds)}.\n\n{scripts}"


def _open_plans(only: str | None) -> dict[str, list[Plan]]:
    """The plans of builds under way, by generator; none where the catalog does not answer."""
    try:
        return open_plans(this_deployment().catalog, only=only)
    except ImagesmithError as error:
        log.warning("the DAGs are those of the files alone, as the catalog can't be asked: %s", error)
        return {}


def _dags() -> None:
    # A task parses this file again, and needs its own DAG only.
    only = get_parsing_context().dag_id
    loaded, plans = load_all(settings.include_dir(), only=only), _open_plans(only)
    for finding in loaded.findings:
        log.warning("%s", finding)
    for name, generator in loaded.generators.items():
        globals()[name] = generator_dag(generator, loaded.clouds, plans.pop(name, ()))
    for name, left in plans.items():
        globals()[name] = leftover_dag(name, left)


_dags()
