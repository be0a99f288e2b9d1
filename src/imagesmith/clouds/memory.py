"""A cloud in one JSON file: what the contract tests are read from, and the ground for orchestration tests.

Its things change by the clock it is given. Several processes may use the same file at once. Tests set on it
what clouds do at their worst: refusals, answers lost after the effect, listings that lag, machines and images
that fail.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import ClassVar

from imagesmith import errors
from imagesmith.clouds.memory_world import ANY, OWN, UNKNOWN_TYPE, Fault, Thing, Timing, World
from imagesmith.core import (
    TAG_BUILD,
    TAG_CLOUD,
    UNKNOWN,
    Cloud,
    Image,
    ImageQuery,
    ImageState,
    Instance,
    InstanceState,
    LaunchRequest,
    Ledger,
    OfferedImage,
    Resource,
    ResourceKind,
    SaveRequest,
    SourceImage,
    Traits,
    newest_of,
)


class MemoryCloud(Cloud):
    """One account on the cloud in the file `path`; instances answer SSH at `address`.

    `accepted=False` stands for wrong credentials. `clock` tells seconds since 1970.
    """

    type: ClassVar[str] = "memory"
    traits: ClassVar[Traits] = Traits(host_key_injection=True, powers_off=True, client_token=False, settle_s=0.0)

    def __init__(
        self,
        name: str,
        path: Path | str,
        *,
        address: str = "127.0.0.1",
        accepted: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(name)
        self.path = Path(path)
        self.address = address
        self.accepted = accepted
        self.clock = clock

    # What tests set and see

    @contextmanager
    def world(self) -> Iterator[World]:
        """The world of this moment, for us alone; changes inside are kept, even if an error ends it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            world = World.from_json(self.path.read_text()) if self.path.exists() else World.new()
            world.settle(self.clock())
            try:
                yield world
            finally:
                fresh = self.path.with_suffix(".new")
                fresh.write_text(json.dumps(asdict(world)))
                fresh.replace(self.path)

    def set_timing(self, timing: Timing) -> None:
        """From now on changes take this long."""
        with self.world() as world:
            world.timing = timing

    def set_fault(self, fault: Fault) -> None:
        """Let calls go wrong."""
        with self.world() as world:
            world.faults.append(fault)

    def doom(self, kind: ResourceKind, reason: str) -> None:
        """Let the next instance, or image, fail for this reason instead of becoming usable."""
        with self.world() as world:
            world.doomed[kind] = reason

    def blind(self, looks: int) -> None:
        """Let the next looks at instances, images and resources see nothing, as listings that lag do."""
        with self.world() as world:
            world.blind_looks = looks

    def power_off(self, instance_id: str) -> None:
        """The guest powers itself off."""
        with self.world() as world:
            self._stop(world, instance_id)

    def print_on_console(self, instance_id: str, text: str) -> None:
        """The guest prints."""
        with self.world() as world:
            world.things[instance_id].console += text

    # The port

    def identity(self) -> str:
        """The account's name."""
        with self._call("identity"):
            return f"memory:{self.path.stem}"

    def find_source_image(self, query: ImageQuery) -> SourceImage:
        """The image of that id, or the newest of that name and owner; by default our own."""
        with self._call("find_source_image") as world:
            images = [i for i in world.of_kind(ResourceKind.IMAGE) if i.state == ImageState.AVAILABLE]
            if query.id:
                found = [image for image in images if image.id == query.id]
            else:
                owner = query.owner or OWN
                found = [i for i in images if fnmatchcase(i.name, query.name) and i.owner == owner]
            if not found:
                raise errors.SourceImageNotFound(
                    f"{self.name}: image {query} not found; check source_image of {self.name} in the generator"
                )
            newest = max(found, key=lambda image: (image.created, image.id))
            return SourceImage(newest.id, newest.name, _iso(newest.created))

    def list_images(self, search: str, *, limit: int) -> list[OfferedImage]:
        """Every image that is available."""
        with self._call("list_images") as world:
            images = [each for each in world.of_kind(ResourceKind.IMAGE) if each.state == ImageState.AVAILABLE]
            return newest_of(
                (
                    OfferedImage(each.id, each.name, _iso(each.created), each.owner == OWN)
                    for each in images
                    if search.lower() in each.name.lower()
                ),
                limit,
            )

    def find_image_named(self, name: str) -> Resource | None:
        """Our own image of exactly that name, whatever its state, or None."""
        with self._call("find_image_named") as world:
            image = world.named(ResourceKind.IMAGE, name)
            return _resource(image) if image else None

    def launch(self, request: LaunchRequest, ledger: Ledger) -> str:
        """Make key pair, group, instance and volume, each adopted if there; returns the instance's id."""
        with self._call("launch") as world:
            if request.source_image_id not in world.things:
                raise errors.SourceImageNotFound(
                    f"{self.name}: image {request.source_image_id} not found; "
                    f"check source_image of {self.name} in the generator"
                )
            if request.instance_type == UNKNOWN_TYPE:
                raise errors.DefinitionError(
                    f"{self.name}: there is no instance type {request.instance_type}; "
                    f"check instance_type of {self.name} in the generator"
                )
            tags = self._tags(request.build_id, request.tags)
            for kind in (ResourceKind.KEY_PAIR, ResourceKind.SECURITY_GROUP):
                ledger.intend(kind, request.name)
                thing = world.named(kind, request.name) or world.add(
                    kind, request.name, tags=tags, now=self.clock(), on=request.name
                )
                ledger.made(kind, request.name, thing.id)
            ledger.intend(ResourceKind.INSTANCE, request.name)
            instance = world.named(ResourceKind.INSTANCE, request.name) or self._boot(world, request, tags=tags)
            instance_id = self._not_ending(instance)
        # The ledger hears it only after the fault of a lost answer had its chance, as with any cloud.
        ledger.made(ResourceKind.INSTANCE, request.name, instance_id)
        return instance_id

    def _boot(self, world: World, request: LaunchRequest, *, tags: Mapping[str, str]) -> Thing:
        now = self.clock()
        reason = world.doomed.pop(ResourceKind.INSTANCE, "")
        instance = world.add(
            ResourceKind.INSTANCE,
            request.name,
            tags=tags,
            now=now,
            state=InstanceState.PENDING,
            then=[(now + world.timing.boot_s, InstanceState.FAILED if reason else InstanceState.RUNNING)],
            reason=reason,
            user_data=request.user_data,
            public_key=request.public_key,
        )
        world.add(ResourceKind.VOLUME, request.name, tags=tags, now=now, state="in-use", on=instance.id)
        return instance

    def _not_ending(self, instance: Thing) -> str:
        if _ending(instance):
            raise errors.InstanceLost(
                f"{self.name}: instance {instance.id} is ending: {instance.reason}; start the build again"
            )
        return instance.id

    def observe_instances(self, instance_ids: Sequence[str]) -> dict[str, Instance]:
        """One look at many instances; one the cloud does not know is GONE."""
        with self._call("observe_instances") as world:
            blind = _blind(world)
            return {id_: self._instance(id_, None if blind else world.things.get(id_)) for id_ in instance_ids}

    def _instance(self, instance_id: str, thing: Thing | None) -> Instance:
        if thing is None:
            return Instance(instance_id, InstanceState.GONE, reason=UNKNOWN, known=False)
        state = InstanceState.GONE if _ending(thing) else InstanceState(thing.state)
        address = self.address if state == InstanceState.RUNNING else ""
        return Instance(instance_id, state, address=address, reason=thing.reason)

    def console_output(self, instance_id: str) -> str:
        """What the instance printed; "" where there is none."""
        with self._call("console_output") as world:
            thing = world.things.get(instance_id)
            return thing.console if thing else ""

    def stop(self, instance_id: str) -> None:
        """Ask for a stop without waiting; raises InstanceLost for an instance that is no more."""
        with self._call("stop") as world:
            self._stop(world, instance_id)

    def _stop(self, world: World, instance_id: str) -> None:
        instance = self._living(world, instance_id)
        if instance.state not in (InstanceState.STOPPING, InstanceState.STOPPED):
            instance.state = InstanceState.STOPPING
            instance.then = [(self.clock() + world.timing.stop_s, InstanceState.STOPPED)]

    def _living(self, world: World, instance_id: str) -> Thing:
        instance = world.things.get(instance_id)
        if instance is None or _ending(instance):
            raise errors.InstanceLost(f"{self.name}: instance {instance_id} is gone; start the build again")
        return instance

    def save(self, request: SaveRequest, ledger: Ledger) -> str:
        """Start saving the instance and return the image's id; adopts the image of that name and build."""
        with self._call("save") as world:
            ledger.intend(ResourceKind.IMAGE, request.name)
            image = world.named(ResourceKind.IMAGE, request.name)
            if image is None:
                image = self._save(world, request)
            elif (image.tags.get(TAG_BUILD), image.tags.get(TAG_CLOUD)) != (request.build_id, self.name):
                raise errors.NameTaken(
                    f"{self.name}: an image named {request.name} is there already; "
                    f"choose another image_name of {self.name} in the generator; nothing is overwritten"
                )
        ledger.made(ResourceKind.IMAGE, request.name, image.id)
        return image.id

    def _save(self, world: World, request: SaveRequest) -> Thing:
        self._living(world, request.instance_id)
        now = self.clock()
        reason = world.doomed.pop(ResourceKind.IMAGE, "")
        tags = self._tags(request.build_id, request.tags)
        image = world.add(
            ResourceKind.IMAGE,
            request.name,
            tags=tags,
            now=now,
            state=ImageState.PENDING,
            then=[(now + world.timing.image_s, ImageState.FAILED if reason else ImageState.AVAILABLE)],
            reason=reason,
        )
        world.add(ResourceKind.SNAPSHOT, request.name, tags=tags, now=now, on=image.id)
        return image

    def observe_images(self, image_ids: Sequence[str]) -> dict[str, Image]:
        """One look at many images; one the cloud does not know is GONE."""
        with self._call("observe_images") as world:
            blind = _blind(world)
            return {id_: _image(world, id_, None if blind else world.things.get(id_)) for id_ in image_ids}

    def finish_image(self, image_id: str, *, tags: Mapping[str, str], public: bool, seen: Image | None = None) -> None:
        """Tags on the image and its snapshots, and permission to launch for everybody where it is public."""
        with self._call("finish_image") as world:
            if image_id not in world.things:
                raise errors.SaveFailed(
                    f"{self.name}: image {image_id} is gone; somebody deleted it; start the build again"
                )
            world.things[image_id].public = public
            for thing in (world.things[image_id], *_snapshots(world, image_id)):
                thing.tags.update(tags)

    def find_resources(self, build_id: str | None = None) -> list[Resource]:
        """Everything with our tag, of one build or of all; instances already ended are left out."""
        with self._call("find_resources") as world:
            if _blind(world):
                return []
            ours = (thing for thing in world.things.values() if TAG_BUILD in thing.tags)
            wanted = (thing for thing in ours if build_id is None or thing.tags[TAG_BUILD] == build_id)
            return [_resource(thing) for thing in wanted if not _ended(thing)]

    def delete(self, resources: Iterable[Resource]) -> list[Resource]:
        """Ask for the end of what can end now; returns what is left."""
        with self._call("delete") as world:
            ordered = sorted(resources, key=lambda resource: _ORDER.index(resource.kind))
            for resource in ordered:
                self._delete(world, world.things.get(resource.id))
            world.settle(self.clock())
            return [r for r in ordered if (thing := world.things.get(r.id)) is not None and not _ended(thing)]

    def _delete(self, world: World, thing: Thing | None) -> None:
        if thing is None or _hangs(world, thing):
            return
        if thing.kind == ResourceKind.INSTANCE:
            if not _ending(thing):
                thing.state = _ENDING
                thing.reason = "its end was asked for"
                thing.then = [(self.clock() + world.timing.end_s, InstanceState.GONE)]
                thing.settle(self.clock())
            return
        for snapshot in _snapshots(world, thing.id):
            del world.things[snapshot.id]
        del world.things[thing.id]

    def _tags(self, build_id: str, tags: Mapping[str, str]) -> dict[str, str]:
        return {**tags, TAG_BUILD: build_id, TAG_CLOUD: self.name}

    @contextmanager
    def _call(self, method: str) -> Iterator[World]:
        """The world for one call of the port, with the faults set on that method."""
        self.budget.spend(method)
        with self.world() as world:
            world.calls[method] = world.calls.get(method, 0) + 1
            if not self.accepted:
                raise errors.CredentialsRefused(
                    f"{self.name}: {method}: refused; check the Airflow connection {self.name}"
                )
            fault = next((f for f in world.faults if f.method in (method, ANY) and f.times > 0), None)
            if fault is not None:
                fault.times -= 1
            if fault is not None and not fault.after_effect:
                raise self._error(method, fault)
            yield world
            if fault is not None:
                raise self._error(method, fault)

    def _error(self, method: str, fault: Fault) -> errors.ImagesmithError:
        kind: type[errors.ImagesmithError] = getattr(errors, fault.error)
        if kind is errors.CloudBusy:
            self.budget.overspent()
        return kind(f"{self.name}: {method}: {fault.message}")


_ENDING = "ending"
# Instances first, for the others hang on them; key pairs hang on nothing.
_ORDER = [
    ResourceKind.INSTANCE,
    ResourceKind.IMAGE,
    ResourceKind.SNAPSHOT,
    ResourceKind.VOLUME,
    ResourceKind.FLOATING_IP,
    ResourceKind.SECURITY_GROUP,
    ResourceKind.KEY_PAIR,
]


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


def _ended(thing: Thing) -> bool:
    return thing.kind == ResourceKind.INSTANCE and thing.state == InstanceState.GONE


def _ending(thing: Thing) -> bool:
    return thing.state == _ENDING or _ended(thing)


def _blind(world: World) -> bool:
    if world.blind_looks <= 0:
        return False
    world.blind_looks -= 1
    return True


def _snapshots(world: World, image_id: str) -> list[Thing]:
    return [snapshot for snapshot in world.of_kind(ResourceKind.SNAPSHOT) if snapshot.on == image_id]


def _hangs(world: World, thing: Thing) -> bool:
    """Whether something else that is alive needs the thing."""
    if thing.kind == ResourceKind.SNAPSHOT:
        return thing.on in world.things
    if thing.kind in (ResourceKind.VOLUME, ResourceKind.SECURITY_GROUP):
        instances = world.of_kind(ResourceKind.INSTANCE)
        return any(thing.on in (instance.id, instance.name) and not _ended(instance) for instance in instances)
    return False


def _image(world: World, image_id: str, thing: Thing | None) -> Image:
    if thing is None:
        return Image(image_id, ImageState.GONE, reason=UNKNOWN, known=False)
    snapshot_ids = tuple(snapshot.id for snapshot in _snapshots(world, image_id))
    return Image(image_id, ImageState(thing.state), thing.name, thing.reason, snapshot_ids)


def _resource(thing: Thing) -> Resource:
    kind = ResourceKind(thing.kind)
    return Resource(kind, thing.id, thing.name, tags=dict(thing.tags), created=_iso(thing.created), state=thing.state)
