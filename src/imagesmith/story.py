"""The story of one image, out of the catalog: what is in it, from what, by which script, in which build."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from imagesmith.catalog.records import BuildRecord, ImageRecord, TargetRecord
from imagesmith.catalog.store import Catalog
from imagesmith.inventory import Inventory
from imagesmith.plan import Plan
from imagesmith.rebuilding import inputs_sha256, resolved
from imagesmith.things import Kind, Thing, things_of

# Where a build is known by its images' tags alone.
UNKNOWN_SCRIPT = "unknown: the build was read back from its images' tags"


@dataclass(frozen=True)
class Story:
    """An image, the build it is of, and what the catalog holds beside; None or "" for what was never known."""

    image: ImageRecord
    build: BuildRecord
    plan: Plan
    target: TargetRecord
    parent: ImageRecord | None
    inventory: Inventory | None

    @property
    def inputs_sha256(self) -> str:
        """The hash of all that went into the build, "" where it is not known."""
        return inputs_sha256(self.plan)

    @property
    def read_back(self) -> bool:
        """Whether its images' tags are all that is known of the build."""
        return self.build.read_back


def story_of(catalog: Catalog, image: ImageRecord) -> Story:
    """All that the catalog knows of the image."""
    build = catalog.build(image.build_id)
    targets = catalog.targets(image.build_id)
    parents = catalog.find_images(f"{image.cloud}/{image.source_image_id}") if image.source_image_id else []
    parent = next((each for each in parents if each.cloud == image.cloud), None)
    return Story(
        image=image,
        build=build,
        plan=resolved(Plan.model_validate(build.plan), {each.cloud: each.source_image_id for each in targets}),
        target=next(each for each in targets if each.cloud == image.cloud),
        parent=parent,
        inventory=catalog.inventory(image.inventory_digest),
    )


def log_address(run_address: str, cloud: str) -> str:
    """The page in Airflow's UI with the log of the scripts."""
    return f"{run_address}/tasks/{cloud}.customize"


def as_json(story: Story, *, url: str) -> dict[str, Any]:
    """The story for programs, with the scripts' texts and the whole inventory; no address where no run is known."""
    build, plan = story.build, story.plan
    url = "" if story.read_back else url
    return {
        "image": asdict(story.image),
        "source_image_name": story.target.source_image_name,
        "parent": asdict(story.parent) if story.parent else None,
        "build": {
            "build_id": build.build_id,
            "state": str(build.state),
            "requested_by": build.requested_by,
            "requested_how": build.requested_how,
            "created_at": build.created_at,
            "verdict": build.verdict,
            "rebuild_of": plan.rebuild_of,
            "inputs_sha256": story.inputs_sha256,
            "url": url,
            "log": log_address(url, story.image.cloud) if url else "",
        },
        "scripts": [script.model_dump() for script in plan.scripts],
        "files": [{"path": file.path, "sha256": file.sha256} for file in plan.files],
        "parameters": plan.parameters,
        "inventory": story.inventory.model_dump(mode="json") if story.inventory else None,
    }


def told(story: Story, *, url: str) -> list[str]:
    """The story for people."""
    image, build, plan = story.image, story.build, story.plan
    rows = [
        ("name", f"{image.name}{', public' if image.public else ''}"),
        ("state", _state(story)),
        ("generator", f"{image.generator} {image.version}"),
        *_inputs(plan),
        ("made from", f"{image.source_image_id} {story.target.source_image_name}".strip()),
        ("parent", _named(story.parent) if story.parent else ""),
        ("build", f"{build.build_id}, {build.state}, {_moment(build.created_at)}"),
        ("requested", f"{build.requested_how} {build.requested_by}".strip()),
        ("inputs", f"sha256 {story.inputs_sha256}" if story.inputs_sha256 else ""),
        ("again", f"of build {plan.rebuild_of}" if plan.rebuild_of else ""),
        ("verdict", build.verdict),
        ("content", f"sha256 {image.inventory_digest}" if image.inventory_digest else "nobody looked into it"),
        *([("", line) for line in _content(story.inventory)] if story.inventory else []),
        ("log", "" if story.read_back else log_address(url, image.cloud)),
    ]
    return [f"{image.cloud}/{image.image_id}", *(f"  {title:<10} {text}" for title, text in rows if text)]


def _inputs(plan: Plan) -> list[tuple[str, str]]:
    scripts = [
        ("script", f"{each.name}  {len(each.text.splitlines())} lines, sha256 {each.sha256}") for each in plan.scripts
    ]
    files = [("file", f"{each.name} → {each.path}  sha256 {each.sha256}") for each in plan.files]
    parameters = [("parameter", f"{name} = {value!r}") for name, value in plan.parameters.items()]
    return [*(scripts or [("script", UNKNOWN_SCRIPT)]), *files, *parameters]


def _state(story: Story) -> str:
    image = story.image
    words = [str(image.state), f"saved {_moment(image.created_at)}"]
    unverified = "whether it was verified is not known" if story.read_back else "not verified"
    words.append(f"verified {_moment(image.verified_at)}" if image.verified_at else unverified)
    if image.deleted_at:
        words.append(f"deleted {_moment(image.deleted_at)}")
    return ", ".join(words)


def _named(image: ImageRecord) -> str:
    return f"{image.cloud}/{image.image_id}, {image.generator} {image.version} of build {image.build_id}"


def contents(inventory: Inventory) -> tuple[str, dict[str, int]]:
    """What the system inside is, and how many there are of each kind of thing, in words."""
    name = inventory.os.get("PRETTY_NAME") or " ".join(filter(None, map(inventory.os.get, ("ID", "VERSION_ID"))))
    counts = dict.fromkeys(Kind, 0)
    for thing in things_of(inventory):
        counts[thing.kind] += 1
    told = {
        "packages": Kind.PACKAGE,
        "services": Kind.SERVICE,
        "users": Kind.USER,
        "sockets": Kind.SOCKET,
        "setuid files": Kind.SETUID,
        "files in /etc": Kind.FILE,
    }
    system = f"{name or 'no os-release'}, kernel {inventory.kernel}, {inventory.architecture}"
    return system, {word: counts[kind] for word, kind in told.items()}


def _content(inventory: Inventory) -> list[str]:
    system, counts = contents(inventory)
    return [system, ", ".join(f"{count} {word}" for word, count in counts.items())]


def inside(inventory: Inventory) -> list[tuple[Thing, str]]:
    """Everything inside, in the order of kinds and names."""
    order = {kind: index for index, kind in enumerate(Kind)}
    return sorted(things_of(inventory).items(), key=lambda item: (order[item[0].kind], item[0].name))


def _moment(moment: Any) -> str:
    return str(moment.astimezone().strftime("%Y-%m-%d %H:%M:%S"))
