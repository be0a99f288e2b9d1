"""The janitor: ends the builds that no task is alive to end, and deletes what they left on their clouds.

A build is nobody's when its deadline and its targets' time to terminate have passed: no step of it can still run. What
bears this deployment's tag and is of a build that the catalog does not know was made before the catalog was lost: it is
deleted once it is old. What another deployment made, or bears no tag of ours, is never touched, and no image is that
succeeded or might have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from imagesmith.catalog.records import BuildRecord
from imagesmith.catalog.store import Catalog
from imagesmith.cloud_settings import read_clouds
from imagesmith.core import TAG_CLOUD, TAG_DEPLOYMENT, Cloud, Resource
from imagesmith.errors import CloudError, ConnectionMissing, ImagesmithError
from imagesmith.keys import deployment_id
from imagesmith.plan import Plan, PlannedCloud, PlannedTarget, moment_of
from imagesmith.shared_looks import SharedLooks
from imagesmith.steps.leftovers import LASTING, Leftover, builds_over, is_over, recorded_leftovers
from imagesmith.steps.publish import publish
from imagesmith.steps.runner import Credential, Deployment, Step, run_step
from imagesmith.waiting import Limit, Waits, in_thread

STRAYS_AGE_H = 24.0
STRAYS_LIMIT = timedelta(minutes=10)
DELETE_LOOKS_S = (1, 2, 5)


@dataclass(frozen=True)
class Tagged:
    """What bears our tags on one cloud: targets of builds that are over, and things of builds nobody knows.

    `shared` are things of no single build.
    """

    leftovers: frozenset[Leftover]
    unknown: tuple[Resource, ...]
    shared: tuple[Resource, ...] = ()


class Sweep:
    """One round of the janitor.

    `open_cloud` gives a cloud's driver; `defined` are the clouds of include/clouds.yaml, looked at beside those ever
    built on. With `dry_run` nothing is touched.
    """

    def __init__(
        self,
        deployment: Deployment,
        *,
        open_cloud: Callable[[PlannedCloud, Credential], Cloud],
        defined: Sequence[PlannedCloud],
        strays_age: timedelta,
        dry_run: bool,
        emit: Callable[[str], None],
    ) -> None:
        self._deployment = deployment
        self._catalog = deployment.catalog
        self._open_cloud = open_cloud
        self._defined = {cloud.cloud: cloud for cloud in defined}
        self._strays_age = strays_age
        self._dry_run = dry_run
        self._emit = emit
        self._done: list[str] = []
        self._failed: list[str] = []

    async def run(self, now: datetime) -> list[str]:
        """End what is over on every cloud, a line for each thing done; raises CloudError if some could not be."""
        over = await in_thread(builds_over, self._catalog, now=now)
        leftovers = set(await in_thread(recorded_leftovers, self._catalog, over))
        built_on = await in_thread(known_clouds, self._catalog)
        for name, cloud in {**built_on, **self._defined}.items():
            leftovers |= await self._look(cloud, over, now=now, built_on=name in built_on)
        for leftover in sorted(leftovers):
            if await self._is_still_over(leftover.build_id, now):
                self._say(f"{leftover.cloud}: build {leftover.build_id} is over; deleting what it left")
                await self._end(leftover, now)
        for build in over.values():
            if not build.state.ended and await self._is_still_over(build.build_id, now):
                self._say(f"build {build.build_id} of {build.generator} was abandoned")
                if not self._dry_run:
                    await in_thread(publish, build.build_id, catalog=self._catalog, secret=self._deployment.secret)
        if self._failed:
            raise CloudError("the janitor could not do all and tries again next time:\n" + "\n".join(self._failed))
        return self._done

    async def _is_still_over(self, build_id: str, now: datetime) -> bool:
        """Ask again right before it matters: a sweep may take an hour, in which somebody begins the build anew."""
        return is_over(await in_thread(self._catalog.build, build_id), now=now)

    def _say(self, line: str) -> None:
        self._done.append(line)
        self._emit(line)

    async def _look(
        self, cloud: PlannedCloud, over: dict[str, BuildRecord], *, now: datetime, built_on: bool
    ) -> frozenset[Leftover]:
        """What is left there of builds that are over; what nobody knows is dealt with at once."""
        if cloud.settings.get("password") == "ask":
            return frozenset()  # nobody is there to be asked; each build's own credential opens it while it lasts
        try:
            driver = self._open_cloud(cloud, None)
            known = await in_thread(known_ids, self._catalog)
            names = {*self._defined, cloud.cloud}
            tagged = await in_thread(tagged_leftovers, over, driver, known=known, names=names)
            await self._end_strays(driver, [each for each in tagged.unknown if self._is_stray(driver, each, now)])
            for each in tagged.shared:
                await self._end_shared(driver, each)
        except ConnectionMissing as error:
            if built_on:
                self._failed.append(f"{cloud.cloud}: {error}")
            return frozenset()
        except ImagesmithError as error:
            self._failed.append(f"{cloud.cloud}: {error}")
            return frozenset()
        return tagged.leftovers

    def _is_stray(self, cloud: Cloud, resource: Resource, now: datetime) -> bool:
        """Whether a thing that no catalog knows is ours to delete; says why, if not."""
        about = f"{cloud.name}: {resource.kind} {resource.id} is of build {resource.build_id}"
        made_by = resource.tags.get(TAG_DEPLOYMENT)
        if made_by != deployment_id(self._deployment.secret):
            whose = f"of deployment {made_by}" if made_by else "of a deployment it does not name"
            self._say(f"{about}, {whose}, which this catalog does not know; left alone")
            return False
        begun = moment_of(resource.build_id)
        if begun is None or now - begun < self._strays_age:
            hours = self._strays_age.total_seconds() / 3600
            self._say(f"{about}, which this catalog does not know; deleted when it is {hours:g} hours old")
            return False
        self._say(f"{about}, which this catalog has lost; deleting it")
        return True

    async def _end_strays(self, cloud: Cloud, strays: list[Resource]) -> None:
        if self._dry_run or not strays:
            return
        left = strays

        async def look() -> bool | None:
            nonlocal left
            left = await in_thread(cloud.delete, left)
            return None if left else True

        waits = Waits(Limit(datetime.now(UTC) + STRAYS_LIMIT, "the janitor's limit for a cloud"), patience_s=None)
        what = f"{cloud.name}: delete " + ", ".join(f"{each.kind} {each.id}" for each in strays)
        await waits.until(look, what, every_s=DELETE_LOOKS_S)

    async def _end_shared(self, cloud: Cloud, resource: Resource) -> None:
        """Delete what builds used together, if it is ours, no build has a row for it and nothing hangs on it."""
        if resource.tags.get(TAG_DEPLOYMENT) != deployment_id(self._deployment.secret):
            return
        rows = await in_thread(self._catalog.resources, cloud=cloud.name)
        if any(resource.id == row.resource_id or resource.name == row.name for row in rows):
            return
        about = f"{cloud.name}: {resource.kind} {resource.id} is used by no build any more"
        if self._dry_run:
            self._say(f"{about}; to be deleted")
        elif not await in_thread(cloud.delete, [resource]):
            self._say(f"{about}; deleted")

    async def _open_account(self, target: PlannedTarget, credential: Credential) -> tuple[Cloud, SharedLooks]:
        cloud = self._open_cloud(target, credential)
        return cloud, SharedLooks(cloud, gather_s=0)

    async def _end(self, leftover: Leftover, now: datetime) -> None:
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
            if await self._is_still_over(leftover.build_id, now):
                self._failed.append(f"{leftover.cloud}: build {leftover.build_id}: {error}")
            else:
                self._say(f"{leftover.cloud}: build {leftover.build_id} was begun anew; the rest is left to it")


def known_clouds(catalog: Catalog) -> dict[str, PlannedCloud]:
    """The clouds that were ever built on, by name, as the newest build knew them."""
    newest: dict[str, PlannedCloud] = {}
    for build in catalog.builds(limit=1_000):
        for name, target in Plan.model_validate(build.plan).targets.items():
            newest.setdefault(name, target)
    return newest


def defined_clouds(include: Path) -> list[PlannedCloud]:
    """The clouds of include/clouds.yaml that can be read."""
    return [
        PlannedCloud(cloud=name, cloud_type=cloud.type, settings=cloud.driver_settings())
        for name, cloud in read_clouds(include).clouds.items()
    ]


def known_ids(catalog: Catalog) -> set[str]:
    """The ids of all builds this catalog remembers."""
    return {build.build_id for build in catalog.builds(limit=100_000)}


def tagged_leftovers(over: dict[str, BuildRecord], cloud: Cloud, *, known: set[str], names: set[str]) -> Tagged:
    """What the cloud's own tags tell; `known` are the catalog's builds, `names` the clouds there are.

    Two clouds of one account are told apart by the tag; what bears the name of a cloud that is no more counts, too.
    """
    resources = [
        resource
        for resource in _passing(cloud.find_resources())
        if (named := resource.tags.get(TAG_CLOUD, cloud.name)) == cloud.name or named not in names
    ]
    shared = tuple(resource for resource in resources if not resource.build_id)
    of_builds = [resource for resource in resources if resource.build_id]
    leftovers = {Leftover(each.build_id, each.tags.get(TAG_CLOUD, cloud.name)) for each in of_builds}
    return Tagged(
        frozenset(each for each in leftovers if each.build_id in over and each.cloud == cloud.name),
        tuple(resource for resource in of_builds if resource.build_id not in known),
        shared,
    )


def _passing(resources: Iterable[Resource]) -> list[Resource]:
    """Without images and their disks: those of successful targets are meant to stay, the others have a catalog row."""
    return [resource for resource in resources if resource.kind not in LASTING]
