"""The janitor: ends the builds that no task is alive to end, and deletes what they left on their clouds.

A build is nobody's when its deadline and its targets' time to terminate have passed: no step of it can still run. What
bears the tag of a build that this catalog does not know is reported and never touched: it may be another deployment's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from imagesmith.catalog.records import BuildRecord
from imagesmith.catalog.store import Catalog
from imagesmith.core import TAG_CLOUD, Cloud, Resource
from imagesmith.errors import CloudError, ImagesmithError
from imagesmith.plan import Plan, PlannedTarget
from imagesmith.steps.leftovers import LASTING, Leftover, builds_over, recorded_leftovers
from imagesmith.steps.publish import publish
from imagesmith.steps.runner import Credential, Deployment, Step, run_step
from imagesmith.waiting import SharedLooks, in_thread


class Sweep:
    """One round of the janitor. `open_cloud` gives a target's driver; with `dry_run` nothing is touched."""

    def __init__(
        self,
        deployment: Deployment,
        *,
        open_cloud: Callable[[PlannedTarget, Credential], Cloud],
        dry_run: bool,
        emit: Callable[[str], None],
    ) -> None:
        self._deployment = deployment
        self._catalog = deployment.catalog
        self._open_cloud = open_cloud
        self._dry_run = dry_run
        self._emit = emit
        self._done: list[str] = []
        self._failed: list[str] = []

    async def run(self, now: datetime) -> list[str]:
        """End what is over on every cloud, a line for each thing done; raises CloudError if some could not be."""
        over = await in_thread(builds_over, self._catalog, now=now)
        leftovers = set(await in_thread(recorded_leftovers, self._catalog, over))
        for target in await in_thread(known_targets, self._catalog):
            leftovers |= await self._tagged(target, over)
        for leftover in sorted(leftovers):
            self._say(f"{leftover.cloud}: build {leftover.build_id} is over; deleting what it left")
            await self._end(leftover)
        for build in over.values():
            if not build.state.ended:
                self._say(f"build {build.build_id} of {build.generator} was abandoned")
                if not self._dry_run:
                    await in_thread(publish, build.build_id, catalog=self._catalog)
        if self._failed:
            raise CloudError("the janitor could not do all and tries again next time:\n" + "\n".join(self._failed))
        return self._done

    def _say(self, line: str) -> None:
        self._done.append(line)
        self._emit(line)

    async def _tagged(self, target: PlannedTarget, over: dict[str, BuildRecord]) -> set[Leftover]:
        if target.settings.get("password") == "ask":
            return set()  # nobody is there to be asked; each build's own credential opens it while it lasts
        try:
            cloud = self._open_cloud(target, None)
            known = await in_thread(known_ids, self._catalog)
            tagged, unknown = await in_thread(tagged_leftovers, over, cloud, known)
        except ImagesmithError as error:
            self._failed.append(f"{target.cloud}: {error}")
            return set()
        for resource in unknown:
            self._say(
                f"{target.cloud}: {resource.kind} {resource.id} is of build {resource.build_id}, which this catalog "
                "does not know; left alone"
            )
        return tagged

    async def _open_account(self, target: PlannedTarget, credential: Credential) -> tuple[Cloud, SharedLooks]:
        cloud = self._open_cloud(target, credential)
        return cloud, SharedLooks(cloud, gather_s=0)

    async def _end(self, leftover: Leftover) -> None:
        if self._dry_run:
            return
        try:
            await run_step(
                Step.TERMINATE,
                leftover.build_id,
                cloud=leftover.cloud,
                open_account=self._open_account,
                deployment=self._deployment,
                emit=self._emit,
                patience_s=None,
            )
        except ImagesmithError as error:
            self._failed.append(f"{leftover.cloud}: build {leftover.build_id}: {error}")


def known_targets(catalog: Catalog) -> list[PlannedTarget]:
    """One planned target for each cloud that was ever built on, as the newest build knew it."""
    newest: dict[str, PlannedTarget] = {}
    for build in catalog.builds(limit=1_000):
        for name, target in Plan.model_validate(build.plan).targets.items():
            newest.setdefault(name, target)
    return list(newest.values())


def known_ids(catalog: Catalog) -> set[str]:
    """The ids of all builds this catalog remembers."""
    return {build.build_id for build in catalog.builds(limit=100_000)}


def tagged_leftovers(
    over: dict[str, BuildRecord], cloud: Cloud, known: set[str]
) -> tuple[set[Leftover], list[Resource]]:
    """By the cloud's own tags: targets of builds that are over, and things of builds this catalog does not know."""
    resources = _passing(cloud.find_resources(), cloud.name)
    leftovers = {Leftover(resource.build_id, cloud.name) for resource in resources if resource.build_id in over}
    return leftovers, [resource for resource in resources if resource.build_id not in known]


def _passing(resources: Iterable[Resource], cloud: str) -> list[Resource]:
    """Without images and their disks: those of successful targets are meant to stay, the others have a catalog row."""
    return [
        resource
        for resource in resources
        if resource.kind not in LASTING and resource.tags.get(TAG_CLOUD, cloud) == cloud
    ]
