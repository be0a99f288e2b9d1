"""The words of the system as types, and the port every cloud implements.

A driver (`clouds/*.py`) is synchronous and makes one call or a few per method: it never sleeps and never polls.
Waiting is done above it, in `waiting.py`, so that one poll can serve many builds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Protocol


class TargetState(StrEnum):
    """How far one cloud's part of a build is."""

    SUBMITTED = "submitted"
    LAUNCHING = "launching"
    CUSTOMIZING = "customizing"
    SAVING = "saving"
    VERIFYING = "verifying"
    SUCCESSFUL = "successful"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """True for the three states a target never leaves by itself."""
        return self in (TargetState.SUCCESSFUL, TargetState.FAILED, TargetState.CANCELLED)


class ResourceKind(StrEnum):
    """What a build makes on a cloud."""

    INSTANCE = "instance"
    KEY_PAIR = "key_pair"
    SECURITY_GROUP = "security_group"
    FLOATING_IP = "floating_ip"
    VOLUME = "volume"
    SNAPSHOT = "snapshot"
    IMAGE = "image"


class InstanceState(StrEnum):
    """An instance's state in EC2's words; drivers translate into them."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    GONE = "gone"
    FAILED = "failed"


class ImageState(StrEnum):
    """An image's state while and after it is saved."""

    PENDING = "pending"
    AVAILABLE = "available"
    GONE = "gone"
    FAILED = "failed"


@dataclass(frozen=True)
class SourceImage:
    """The image a target starts from, as found on its cloud.

    `details` is what the driver wants to be told again in a LaunchRequest, so that it need not ask for it twice.
    """

    id: str
    name: str
    created: str = ""
    details: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Instance:
    """One look at an instance; `reason` is the cloud's own words for a failure, `address` is where SSH answers.

    `known` is False where the cloud has never heard of it, which it may say of one it has just made.
    """

    id: str
    state: InstanceState
    address: str = ""
    reason: str = ""
    known: bool = True


@dataclass(frozen=True)
class Image:
    """One look at an image; `snapshot_ids` are the disks behind it, where there are such; `known` as of instances.

    `tags` are those it bears, where a look tells them.
    """

    id: str
    state: ImageState
    name: str = ""
    reason: str = ""
    snapshot_ids: tuple[str, ...] = ()
    known: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)
    public: bool = False


@dataclass(frozen=True)
class Resource:
    """A thing on a cloud that carries our tags; `state` is the cloud's own word, for people.

    `created` is ISO 8601 in UTC where the cloud tells it; `tags` are all the thing's tags.
    """

    kind: ResourceKind
    id: str
    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    created: str = ""
    state: str = ""

    @property
    def build_id(self) -> str:
        """The build that made it, from its tag."""
        return self.tags.get(TAG_BUILD, "")


# The tags every resource carries, on clouds whose resources can. A janitor without a catalog goes by them.
TAG_BUILD = "imagesmith:build"
TAG_CLOUD = "imagesmith:cloud"
TAG_GENERATOR = "imagesmith:generator"
TAG_VERSION = "imagesmith:version"
TAG_SCRIPT = "imagesmith:script-sha256"
# The image it was made from, its parent where that is one of ours.
TAG_SOURCE = "imagesmith:source-image"
# What is inside an image: its inventory's digest.
TAG_DIGEST = "imagesmith:digest"
# Which deployment made it: two that share an account never touch each other's.
TAG_DEPLOYMENT = "imagesmith:deployment"

# The reason of a look at something the cloud has never heard of.
UNKNOWN = "the cloud does not know it"

# In front of a cloud's name: the key of a run's conf that carries the password the cloud asks for.
PASSWORD_PREFIX = "password_"
# In front of what such a password was exchanged for (sealing.py).
SEALED_PREFIX = "sealed.1."


@dataclass(frozen=True)
class ImageQuery:
    """A source image by `id`, or else the newest that fits the rest.

    `name` may hold `*` for anything; `properties` are those of clouds whose images have such (OpenStack).
    """

    id: str = ""
    name: str = ""
    owner: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.id:
            return self.id
        words = [self.name] if self.name else []
        words += [f"{key}={value}" for key, value in self.properties.items()]
        return ", ".join(words) + (f" of owner {self.owner}" if self.owner else "")


@dataclass(frozen=True)
class OfferedImage:
    """An image to start from, as the cloud lists it: `id` is what a generator may name, `own` one of this account's."""

    id: str
    name: str
    created: str
    own: bool


def newest_of(offers: Iterable[OfferedImage], limit: int) -> list[OfferedImage]:
    """So many of them at most: the account's own first, the newest of each before the others."""
    newest = sorted(offers, key=lambda each: (each.created, each.id), reverse=True)
    return sorted(newest, key=lambda each: not each.own)[:limit]


@dataclass(frozen=True)
class LaunchRequest:
    """All a driver needs to start one instance of a target.

    `name` is unique to this attempt and legal on every cloud: the instance, key pair and security group bear it,
    and it is the client token where the cloud has one, so that the same request can never make two.
    `lease_s` is for how long it may be needed, for clouds that end instances by themselves.
    `public_key` is one line of OpenSSH; `user_data` is text for cloud-init, plain (the driver encodes).
    `source_details` are those of the SourceImage, if at hand; `retried` tells that an earlier try may have launched it.
    """

    name: str
    build_id: str
    source_image_id: str
    instance_type: str
    public_key: str
    user_data: str = field(repr=False)
    tags: Mapping[str, str]
    disk_gib: int | None = None
    lease_s: float = 0.0
    source_details: Mapping[str, Any] = field(default_factory=dict, repr=False)
    retried: bool = False


@dataclass(frozen=True)
class AddressRequest:
    """All a driver needs to give an instance an address that SSH reaches.

    `name` and `tags` are those of the launch; `known_ids` are the floating IPs the catalog has of this target.
    """

    name: str
    build_id: str
    instance_id: str
    tags: Mapping[str, str]
    known_ids: Sequence[str] = ()


@dataclass(frozen=True)
class SaveRequest:
    """All a driver needs to save an instance as an image named `name`.

    `public` is for clouds that must know before the save; `retried` tells that an earlier try may have begun it.
    """

    name: str
    build_id: str
    instance_id: str
    description: str
    tags: Mapping[str, str]
    public: bool = False
    retried: bool = False


class Ledger(Protocol):
    """Where a driver writes what it is about to make and what it has made: rule 1, intent before effect."""

    def intend(self, kind: ResourceKind, name: str) -> None:
        """Before the call: a row for the thing, without its id. Doing it twice is fine."""

    def made(self, kind: ResourceKind, name: str, resource_id: str) -> None:
        """Right after the call: the id the cloud gave."""

    def gone(self, kind: ResourceKind, resource_id: str) -> None:
        """The cloud says the thing is no more."""

    def shared(self, kind: ResourceKind, name: str) -> str:
        """The id of the thing of that name that a launch on this cloud has used and that is still there, or ""."""


@dataclass(frozen=True)
class Traits:
    """What a cloud type can do, where types differ and steps must know.

    `host_key_injection`: user data reaches the instance before sshd starts. `powers_off`: a guest that powers
    itself off is seen as `stopped` and can be saved then. `client_token`: the cloud itself makes launches idempotent.
    `settle_s`: for how long a made thing may be missing from the cloud's own listings. `marks_each`: every thing
    bears the tags itself, so that what is left can be looked for when an instance has ended. `ends_many`: one call
    ends the instances of many builds.
    """

    host_key_injection: bool
    powers_off: bool
    client_token: bool
    settle_s: float
    marks_each: bool = False
    ends_many: bool = False


class Budget:
    """How many calls an account may make a second: as many as it likes, unless whoever opens it says otherwise."""

    def spend(self, tried: str) -> None:
        """Before each call: return when it may be made; raises CloudBusy when that will be long."""

    def overspent(self) -> None:
        """The cloud says that there were too many calls."""


class Cloud(ABC):
    """One account on one cloud. Every method may raise CredentialsRefused, CloudBusy or another CloudError.

    Whoever opens it may set its `budget`, which the driver asks before each of its calls.
    """

    type: ClassVar[str]
    traits: ClassVar[Traits]

    def __init__(self, name: str) -> None:
        self.name = name
        self.budget = Budget()

    @abstractmethod
    def identity(self) -> str:
        """Whom the cloud takes us for, by a read-only call: the proof that the credentials work."""

    @abstractmethod
    def find_source_image(self, query: ImageQuery) -> SourceImage:
        """The newest image that matches and can be launched; raises SourceImageNotFound."""

    @abstractmethod
    def list_images(self, search: str, *, limit: int) -> list[OfferedImage]:
        """Images to start from whose name holds the text, the account's own and those the cloud offers to all.

        The newest of them, so many at most. A cloud with very many to offer wants a text first.
        """

    def list_instance_types(self) -> list[str]:
        """The names of the instance types, in the cloud's own order; none where a cloud has no such list."""
        return []

    @abstractmethod
    def find_image_named(self, name: str) -> Resource | None:
        """Our own image of exactly that name, whatever its state, or None."""

    def find_images_named(self, names: Sequence[str]) -> dict[str, Resource | None]:
        """Our own image of each name, or None, in as few calls as the cloud allows."""
        return {name: self.find_image_named(name) for name in names}

    @abstractmethod
    def launch(self, request: LaunchRequest, ledger: Ledger) -> str:
        """Make what the instance needs and the instance, and return the instance's id without waiting for it.

        Adopts whatever of `request.name` is there already. Raises LaunchRefused, QuotaExceeded, DefinitionError.
        """

    @abstractmethod
    def observe_instances(self, instance_ids: Sequence[str]) -> dict[str, Instance]:
        """One look at many instances in as few calls as the cloud allows; one it does not know is GONE."""

    def give_address(self, request: AddressRequest, ledger: Ledger) -> bool:
        """True when a running instance without an address was given one of its own, or an earlier try's was found.

        Most clouds give one by themselves and have nothing to do here. Raises QuotaExceeded, DefinitionError.
        """
        return False

    @abstractmethod
    def console_output(self, instance_id: str) -> str:
        """What the instance printed on its console so far; "" where there is none yet."""

    @abstractmethod
    def stop(self, instance_id: str) -> None:
        """Ask for a stop without waiting; a stopped instance is fine."""

    @abstractmethod
    def save(self, request: SaveRequest, ledger: Ledger) -> str:
        """Start saving the instance as an image and return the image's id without waiting.

        Adopts the image of that name and build. Raises NameTaken, InstanceLost, SaveFailed.
        """

    @abstractmethod
    def observe_images(self, image_ids: Sequence[str]) -> dict[str, Image]:
        """One look at many images in as few calls as the cloud allows; one it does not know is GONE.

        Raises SaveInterrupted where a save was cut off before the cloud began it.
        """

    @abstractmethod
    def finish_image(self, image_id: str, *, tags: Mapping[str, str], public: bool, seen: Image | None = None) -> None:
        """What can only be done to an available image: tags on its snapshots, permission to launch.

        `seen` is the look that showed it available, if there was one.
        """

    def end_credential(self) -> str:
        """Take back what a password was exchanged for; "" when it is gone, else why it stays until it expires."""
        return ""

    @abstractmethod
    def find_resources(self, build_id: str | None = None) -> list[Resource]:
        """Everything on this account with our tag, of one build or of all; instances already ended are left out."""

    def find_left(self, build_ids: Sequence[str]) -> list[Resource]:
        """What these builds have on this cloud, found by tags, in as few calls as the cloud allows.

        It may lack names and hold instances that have ended: it is for those who know what has.
        """
        if len(build_ids) == 1:
            found = self.find_resources(build_ids[0])
        else:
            found = [each for each in self.find_resources() if each.build_id in build_ids]
        return [each for each in found if each.tags.get(TAG_CLOUD, self.name) == self.name]

    def find_shared(self, names: Sequence[str]) -> list[Resource]:
        """The things of these names that builds of this deployment use together; most clouds have none."""
        return []

    def find_images(self) -> list[Resource]:
        """Every image of ours on this account with all its tags, for a catalog that has lost them."""
        return [each for each in self.find_resources() if each.kind is ResourceKind.IMAGE]

    @abstractmethod
    def delete(self, resources: Iterable[Resource]) -> list[Resource]:
        """Ask for the end of each thing that can be ended now and return those that are not yet gone.

        Idempotent: what the cloud does not know is gone. Things that hang on others (a security group while its
        instance ends) stay in the answer until a later call finds them free. An image goes with its snapshots.
        """
