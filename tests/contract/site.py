"""What a place is on which the contract of a driver is tested."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from imagesmith.core import (
    TAG_GENERATOR,
    Cloud,
    Image,
    ImageQuery,
    ImageState,
    Instance,
    InstanceState,
    LaunchRequest,
    Resource,
    ResourceKind,
    SaveRequest,
)

LOOKS = 400
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDmb8A2uyJ2cvoqzpVa3lOnBpHLExB9f9OXyqXwRkjXQ contract"


@dataclass
class Lines:
    """A ledger that keeps its lines."""

    lines: list[tuple[str, ResourceKind, str, str]] = field(default_factory=list)

    def intend(self, kind: ResourceKind, name: str) -> None:
        self.lines.append(("intend", kind, name, ""))

    def made(self, kind: ResourceKind, name: str, resource_id: str) -> None:
        self.lines.append(("made", kind, name, resource_id))

    def gone(self, kind: ResourceKind, resource_id: str) -> None:
        self.lines.append(("gone", kind, "", resource_id))

    def shared(self, kind: ResourceKind, name: str) -> str:
        return ""


class Site(ABC):
    """An implementation with what a test must know of it and do to it."""

    name = "site"
    instance_type = "t3.small"
    source: ImageQuery
    by_name: ImageQuery
    newest_id: str
    other_owner: ImageQuery
    unknown_id: ImageQuery
    unknown_name: ImageQuery
    unknown_instance: str
    # An image that somebody else has published and that a name alone must not find.
    strangers: ImageQuery
    kinds_of_a_launch = frozenset(
        {ResourceKind.INSTANCE, ResourceKind.KEY_PAIR, ResourceKind.SECURITY_GROUP, ResourceKind.VOLUME}
    )
    kinds_of_an_image = frozenset({ResourceKind.IMAGE, ResourceKind.SNAPSHOT})
    # What the builds of a deployment use together; it is of no build.
    kinds_shared: frozenset[ResourceKind] = frozenset()
    # Clouds on which nothing but a save stops an instance, and where that ends it; the save is a process of its own.
    only_a_save_stops = False
    # What a booted machine has printed on its console.
    console_words = "SSH HOST KEY"
    # Whether the cloud can say that there were too many calls.
    says_too_many = True
    # Whether the cloud itself can say of a deleted instance that it was there.
    remembers_the_ended = True

    def __init__(self) -> None:
        self.ledger = Lines()
        self.builds: list[str] = []

    @abstractmethod
    def cloud(self) -> Cloud:
        """A new driver, as another process would have it."""

    @abstractmethod
    def stranger(self) -> Cloud:
        """A driver with wrong credentials."""

    @abstractmethod
    def losing(self, method: str) -> Cloud:
        """A driver that does not hear the answer to the call that makes, or ends, the thing in question."""

    @abstractmethod
    def pass_time(self) -> None:
        """Let what has begun come a little nearer to its end."""

    def pass_a_second(self) -> None:
        """Clouds write down moments in whole seconds."""
        self.pass_time()

    @abstractmethod
    def be_busy(self) -> None:
        """Let the next call, whatever it is, be refused for being too many."""

    @abstractmethod
    def doom_next_instance(self) -> str:
        """Let the next instance fail while it starts; returns words of the reason that the cloud will give."""

    def publisher(self) -> Cloud:
        """A driver that may make an image public."""
        return self.cloud()

    @abstractmethod
    def is_public(self, image_id: str) -> bool:
        """Whether everybody may launch the image, asked past the driver."""

    def fresh(self, what: str) -> str:
        """A build id or name that nobody has."""
        name = f"{what}-{uuid.uuid4().hex[:12]}"
        self.builds.append(name)
        return name

    def launch_request(self, *, build_id: str = "", attempt: int = 1, **changes: Any) -> LaunchRequest:
        build_id = build_id or self.fresh("build")
        values: dict[str, Any] = {
            "name": f"imagesmith-{build_id}-{attempt}",
            "build_id": build_id,
            "source_image_id": self.source.id,
            "instance_type": self.instance_type,
            "public_key": PUBLIC_KEY,
            "user_data": "#cloud-config\n",
            "tags": {TAG_GENERATOR: "dstat", "team": "physics"},
        }
        return LaunchRequest(**{**values, **changes})

    def save_request(self, instance_id: str, *, build_id: str = "", name: str = "") -> SaveRequest:
        build_id = build_id or self.fresh("build")
        name = name or f"image-{build_id}"
        tags = {TAG_GENERATOR: "dstat"}
        return SaveRequest(name, build_id, instance_id=instance_id, description="dstat", tags=tags)

    def running(self, *, build_id: str = "") -> str:
        instance_id = self.cloud().launch(self.launch_request(build_id=build_id), self.ledger)
        self.until_instance(instance_id, InstanceState.RUNNING)
        return instance_id

    def stopped(self, *, build_id: str = "") -> str:
        instance_id = self.running(build_id=build_id)
        self.cloud().stop(instance_id)
        self.until_instance(instance_id, InstanceState.STOPPED)
        return instance_id

    def until_instance(self, instance_id: str, state: InstanceState) -> Instance:
        cloud = self.cloud()
        return self._until(lambda: cloud.observe_instances([instance_id])[instance_id], state)

    def until_image(self, image_id: str, state: ImageState) -> Image:
        cloud = self.cloud()
        return self._until(lambda: cloud.observe_images([image_id])[image_id], state)

    def until_console(self, instance_id: str, text: str) -> None:
        cloud = self.cloud()
        for _ in range(LOOKS):
            if text in cloud.console_output(instance_id):
                return
            self.pass_time()
        raise AssertionError(f"{instance_id} never printed {text}")

    def _until(self, look: Callable[[], Any], state: str) -> Any:
        for _ in range(LOOKS):
            seen = look()
            if seen.state == state:
                return seen
            self.pass_time()
        raise AssertionError(f"{seen} never became {state}")

    def delete_all(
        self, build_id: str, *, order: Callable[[list[Resource]], list[Resource]] = lambda resources: resources
    ) -> None:
        cloud = self.cloud()
        left = order(cloud.find_resources(build_id))
        for _ in range(LOOKS):
            if not left:
                return
            left = cloud.delete(left)
            self.pass_time()
        raise AssertionError(f"never gone: {left}")

    @abstractmethod
    def close(self) -> None:
        """Nothing of the test is left on the site."""
