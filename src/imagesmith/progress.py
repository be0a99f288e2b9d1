"""How far a build is, read from the catalog, and a way to follow it to its end.

The catalog knows a build's end first and is cheap to ask; Airflow is asked seldom, for what the catalog cannot know: a
run that ended before its build began, or whose last task never came.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from imagesmith.airflow_client import AirflowClient, NoSuchRun, Run
from imagesmith.catalog.records import BuildRecord, BuildState, ImageRecord, StepRecord, TargetRecord
from imagesmith.catalog.store import Catalog
from imagesmith.core import TargetState
from imagesmith.errors import BuildFailed, SetupError, Transient

# Until the build begins and once its targets have ended, a moment counts; in between it does not.
SOON_S = 0.2
LOOK_S = 0.5
# How often Airflow is asked; a run that cannot begin fails within seconds.
FIRST_RUN_LOOK_S, RUN_LOOK_S = 2.0, 5.0


@dataclass(frozen=True)
class TargetProgress:
    """One target with the steps of its present attempt, in their order, and its image once it is being saved.

    The image is an earlier build's where a new one would have been the same.
    """

    target: TargetRecord
    steps: tuple[StepRecord, ...]
    image: ImageRecord | None

    @property
    def cloud(self) -> str:
        """The cloud's name."""
        return self.target.cloud

    @property
    def step(self) -> StepRecord | None:
        """The step that runs, else the last one that did."""
        running = [step for step in self.steps if step.ended_at is None] or self.steps
        return running[-1] if running else None

    def seconds(self, now: datetime) -> float | None:
        """How long the target took, or takes so far; None before its start."""
        return _seconds(self.target.started_at, self.target.ended_at, now)


@dataclass(frozen=True)
class BuildProgress:
    """One look at a build."""

    build: BuildRecord
    targets: tuple[TargetProgress, ...]

    @property
    def ended(self) -> bool:
        """True once the build's end is written down."""
        return self.build.state.ended

    @property
    def state(self) -> BuildState:
        """The build's state; as long as it goes on by its targets, which are looked at more often."""
        begun = any(each.target.state is not TargetState.SUBMITTED for each in self.targets)
        return self.build.state if self.ended or not begun else BuildState.RUNNING

    @property
    def successful(self) -> bool:
        """True when every required target got to its image."""
        return self.build.state is BuildState.SUCCESSFUL

    def seconds(self, now: datetime) -> float:
        """How long the build took, or takes so far."""
        return ((self.build.ended_at or now) - self.build.created_at).total_seconds()


def look(catalog: Catalog, build: BuildRecord) -> BuildProgress:
    """The build's targets as they are now, under the record of the build that is given."""
    targets = catalog.targets(build.build_id)
    steps = catalog.steps(build.build_id)
    images = {image.cloud: image for image in reversed(catalog.images(build_id=build.build_id))}
    return BuildProgress(
        build,
        tuple(
            TargetProgress(
                target,
                tuple(step for step in steps if (step.cloud, step.attempt) == (target.cloud, target.attempt)),
                images.get(target.cloud) or _kept(catalog, target),
            )
            for target in targets
        ),
    )


def _kept(catalog: Catalog, target: TargetRecord) -> ImageRecord | None:
    return catalog.image(target.cloud, target.kept_image_id) if target.kept_image_id else None


def follow(
    run: Run,
    *,
    catalog: Catalog,
    airflow: AirflowClient,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[BuildProgress | None]:
    """One look after the other, until one at the build's end; None as long as the build has not begun.

    Raises BuildFailed when the run is over and nobody will ever write down the build's end.
    """
    watch = _RunWatch(run, airflow, clock)
    while (build := catalog.find_build(run.dag_id, run.run_id)) is None:
        yield None
        if watch.over(FIRST_RUN_LOOK_S) and catalog.find_build(run.dag_id, run.run_id) is None:
            raise BuildFailed(watch.obituary("before its build began"))
        pause(SOON_S)
    while True:
        progress = look(catalog, build)
        if targets_ended := all(each.target.state.ended for each in progress.targets):
            # The build's record holds the whole plan, so it is read only when it can have changed.
            build = catalog.build(build.build_id)
            progress = BuildProgress(build, progress.targets)
        if progress.ended:
            yield look(catalog, build)
            return
        yield progress
        if watch.over(RUN_LOOK_S) and not catalog.build(build.build_id).state.ended:
            raise BuildFailed(watch.obituary(f"and left build {build.build_id} {build.state}"))
        pause(SOON_S if targets_ended else LOOK_S)


class _RunWatch:
    """The run's state in Airflow, asked seldom."""

    def __init__(self, run: Run, airflow: AirflowClient, clock: Callable[[], float]) -> None:
        self._run = run
        self._airflow = airflow
        self._clock = clock
        self._asked_at = clock()

    def over(self, every_s: float) -> bool:
        """True once Airflow will do nothing more in the run; it is asked every `every_s` at most."""
        if self._run.ended:
            return True
        if self._clock() - self._asked_at < every_s:
            return False
        self._asked_at = self._clock()
        try:
            self._run = self._airflow.run(self._run.dag_id, self._run.run_id)
        except NoSuchRun:
            self._run = Run(self._run.dag_id, self._run.run_id, "deleted")
            return True
        except (SetupError, Transient):
            return False  # an API server that restarts; the catalog goes on telling
        return self._run.ended

    def obituary(self, when: str) -> str:
        run = self._run
        head = f"{run.dag_id}: run {run.run_id} is {run.state} {when}"
        reasons = "" if run.state == "deleted" else why(self._airflow.failures(run.dag_id, run.run_id))
        return f"{head}:\n{reasons}" if reasons else f"{head}; see {self._airflow.run_address(run.dag_id, run.run_id)}"


def why(failures: dict[str, str]) -> str:
    """The failed tasks' errors, a paragraph each; those of tasks that only follow others are left out."""
    own = {task: error for task, error in failures.items() if task != "publish" and error}
    return "\n".join(f"{task}: {error}" for task, error in own.items())


def unexplained(progress: BuildProgress) -> list[str]:
    """Clouds whose target did not succeed though none of its steps says why; their tasks' logs may."""
    return [
        each.cloud
        for each in progress.targets
        if each.target.state is not TargetState.SUCCESSFUL and not any(step.error for step in each.steps)
    ]


def as_json(progress: BuildProgress, *, url: str) -> dict[str, Any]:
    """The build for programs: times in ISO 8601, ids "" where there is none yet, no address where no run is known."""
    build = progress.build
    return {
        "build_id": build.build_id,
        "generator": build.generator,
        "version": build.version,
        "state": str(build.state),
        "error": build.error,
        "dag_id": build.dag_id,
        "run_id": build.run_id,
        "url": "" if build.read_back else url,
        "attempt": build.attempt,
        "requested_by": build.requested_by,
        "requested_how": build.requested_how,
        "created_at": _iso(build.created_at),
        "ended_at": _iso(build.ended_at),
        "verdict": build.verdict,
        "comparison": build.comparison,
        "targets": [_target_json(each) for each in progress.targets],
    }


def _target_json(progress: TargetProgress) -> dict[str, Any]:
    target, image = progress.target, progress.image
    return {
        "cloud": target.cloud,
        "required": target.required,
        "state": str(target.state),
        "error": target.error,
        "image_id": image.image_id if image else "",
        "image_name": image.name if image and target.kept_image_id else target.image_name,
        "unchanged_since": image.build_id if image and target.kept_image_id else "",
        "source_image_id": target.source_image_id,
        "source_image_name": target.source_image_name,
        "instance_id": target.instance_id,
        "address": target.address,
        "attempt": target.attempt,
        "started_at": _iso(target.started_at),
        "ended_at": _iso(target.ended_at),
        "steps": [
            {
                "step": step.step,
                "started_at": _iso(step.started_at),
                "ended_at": _iso(step.ended_at),
                "error": step.error,
            }
            for step in progress.steps
        ],
    }


def _seconds(start: datetime | None, end: datetime | None, now: datetime) -> float | None:
    return None if start is None else ((end or now) - start).total_seconds()


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
