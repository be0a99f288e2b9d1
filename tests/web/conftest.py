"""A deployment with two generators, one built; the app over it, with an Airflow that is a fake."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from imagesmith.catalog.records import BuildState, NewTarget
from imagesmith.catalog.recovery import FoundImage
from imagesmith.catalog.store import Catalog
from imagesmith.consistency import compare
from imagesmith.core import TargetState
from imagesmith.inventory import Inventory, Package
from imagesmith.parameters import Value
from imagesmith.plan import Plan, PlannedScript, PlannedSource, PlannedTarget
from imagesmith.steps.runner import Step
from imagesmith.web.app import PREFIX, create_app
from imagesmith.web.host import Answer
from imagesmith.web.pages import events
from imagesmith.web.parts import REST

from .fake_host import ADMIN, FakeHost

CLOUDS = """\
ec2: {type: ec2, region: us-east-1, pool: amazon}
hotel: {type: openstack, auth_url: "https://hotel.example:5000/v3", password: ask}
"""
TOOLS = """\
# What everybody needs.
name: tools
description: Tools    # shown in the list
script: tools.sh      # a file
parameters:
  extra: {type: string, default: ""}   # further packages
clouds:
  # the usual one
  ec2: {source_image: ami-12345678, ssh_username: admin, instance_type: t3.small}
  hotel:
    source_image: debian-12
    ssh_username: admin
    instance_type: m1.small
"""
SCRIPT = "#!/bin/sh\napt-get install dstat\n"
INVENTORY = Inventory(
    os={"ID": "debian", "VERSION_ID": "12", "PRETTY_NAME": "Debian GNU/Linux 12"},
    kernel="6.1.0-28",
    architecture="x86_64",
    packages=(
        Package(manager="dpkg", name="dstat", version="0.7.4-6.1", architecture="all"),
        Package(manager="dpkg", name="openssl", version="3.0.14-1", architecture="amd64"),
    ),
)


def plan_of(
    build_id: str, generator: str, version: str, clouds: Iterable[str], *, secrets: tuple[str, ...] = ()
) -> Plan:
    """What a build of the generator froze."""
    return Plan(
        build_id=build_id,
        generator=generator,
        version=version,
        description="",
        script_sha256="0" * 64,
        scripts=(PlannedScript(name="tools.sh", text=SCRIPT, sha256="1" * 64),),
        files=(),
        parameters={"extra": ""},
        secrets=secrets,
        created=datetime.now(UTC),
        time_limit_s=3600,
        targets={
            cloud: PlannedTarget(
                cloud=cloud,
                cloud_type="openstack" if cloud == "hotel" else "ec2",
                settings={},
                source_image=PlannedSource(id="ami-12345678"),
                ssh_username="admin",
                instance_type="t3.small",
                image_name=f"{generator}-{build_id}",
                image_name_template="{generator}-{build_id}",
                public=False,
                tags={},
                required=True,
                disk_gib=None,
                time_limits_s={},
            )
            for cloud in clouds
        },
    )


@dataclass
class Web:
    """The app as one of Airflow's users sees it."""

    client: TestClient
    host: FakeHost
    catalog: Catalog
    include: Path

    def ask(self, method: str, path: str, *, user: str | None = ADMIN, **more: Any) -> Any:
        """The answer to a request with the user's token."""
        headers = {**({"Authorization": f"Bearer {user}"} if user else {}), **more.pop("headers", {})}
        return self.client.request(method, PREFIX + REST + path, headers=headers, **more)

    def page(self, path: str, *, method: str = "GET", user: str | None = ADMIN, **more: Any) -> Any:
        """The answer to a browser in which the user is logged in to Airflow, and that sends what a form of ours has."""
        headers = {"Cookie": f"_token={user}"} if user else {}
        headers |= {"Origin": "http://testserver"} if method == "POST" else {}
        headers |= more.pop("headers", {})
        return self.client.request(method, PREFIX + path, headers=headers, follow_redirects=False, **more)

    def json(self, path: str, *, user: str = ADMIN, status: int = 200) -> Any:
        """The document at the path."""
        answer = self.ask("GET", path, user=user)
        assert answer.status_code == status, answer.text
        return answer.json()

    def file(self, name: str) -> Path:
        return self.include / "generators" / f"{name}.yaml"

    def built(
        self,
        generator: str = "tools",
        *,
        state: BuildState = BuildState.SUCCESSFUL,
        inside: Inventory | None = INVENTORY,
        source: str = "ami-12345678",
        image_name: str = "an image",
        image_id: str = "",
        run_id: str = "",
        others: Mapping[str, Inventory] | None = None,
        version: str = "",
        content: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Value] | None = None,
        secrets: tuple[str, ...] = (),
        error: str = "no room left; ask for more",
        **about: Any,
    ) -> str:
        """A build of the generator, `about` as its targets' states by cloud; its id.

        Its images hold what is `inside`, or by cloud what `others` say, and were made from the `source` image.
        """
        number = len(self.catalog.builds(limit=1000))
        build_id = f"20261127-0003{number:02d}-1a2b3c"
        run_id = run_id or f"manual__of_{number}"
        targets = about or {"ec2": TargetState.SUCCESSFUL}
        version = version or f"version{number:05d}"
        scripts = [{"name": "tools.sh", "text": SCRIPT}]
        plan = plan_of(build_id, generator, version, targets, secrets=secrets)
        plan = plan.model_copy(update={"parameters": {**plan.parameters, **(parameters or {})}})
        self.catalog.begin_build(
            build_id=build_id,
            generator=generator,
            version=version,
            content=content or {"name": generator, "scripts": scripts, "files": [], "targets": {}},
            dag_id=generator,
            run_id=run_id,
            requested_by="ann",
            requested_how="manual",
            plan=plan.model_dump(mode="json"),
            deadline=datetime.now(UTC) + timedelta(hours=1),
            targets=[NewTarget(cloud=cloud, image_name=f"{generator}-{build_id}") for cloud in targets],
        )
        inventories = {cloud: (others or {}).get(cloud, inside) for cloud in targets}
        for cloud, target in targets.items():
            found = inventories[cloud]
            digest = self.catalog.record_inventory(found) if found else ""
            self.catalog.update_target(build_id, cloud, source_image_id=source, inventory_digest=digest)
            self._ended(build_id, cloud, target, image=(image_id or f"img-{cloud}-{build_id}", image_name), error=error)
        if state.ended:
            comparison = compare(inventories)
            if comparison:
                document = comparison.model_dump(mode="json")
                self.catalog.record_comparison(build_id, verdict=str(comparison.verdict), comparison=document)
            self.catalog.record_provenance(build_id, '{"payload": ""}' if inside else "")
            self.catalog.end_build(build_id, state)
        self.host.runs[generator, run_id] = "failed" if state.ended else "running"
        return build_id

    def read_back(self, version: str = "versionofold", *, clouds: Iterable[str] = ("ec2",)) -> str:
        """The id of a build of `tools` of which no more is known than its images' tags on the clouds tell."""
        build_id = "20260101-000000-abcdef"
        for cloud in clouds:
            plan = plan_of(build_id, "tools", version, [cloud])
            plan = plan.model_copy(update={"scripts": (), "parameters": {}})
            found = FoundImage(
                **{"cloud": cloud, "image_id": f"img-{cloud}-{build_id}", "name": "lost", "build_id": build_id},
                **{"generator": "tools", "version": version, "source_image_id": "v", "inventory_digest": "a" * 64},
                **{"created_at": datetime(2026, 1, 1, tzinfo=UTC), "plan": plan.model_dump(mode="json")},
            )
            self.catalog.recover_image(found)
        return build_id

    def _ended(self, build_id: str, cloud: str, state: TargetState, *, image: tuple[str, str], error: str) -> None:
        self.catalog.start_step(build_id, cloud, Step.LAUNCH_VM)
        if state is TargetState.FAILED:
            self.catalog.end_step(build_id, cloud, Step.LAUNCH_VM, error)
            self.catalog.fail_target(build_id, cloud, error)
            return
        self.catalog.end_step(build_id, cloud, Step.LAUNCH_VM)
        self.catalog.advance_target(build_id, cloud, state)
        if state is TargetState.SUCCESSFUL:
            image_id, name = image
            self.catalog.record_image(build_id, cloud, image_id=image_id, name=name)
            self.catalog.image_available(cloud, image_id)


def answer(status: int, detail: object) -> Answer:
    """An answer of Airflow's."""
    return Answer(status, {"detail": detail})


@pytest.fixture(scope="session")
def new_catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog in which nothing is, to be copied: its migrations take longer than any test."""
    path = tmp_path_factory.mktemp("catalog") / "catalog.db"
    catalog = Catalog(f"sqlite:///{path}")
    catalog.upgrade()
    catalog.close()
    return path


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_catalog: Path) -> Iterator[Web]:
    """Generators `tools`, and `secret-tools`, which is the admin's; nothing is built."""
    include = tmp_path / "include"
    for folder in ("generators", "scripts", "files"):
        (include / folder).mkdir(parents=True)
    (include / "clouds.yaml").write_text(CLOUDS)
    (include / "scripts" / "tools.sh").write_text(SCRIPT)
    (include / "generators" / "tools.yaml").write_text(TOOLS)
    (include / "generators" / "secret-tools.yaml").write_text(TOOLS.replace("name: tools", "name: secret-tools"))
    monkeypatch.setenv("IMAGESMITH_INCLUDE", str(include))
    monkeypatch.setenv("IMAGESMITH_HOME", str(tmp_path / "home"))
    # A stream that has no end would keep this client, which takes whole answers, for ever.
    monkeypatch.setattr(events, "LIFE_S", 0)
    shutil.copy(new_catalog, tmp_path / "catalog.db")
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.db'}")
    host = FakeHost()
    app = create_app(host, open_catalog=lambda: catalog)
    airflow = Starlette(routes=[Mount(PREFIX, app)])
    with TestClient(airflow, raise_server_exceptions=False) as client:
        yield Web(client, host, catalog, include)
    catalog.close()
