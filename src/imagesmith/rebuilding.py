"""A build's inputs once more: the plan of an old build as the plan of a new one. Reads no file, no clock, no cloud."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from imagesmith.cloud_settings import CloudSettings
from imagesmith.errors import DefinitionError
from imagesmith.generator import Generator
from imagesmith.image_names import render
from imagesmith.parameters import fitting
from imagesmith.plan import CLOUDS_PARAM, REBUILD_PARAM, Plan, PlannedSource, PlannedTarget


def inputs_sha256(plan: Plan) -> str:
    """The hash of all that shapes the images, "" where it is not known: equal for a build and its rebuild.

    Scripts, files and parameters count, and by cloud the source image, instance type, disk and user; the build's own
    id, names, tags, limits and the ways to the clouds do not.
    """
    if not plan.scripts:
        return ""
    document = {
        "generator": plan.generator,
        "version": plan.version,
        "scripts": [script.sha256 for script in plan.scripts],
        "files": {file.path: file.sha256 for file in plan.files},
        "parameters": plan.parameters,
        "targets": {
            name: {
                "source_image": target.source_image.model_dump(exclude_defaults=True),
                "instance_type": target.instance_type,
                "disk_gib": target.disk_gib,
                "ssh_username": target.ssh_username,
            }
            for name, target in plan.targets.items()
        },
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def resolved(plan: Plan, source_image_ids: Mapping[str, str]) -> Plan:
    """The plan with the source images that were found for it, where some were."""
    targets = {
        name: target.model_copy(update={"source_image": PlannedSource(id=source_image_ids[name])})
        if source_image_ids.get(name)
        else target
        for name, target in plan.targets.items()
    }
    return plan.model_copy(update={"targets": targets})


def conf_of(plan: Plan, generator: Generator | None) -> dict[str, Any]:
    """The conf of a run that builds the plan again: its build, its clouds, and parameters that have no default today.

    The values that count come from the catalog; those in the conf only get the run past Airflow's own check, which is
    by the parameters of today. `generator` is its file as it is now, if that can be read.
    """
    values = plan.parameters
    if generator is not None:
        values = {
            name: fitting(name, parameter, plan.parameters.get(name))
            for name, parameter in generator.parameters.items()
            if parameter.default is None and not parameter.secret
        }
    return {**values, CLOUDS_PARAM: list(plan.targets), REBUILD_PARAM: plan.build_id}


def rebuilt(
    old: Plan,
    *,
    build_id: str,
    created: datetime,
    clouds: Mapping[str, CloudSettings],
    available: Collection[str],
    skipped: Mapping[str, str],
) -> Plan:
    """The plan of a new build from the inputs of `old`, whose source images are resolved; names are made anew.

    `clouds` tells how a cloud is reached today, `available` which of them the generator's DAG can build on. Raises
    DefinitionError where one of the old build's is missing, or where nothing of the old build is known.
    """
    if not old.scripts:
        raise DefinitionError(
            f"{old.build_id}: is known by its images' tags alone, so its script cannot run again; build "
            f"{old.generator} from its file instead"
        )
    names = [name for name in old.targets if name not in skipped]
    if not names:
        raise DefinitionError(f"{old.build_id}: nothing is left to build: {'; '.join(skipped.values())}")
    for name in names:
        _refuse_missing(old, name, clouds=clouds, available=available)
    targets = {name: _again(old, name, build_id=build_id, created=created, clouds=clouds) for name in names}
    changes = {
        "build_id": build_id,
        "created": created.astimezone(UTC),
        "targets": targets,
        "skipped": dict(skipped),
        "rebuild_of": old.build_id,
    }
    return old.model_copy(update=changes)


def _refuse_missing(old: Plan, name: str, *, clouds: Mapping[str, CloudSettings], available: Collection[str]) -> None:
    about = f"{old.build_id}: was built on {name}"
    if name not in clouds:
        raise DefinitionError(f"{about}, which is no longer in include/clouds.yaml; describe it there again")
    if clouds[name].type != old.targets[name].cloud_type:
        was = old.targets[name].cloud_type
        raise DefinitionError(
            f"{about}, which was of type {was} and is {clouds[name].type} now; use `imagesmith build`"
        )
    if name not in available:
        raise DefinitionError(
            f"{about}, which the generator {old.generator} no longer names; add {name} to its clouds again"
        )


def _again(
    old: Plan, name: str, *, build_id: str, created: datetime, clouds: Mapping[str, CloudSettings]
) -> PlannedTarget:
    target = old.targets[name]
    # A plan of before templates were kept shows its build's id where the template had one.
    template = target.image_name_template or target.image_name.replace(old.build_id, "{build_id}")
    image_name = render(
        template,
        generator=old.generator,
        version=old.version,
        build_id=build_id,
        date=created.astimezone(UTC).strftime("%Y%m%d"),
    )
    changes = {
        "image_name": image_name,
        "image_name_template": template,
        "settings": clouds[name].driver_settings(),
    }
    return target.model_copy(update=changes)
