"""Many builds on machines that answer by the clock, one cloud of each type, and what must be true when they end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imagesmith.catalog.records import BuildRecord
from imagesmith.core import ResourceKind, TargetState
from imagesmith.errors import Transient
from imagesmith.plan import Plan
from imagesmith.sandbox import config

from .airflow_rest import Rest, until
from .conftest import Deployment
from .sandbox_listing import ids_of_images, launched_on, left_on

CLOUDS: Mapping[str, dict[str, Any]] = {
    "ec2": {
        "source_image": {"name": "simulated-*", "owner": config.BASE_OWNER_ID},
        "ssh_username": config.DEFAULT_USER,
        "instance_type": "t3.small",
    },
    "openstack-sierra": {
        "source_image": "simulated-1",
        "ssh_username": config.DEFAULT_USER,
        "instance_type": "m1.small",
    },
    "nimbus-hotel-kvm": {"source_image": "simulated-1", "ssh_username": "root", "instance_type": "512"},
}
SCRIPT = "#!/bin/sh\n# sandbox: print the packages are coming\n# sandbox: take 4\n"


def write_generators(
    include: Path, prefix: str, *, entries: Mapping[str, dict[str, Any]] = CLOUDS, **keys: Any
) -> None:
    """A generator for each cloud of `entries`, named PREFIX-CLOUD; `keys` are further ones of its file."""
    for cloud, entry in entries.items():
        document = {"name": f"{prefix}-{cloud}", "script": SCRIPT, **keys, "clouds": {cloud: entry}}
        (include / "generators" / f"{prefix}-{cloud}.yaml").write_text(json.dumps(document))


@dataclass
class Builds:
    """Builds of the generators that `write_generators` wrote."""

    deployment: Deployment
    rest: Rest
    prefix: str
    runs: dict[str, list[str]] = field(default_factory=dict)
    before: dict[str, list[str]] = field(default_factory=dict)
    launched: dict[str, set[str]] = field(default_factory=dict)

    def start(self, each: Mapping[str, int]) -> None:
        """So many builds on each cloud."""
        for cloud in each:
            name = f"{self.prefix}-{cloud}"
            until(lambda name=name: self.rest.has_dag(name), f"the DAG {name} is there", limit_s=60)
        for cloud, count in each.items():
            self.before[cloud] = on_cloud(self.deployment, cloud)
            self.launched[cloud] = launched_on(self.deployment.sandbox, cloud)
            self.runs[cloud] = [self._start(f"{self.prefix}-{cloud}") for _ in range(count)]

    def _start(self, generator: str) -> str:
        path = f"/api/v2/dags/{generator}/dagRuns"
        status, run = self.rest.call("POST", path, {"logical_date": None, "conf": {}})
        assert status == 200, run
        return str(run["dag_run_id"])

    def until_ended(self, *, limit_s: float, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Until each has come to its end; `meanwhile` is done again and again."""
        deadline = time.monotonic() + limit_s
        while not self._ended():
            assert time.monotonic() < deadline, "the builds did not end"
            for _ in range(10):
                meanwhile()
                time.sleep(0.2)

    def _ended(self) -> bool:
        try:
            found = self._found()
        except Transient:  # the database was killed, and is not back yet
            return False
        return all(build is not None and build.state.ended for builds in found.values() for build in builds)

    def _found(self) -> dict[str, list[BuildRecord | None]]:
        catalog = self.deployment.catalog
        return {
            cloud: [catalog.find_build(f"{self.prefix}-{cloud}", run_id) for run_id in run_ids]
            for cloud, run_ids in self.runs.items()
        }

    def ids(self) -> dict[str, list[str]]:
        """The ids of the builds on each cloud."""
        return {cloud: [build.build_id for build in found if build] for cloud, found in self._found().items()}

    def assert_built_once(self) -> None:
        """Each successful, to one image, after one run of its script, from the instances it takes, no more."""
        for cloud, build_ids in self.ids().items():
            assert len(build_ids) == len(set(build_ids)) == len(self.runs[cloud])
            targets = [self.deployment.catalog.target(build_id, cloud) for build_id in build_ids]
            failed = [target for target in targets if target.state is not TargetState.SUCCESSFUL]
            reasons = [f"{target.build_id}: {target.state}: {target.error}" for target in failed]
            launched = len(launched_on(self.deployment.sandbox, cloud) - self.launched[cloud])
            expected = sum(self.machines_of(build_id, cloud) for build_id in build_ids)
            numbers = f"{cloud}: {launched} instances for {len(build_ids)} builds, not {expected}"
            # A build that failed has launched fewer, or more.
            assert launched == expected, f"{numbers}; failed: {reasons}"
            assert not failed, f"failed: {reasons}"
            for build_id in build_ids:
                self._assert_one(cloud, build_id)
            there, recorded = self.side_by_side(cloud)
            assert there == recorded
            assert left_on(self.deployment.sandbox, cloud) == []

    def side_by_side(self, cloud: str) -> tuple[list[str], list[str]]:
        """The ids of what the cloud has since the start, and of what the catalog says these builds have there."""
        there = sorted({*on_cloud(self.deployment, cloud)} - {*self.before[cloud]})
        recorded = in_catalog(self.deployment, cloud, build_ids=self.ids()[cloud])
        print(f"{cloud}: {len(there)} things there, {len(recorded)} in the catalog")
        return there, recorded

    def machines_of(self, build_id: str, cloud: str) -> int:
        """One that is customized, and one that shows what was saved where that is wanted."""
        plan = Plan.model_validate(self.deployment.catalog.build(build_id).plan)
        return 1 + plan.targets[cloud].verify

    def _assert_one(self, cloud: str, build_id: str) -> None:
        catalog = self.deployment.catalog
        target = catalog.target(build_id, cloud)
        rows = catalog.resources(build_id=build_id, include_gone=True)
        machines = self.machines_of(build_id, cloud)
        assert len([row for row in rows if row.kind is ResourceKind.INSTANCE]) == machines, rows
        assert target.output_tail.count("the packages are coming") == 1, target.output_tail
        images = catalog.images(build_id=build_id)
        assert [image.name for image in images] == [target.image_name]


def on_cloud(deployment: Deployment, cloud: str) -> list[str]:
    """The ids of all that is there but what was from the start."""
    return [*ids_of_images(deployment.sandbox, cloud), *left_on(deployment.sandbox, cloud)]


def in_catalog(deployment: Deployment, cloud: str, *, build_ids: Container[str]) -> list[str]:
    """The ids of all that the catalog says these builds have on the cloud."""
    rows = [row for row in deployment.catalog.resources(cloud=cloud) if row.build_id in build_ids]
    # The disks behind an image are not listed beside it: they go with it.
    return sorted(str(row.resource_id) for row in rows if row.kind is not ResourceKind.SNAPSHOT)
