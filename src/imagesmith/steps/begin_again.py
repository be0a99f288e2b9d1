"""The plan of an old build taken out of the catalog, for a build that is to have the very same inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from imagesmith.catalog.records import BuildRecord
from imagesmith.catalog.store import Catalog
from imagesmith.cloud_settings import CloudSettings
from imagesmith.errors import DefinitionError, NameTaken
from imagesmith.generator import Generator
from imagesmith.plan import Plan, new_build_id
from imagesmith.rebuilding import rebuilt, resolved


def old_plan(word: object, generator: Generator, *, catalog: Catalog, chosen: Sequence[str] | None) -> Plan | None:
    """The plan of the build of that id, its source images resolved, with the chosen clouds; None where none is named.

    Raises DefinitionError for a build of another generator, and BuildStateError for one that nobody knows.
    """
    if word is None:
        return None
    if not isinstance(word, str) or not word.strip():
        raise DefinitionError(f"rebuild: {word!r:.80} is no build; give a build's id from `imagesmith status`")
    build = catalog.build(word)
    if build.generator != generator.name:
        raise DefinitionError(
            f"{build.build_id}: is a build of {build.generator}, not of {generator.name}; run "
            f"`imagesmith rebuild {build.build_id}`"
        )
    plan = Plan.model_validate(build.plan)
    if lost := [name for name in plan.secrets if name not in generator.secrets]:
        raise DefinitionError(
            f"{build.build_id}: had the secret parameters {', '.join(lost)}, whose values are stored nowhere, and "
            f"{generator.name} no longer asks for them; add them to its parameters again"
        )
    found = {target.cloud: target.source_image_id for target in catalog.targets(build.build_id)}
    return resolved(_of(plan, generator, chosen), found)


def _of(plan: Plan, generator: Generator, chosen: Sequence[str] | None) -> Plan:
    """The plan on the chosen clouds; all of the generator's, which is what nobody chose, are all of the old build's."""
    if chosen is None or set(generator.clouds) <= set(chosen):
        return plan
    targets = {name: target for name, target in plan.targets.items() if name in chosen}
    if not targets:
        raise DefinitionError(
            f"{plan.build_id}: was not built on {', '.join(chosen)}; choose of {', '.join(plan.targets)}"
        )
    return plan.model_copy(update={"targets": targets})


def begin_again(
    old: Plan,
    generator: Generator,
    clouds: Mapping[str, CloudSettings],
    *,
    catalog: Catalog,
    build_id: str,
    created: datetime,
    skipped: Mapping[str, str],
) -> Plan:
    """The new build's plan; raises DefinitionError, or NameTaken for an image that is there under the same name."""
    plan = rebuilt(old, build_id=build_id, created=created, clouds=clouds, available=generator.clouds, skipped=skipped)
    for name, target in plan.targets.items():
        taken = [image for image in catalog.find_images(target.image_name) if image.cloud == name]
        living = [image for image in taken if image.deleted_at is None and image.name == target.image_name]
        if living:
            raise NameTaken(
                f"{name}: an image named {target.image_name} is there already ({living[0].image_id}) and is never "
                f"overwritten; build {old.build_id} had no {{build_id}} in image_name, so delete that image first"
            )
    return plan


def refuse_impossible(
    build: BuildRecord, generator: Generator, clouds: Mapping[str, CloudSettings], *, catalog: Catalog
) -> None:
    """What `begin` would refuse of building the build again, said before a run is started."""
    old = old_plan(build.build_id, generator, catalog=catalog, chosen=None)
    assert old is not None, "a build was named"
    now = datetime.now(UTC)
    build_id = new_build_id(now, build.build_id)
    begin_again(old, generator, clouds, catalog=catalog, build_id=build_id, created=now, skipped={})
