"""Builds in a catalog, made from a real generator's plan and brought to their end as the steps do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from imagesmith.catalog.records import BuildRecord, BuildState, ImageRecord, NewTarget
from imagesmith.catalog.store import Catalog
from imagesmith.core import TargetState
from imagesmith.generator import load_all
from imagesmith.inventory import Inventory, Package
from imagesmith.plan import Plan, freeze

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
GENERATOR = """\
script: |
  #!/bin/sh
  true
files: {motd: /etc/motd}
parameters:
  extra: {type: string, default: ""}
  count: {type: integer, default: 1}
clouds:
  here: {source_image: {name: "base-*", owner: vendor}, ssh_username: admin, instance_type: small}
  there: {source_image: image-1, ssh_username: admin, instance_type: small, tags: {team: physics}}
"""


class Clock:
    """A time that goes by a minute a look."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


def a_project(folder: Path, **generators: str) -> Path:
    """An `include` with the clouds here and there, and the generators by name."""
    include = folder / "include"
    for name in ("generators", "files"):
        (include / name).mkdir(parents=True, exist_ok=True)
    (include / "files" / "motd").write_text("hello\n")
    (include / "clouds.yaml").write_text(
        "".join(f"{name}: {{type: memory, path: {folder / name}.json}}\n" for name in ("here", "there"))
    )
    for name, text in (generators or {"dstat": GENERATOR}).items():
        (include / "generators" / f"{name}.yaml").write_text(text)
    return include


def a_catalog(folder: Path) -> Catalog:
    """An empty catalog whose clock is ours."""
    one = Catalog(f"sqlite:///{folder / 'catalog.db'}", clock=Clock())
    one.upgrade()
    return one


def an_inventory(*packages: Package, **os: str) -> Inventory:
    """An inventory of these packages on Debian 12."""
    known = {"ID": "debian", "VERSION_ID": "12", "PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)", **os}
    return Inventory(os=known, kernel="6.1.0-18-amd64", architecture="x86_64", packages=packages)


def a_plan(include: Path, build_id: str, *, name: str = "dstat", parameters: Mapping[str, Any] | None = None) -> Plan:
    """The frozen plan of a build of the generator."""
    loaded = load_all(include)
    assert not loaded.findings
    return freeze(loaded.generators[name], loaded.clouds, build_id=build_id, created=NOON, parameters=parameters)


def begun(catalog: Catalog, plan: Plan) -> BuildRecord:
    """The build of the plan, begun."""
    return catalog.begin_build(
        build_id=plan.build_id,
        generator=plan.generator,
        version=plan.version,
        content={},
        dag_id=plan.generator,
        run_id=f"run-of-{plan.build_id}",
        requested_by="anna",
        requested_how="manual",
        plan=plan.model_dump(mode="json"),
        deadline=NOON + timedelta(days=1),
        targets=[NewTarget(cloud, target.required, target.image_name) for cloud, target in plan.targets.items()],
    )


def saved(
    catalog: Catalog, plan: Plan, cloud: str, *, inventory: Inventory | None = None, source: str = "image-1"
) -> ImageRecord:
    """The target successful with an image, whose content is known if an inventory is given."""
    digest = catalog.record_inventory(inventory) if inventory else ""
    catalog.update_target(plan.build_id, cloud, source_image_id=source, inventory_digest=digest)
    image_id = f"image-{cloud}-{plan.build_id}"
    catalog.record_image(plan.build_id, cloud, image_id=image_id, name=plan.targets[cloud].image_name)
    image = catalog.image_available(cloud, image_id)
    if plan.targets[cloud].verify:
        image = catalog.image_verified(cloud, image_id)
    catalog.advance_target(plan.build_id, cloud, TargetState.SUCCESSFUL)
    return image


def ended(catalog: Catalog, plan: Plan, state: BuildState = BuildState.SUCCESSFUL) -> BuildRecord:
    """The build ended."""
    return catalog.end_build(plan.build_id, state)
