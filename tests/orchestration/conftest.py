"""A deployment to build with: Airflow in this process, the EC2 driver, and a sandbox whose machines go by the clock.

`deployment` is a fresh one for each test: no generators, an empty catalog, an empty cloud.
"""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from sqlalchemy import make_url
from tests.contract.databases import driver_url, postgresql, sql  # noqa: F401 (a fixture among them)

from imagesmith.catalog.records import BuildRecord, TargetRecord
from imagesmith.catalog.store import Catalog
from imagesmith.sandbox.config import ACCESS_KEY_ID, BASE_OWNER_ID, REGION, SECRET_ACCESS_KEY
from imagesmith.sandbox.in_process import sandbox

PROJECT = Path(__file__).parents[2]
SECRET = "orchestration-tests-orchestration-tests-1234"
SOURCE = {"name": "simulated-*", "owner": BASE_OWNER_ID}
# Nothing to wait for but the product's own pauses.
QUICK = {"boot_s": 0.05, "script_s": 0.05, "stop_s": 0.02, "image_s": 0.05}


@dataclass(frozen=True)
class Run:
    """What became of one DAG run: its own state and the states of its tasks, in Airflow's words."""

    run_id: str
    logical_date: datetime
    state: str
    tasks: Mapping[str, str]


class Site:
    """The sandbox as a test sees and upsets it, past the driver."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        session = boto3.session.Session(ACCESS_KEY_ID, SECRET_ACCESS_KEY, region_name=REGION)
        self.ec2 = session.client("ec2", endpoint_url=endpoint)

    def control(self, path: str, document: Mapping[str, Any] | None = None, *, method: str = "POST") -> Any:
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(f"{self.endpoint}/_sandbox/{path}", body, method=method)
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)

    def settings(self, **changes: Any) -> None:
        self.control("settings", changes)

    def calls(self) -> dict[str, int]:
        """How often each action was called since the test began."""
        counted: dict[str, int] = self.control("calls", method="GET")["actions"]
        return counted

    def tagged(self, build_id: str) -> dict[str, dict[str, str]]:
        """Tags of all that bears the build's tag, by id; terminated instances are still listed, with their tags."""
        pages = self.ec2.describe_tags(Filters=[{"Name": "tag:imagesmith:build", "Values": [build_id]}])["Tags"]
        ids = [row["ResourceId"] for row in pages]
        rows = self.ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": ids}])["Tags"] if ids else []
        return {id_: {row["Key"]: row["Value"] for row in rows if row["ResourceId"] == id_} for id_ in ids}

    def instances(self) -> dict[str, str]:
        """State by id of every instance that was ever made."""
        reservations = self.ec2.describe_instances()["Reservations"]
        return {i["InstanceId"]: i["State"]["Name"] for r in reservations for i in r["Instances"]}

    def images(self) -> dict[str, str]:
        """Id by name of the account's images."""
        return {image["Name"]: image["ImageId"] for image in self.ec2.describe_images(Owners=["self"])["Images"]}

    def left(self) -> list[str]:
        """What a build should not leave: all but images and the snapshots behind them."""
        images = self.ec2.describe_images(Owners=["self"])["Images"]
        behind = {mapping["Ebs"]["SnapshotId"] for image in images for mapping in image["BlockDeviceMappings"]}
        snapshots = {s["SnapshotId"] for s in self.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
        return sorted(
            [id_ for id_, state in self.instances().items() if state != "terminated"]
            + [pair["KeyName"] for pair in self.ec2.describe_key_pairs()["KeyPairs"]]
            + [group["GroupName"] for group in self.groups()]
            + [volume["VolumeId"] for volume in self.ec2.describe_volumes()["Volumes"]]
            + [*(snapshots - behind)]
        )

    def groups(self) -> list[dict[str, Any]]:
        groups = self.ec2.describe_security_groups()["SecurityGroups"]
        return [group for group in groups if group["GroupName"] != "default"]

    def save_an_image(self, name: str) -> str:
        """Somebody else's image of that name on our account."""
        source = self.ec2.describe_images(Owners=[BASE_OWNER_ID])["Images"][0]["ImageId"]
        made = self.ec2.run_instances(ImageId=source, InstanceType="t3.nano", MinCount=1, MaxCount=1)
        instance_id = made["Instances"][0]["InstanceId"]
        self.ec2.get_waiter("instance_running").wait(InstanceIds=[instance_id], WaiterConfig={"Delay": 1})
        image_id = str(self.ec2.create_image(InstanceId=instance_id, Name=name, NoReboot=True)["ImageId"])
        self.ec2.get_waiter("image_available").wait(ImageIds=[image_id], WaiterConfig={"Delay": 1})
        self.ec2.terminate_instances(InstanceIds=[instance_id])
        return image_id


@dataclass
class Deployment:
    """A user's project, and Airflow that runs it."""

    include: Path
    catalog: Catalog
    site: Site
    patch: pytest.MonkeyPatch
    empty_catalog: Callable[[], str]

    def clouds(self, *names: str, **settings: Any) -> None:
        """The clouds of include/clouds.yaml, each with a connection to the sandbox."""
        path = self.include / "clouds.yaml"
        known = yaml.safe_load(path.read_text()) if path.exists() else {}
        known |= {name: {"type": "ec2", "region": REGION, **settings} for name in names}
        path.write_text(yaml.safe_dump(known))
        for name in names:
            self.connection(name)

    def connection(self, cloud: str, *, secret: str = SECRET_ACCESS_KEY) -> None:
        """The Airflow connection of a cloud."""
        document = {
            "conn_type": "imagesmith_ec2",
            "login": ACCESS_KEY_ID,
            "password": secret,
            "extra": {"endpoint_url": self.site.endpoint, "region_name": REGION},
        }
        self.patch.setenv(f"AIRFLOW_CONN_{cloud.upper()}", json.dumps(document))

    def generator(self, name: str = "tools", *, clouds: Mapping[str, Any] | None = None, **keys: Any) -> None:
        """A generator's file; `clouds` says what differs from an entry that works, by cloud."""
        entry = {"source_image": SOURCE, "ssh_username": "admin", "instance_type": "t3.small"}
        document = {
            "script": "#!/bin/sh\n# sandbox: print hello\necho hello\n",
            "verify": False,  # another machine to boot: where it is not what a test is about, it does without
            **keys,
            "clouds": {cloud: {**entry, **changes} for cloud, changes in (clouds or {"first": {}}).items()},
        }
        (self.include / "generators" / f"{name}.yaml").write_text(yaml.safe_dump(document))

    def lose_catalog(self) -> None:
        """An empty catalog stands in its place."""
        from operators.deployment import this_deployment

        self.catalog.close()
        url = self.empty_catalog()
        self.patch.setenv("IMAGESMITH_CATALOG_URL", url)
        self.catalog = Catalog(url)
        self.catalog.upgrade()
        this_deployment.cache_clear()

    def dag(self, name: str) -> Any:
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(PROJECT / "dags")
        assert bag.import_errors == {}
        return bag.dags.get(name)

    def run(
        self,
        name: str = "tools",
        conf: Mapping[str, Any] | None = None,
        *,
        again: Run | None = None,
        without: str | None = None,
    ) -> Run:
        """Run the DAG to its end: a new run, or `again` one that is cleared.

        Tasks whose names match `without` count as done before, as those that were not cleared.
        """
        logical_date = again.logical_date if again else datetime.now(UTC)
        done = self.dag(name).test(
            logical_date=logical_date, run_conf=dict(conf or {}), mark_success_pattern=without, run_after=logical_date
        )
        tasks = {task.task_id: str(task.state) for task in done.get_task_instances()}
        return Run(done.run_id, logical_date, str(done.state), tasks)

    def build(self, run: Run, name: str = "tools") -> BuildRecord:
        build = self.catalog.find_build(name, run.run_id)
        assert build is not None, "the run has no build"
        return build

    def target(self, run: Run, cloud: str = "first", name: str = "tools") -> TargetRecord:
        return self.catalog.target(self.build(run, name).build_id, cloud)


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's own tables."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture(scope="session")
def sandbox_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox in this process."""
    with sandbox(tmp_path_factory.mktemp("sandbox")) as endpoint:
        yield endpoint


@pytest.fixture
def site(sandbox_endpoint: str) -> Site:
    """An empty cloud with quick machines."""
    one = Site(sandbox_endpoint)
    one.control("reset", {})
    one.settings(**QUICK)
    return one


@pytest.fixture
def empty_catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Gives the URL of an empty database at each call: SQLite's, or PostgreSQL's where a test is `on_both`."""
    numbers = count(1)
    if getattr(request, "param", "sqlite") == "sqlite":
        return lambda: f"sqlite:///{tmp_path / f'catalog-{next(numbers)}.db'}"
    server: str = request.getfixturevalue("postgresql")

    def made() -> str:
        name = f"{tmp_path.name.lower()}_{next(numbers)}"[-63:]
        sql(server, f'CREATE DATABASE "{name}"')
        return make_url(driver_url(server)).set(database=name).render_as_string(hide_password=False)

    return made


on_both = pytest.mark.parametrize("empty_catalog", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def deployment(
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    airflow_database: None,
    empty_catalog: Callable[[], str],
) -> Iterator[Deployment]:
    """A project with one cloud, `first`, and no generator."""
    from operators.deployment import this_deployment

    url = empty_catalog()
    for variable, value in {
        "IMAGESMITH_HOME": str(tmp_path / "home"),
        "IMAGESMITH_INCLUDE": str(tmp_path / "include"),
        "IMAGESMITH_CATALOG_URL": url,
        "IMAGESMITH_SECRET": SECRET,
        "IMAGESMITH_WORKER_PATIENCE": "600",
    }.items():
        monkeypatch.setenv(variable, value)
    (tmp_path / "include" / "generators").mkdir(parents=True)
    (tmp_path / "include" / "scripts").mkdir()
    for name in ("clean-up.sh", "inventory.sh", "remains.sh"):
        shutil.copy(PROJECT / "include" / "scripts" / name, tmp_path / "include" / "scripts")
    catalog = Catalog(url)
    catalog.upgrade()
    this_deployment.cache_clear()
    one = Deployment(tmp_path / "include", catalog, site, monkeypatch, empty_catalog)
    one.clouds("first")
    yield one
    this_deployment.cache_clear()
    catalog.close()
