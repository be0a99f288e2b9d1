"""What there is on a memory cloud: things with their coming states, and the faults set on it; one JSON document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from imagesmith.core import ImageState, InstanceState, ResourceKind

# The images a new world has, oldest first: (id, name, owner). The last is a stranger's with a tempting name.
SOURCE_IMAGES = (
    ("image-base-1", "base-20260101", "vendor"),
    ("image-base-2", "base-20260201", "vendor"),
    ("image-trap", "base-20991231", "stranger"),
)
OWN = "self"
ANY = "*"
UNKNOWN_TYPE = "no.such.type"  # the one instance type this cloud has not


@dataclass
class Timing:
    """For how many seconds of the clock each change takes."""

    boot_s: float = 0.0
    stop_s: float = 0.0
    end_s: float = 0.0
    image_s: float = 0.0


@dataclass
class Fault:
    """What the next `times` calls of a method, or of ANY, raise: a name in errors.py, before or after the effect."""

    method: str
    error: str = "CloudBusy"
    message: str = "the cloud asks for patience"
    after_effect: bool = False
    times: int = 1


@dataclass
class Thing:
    """Anything on the cloud; `then` are its coming states, each with its moment."""

    kind: str
    id: str
    name: str
    tags: dict[str, str]
    created: float
    state: str
    then: list[tuple[float, str]] = field(default_factory=list)
    reason: str = ""
    owner: str = OWN
    public: bool = False
    on: str = ""
    """What it belongs to: a volume or group to its instance's name, a snapshot to its image."""
    user_data: str = ""
    public_key: str = ""
    console: str = ""

    def settle(self, now: float) -> None:
        """Reach the states whose moment has come."""
        while self.then and self.then[0][0] <= now:
            self.state = self.then.pop(0)[1]


@dataclass
class World:
    """All there is on the cloud, and the faults set on it."""

    things: dict[str, Thing] = field(default_factory=dict)
    timing: Timing = field(default_factory=Timing)
    faults: list[Fault] = field(default_factory=list)
    doomed: dict[str, str] = field(default_factory=dict)
    blind_looks: int = 0
    calls: dict[str, int] = field(default_factory=dict)
    made: int = 0

    @classmethod
    def from_json(cls, text: str) -> World:
        """The world as it was written."""
        document = json.loads(text)
        document["things"] = {id_: Thing(**thing) for id_, thing in document["things"].items()}
        document["timing"] = Timing(**document["timing"])
        document["faults"] = [Fault(**fault) for fault in document["faults"]]
        return cls(**document)

    @classmethod
    def new(cls) -> World:
        """A world with nothing but source images."""
        image = str(ResourceKind.IMAGE)
        things = {
            id_: Thing(image, id_, name, {}, float(age), ImageState.AVAILABLE, owner=owner, public=True)
            for age, (id_, name, owner) in enumerate(SOURCE_IMAGES)
        }
        return cls(things=things)

    def add(self, kind: ResourceKind, name: str, *, tags: Mapping[str, str], now: float, **more: Any) -> Thing:
        """A new thing with an id of its own."""
        self.made += 1
        thing = Thing(
            str(kind),
            f"{kind}-{self.made:04d}",
            name,
            dict(tags),
            now,
            more.pop("state", "available"),
            **more,
        )
        self.things[thing.id] = thing
        return thing

    def of_kind(self, kind: ResourceKind) -> list[Thing]:
        """All things of a kind."""
        return [thing for thing in self.things.values() if thing.kind == kind]

    def named(self, kind: ResourceKind, name: str) -> Thing | None:
        """Our own thing of that kind and name."""
        return next((t for t in self.of_kind(kind) if t.name == name and t.owner == OWN), None)

    def settle(self, now: float) -> None:
        """Let everything reach the state of the moment; what ended takes its volumes along."""
        for thing in self.things.values():
            thing.settle(now)
        for instance in self.of_kind(ResourceKind.INSTANCE):
            if instance.state == InstanceState.GONE:
                for volume in self.of_kind(ResourceKind.VOLUME):
                    if volume.on == instance.id:
                        del self.things[volume.id]
