"""Finding what bears our tags on EC2, and ending it in the order EC2 allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from imagesmith.clouds.ec2_errors import code_of
from imagesmith.clouds.ec2_words import (
    ENDED,
    KINDS,
    TAG_TARGET,
    instance_documents,
    resource_of,
    resources_of,
    snapshots_of,
    target_of,
    volumes_taken_along,
)
from imagesmith.core import TAG_BUILD, TAG_CLOUD, TAG_DEPLOYMENT, Resource, ResourceKind
from imagesmith.errors import ImagesmithError, Transient

CHUNK = 100

# Codes that say the thing is no more, and codes that say something else still hangs on it.
_GONE = frozenset(
    {
        "InvalidInstanceID.NotFound",
        "InvalidAMIID.NotFound",
        "InvalidAMIID.Unavailable",
        "InvalidSnapshot.NotFound",
        "InvalidVolume.NotFound",
        "InvalidGroup.NotFound",
        "InvalidKeyPair.NotFound",
    }
)
_NOT_YET = frozenset(
    {
        "DependencyViolation",
        "InvalidGroup.InUse",
        "InvalidSnapshot.InUse",
        "VolumeInUse",
        "IncorrectState",
        "IncorrectInstanceState",
    }
)


# What was made so lately may not be known yet where it is to be deleted: only later "not found" is the truth.
SETTLE_S = 30.0


class Ask(Protocol):
    """One call to EC2: what it is for in words, the client's method, its arguments; raises our errors."""

    def __call__(self, tried: str, method: str, **arguments: Any) -> dict[str, Any]:
        """The cloud's reply."""


def refusal(error: ImagesmithError) -> str:
    """EC2's code behind one of our errors."""
    return code_of(error.__cause__) if error.__cause__ else ""


def chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    """The ids, each once, in lists short enough for one call."""
    unique = list(dict.fromkeys(ids))
    for start in range(0, len(unique), CHUNK):
        yield unique[start : start + CHUNK]


def pages(ask: Ask, tried: str, *, method: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
    """All items under `key` of a reply that may come in pages."""
    while True:
        reply = ask(tried, method, **arguments)
        yield from reply.get(key, [])
        if not reply.get("NextToken"):
            return
        arguments["NextToken"] = reply["NextToken"]


class Inventory:
    """What bears our tags on one account."""

    def __init__(self, ask: Ask, cloud: str) -> None:
        self._ask = ask
        self._cloud = cloud
        # Instances seen terminated: EC2 shows their tags for an hour yet, and they need no second look.
        self._ended: set[str] = set()
        # Volume → the instance that takes it along when it ends.
        self._taken_along: dict[str, str] = {}

    def ended(self, instance_id: str) -> None:
        """Remember that the instance is terminated."""
        self._ended.add(instance_id)

    def went_with_its_instance(self, volume_id: str) -> bool:
        """Whether the volume was on an instance that took it along, and that has ended."""
        return self._taken_along.get(volume_id) in self._ended

    def of_build(self, build_id: str) -> list[Resource]:
        """All of one build: one call lists every kind, one reads their tags, one tells which instances have ended."""
        tried = f"list what build {build_id} made"
        named = self._tag_rows(tried, {"Name": f"tag:{TAG_BUILD}", "Values": [build_id]})
        ids = [row["ResourceId"] for row in named if row["ResourceId"] not in self._ended]
        # The first answer holds only the tag it was asked for.
        rows = [row for some in chunks(ids) for row in self._tag_rows(tried, {"Name": "resource-id", "Values": some})]
        found = resources_of(rows)
        instances = [resource.id for resource in found if resource.kind is ResourceKind.INSTANCE]
        others = [resource for resource in found if resource.kind is not ResourceKind.INSTANCE]
        return [*self._instances("instance-id", instances), *others]

    def left_of(self, build_ids: Sequence[str]) -> list[Resource]:
        """What these builds have on this cloud: kinds, ids and builds only; instances that have ended are in it."""
        targets = {target_of(self._cloud, build_id): build_id for build_id in build_ids}
        found = []
        for some in chunks(targets):
            rows = self._tag_rows("list what builds have left", {"Name": f"tag:{TAG_TARGET}", "Values": some})
            for row in rows:
                tags = {TAG_BUILD: targets[row["Value"]], TAG_CLOUD: self._cloud}
                if kind := KINDS.get(row["ResourceType"]):
                    found.append(Resource(kind, row["ResourceId"], tags=tags))
        return found

    def groups_named(self, names: Sequence[str]) -> list[Resource]:
        """The security groups of these names."""
        found: list[Resource] = []
        for some in chunks(names):
            documents = pages(
                self._ask,
                f"look for security groups named {', '.join(some)}",
                method="describe_security_groups",
                key="SecurityGroups",
                Filters=[{"Name": "group-name", "Values": some}],
            )
            found += [resource_of(ResourceKind.SECURITY_GROUP, document) for document in documents]
        return found

    def _tag_rows(self, tried: str, wanted: Mapping[str, Any]) -> list[dict[str, str]]:
        return list(pages(self._ask, tried, method="describe_tags", key="Tags", Filters=[wanted]))

    def of_all(self) -> list[Resource]:
        """All of every build, with its state and age."""
        found = self._instances("tag-key", [TAG_BUILD])
        for kind, method, key, more in _LISTINGS:
            documents = pages(
                self._ask,
                f"list every {kind} of ours",
                method=method,
                key=key,
                # What builds use together is of none of them.
                Filters=[{"Name": "tag-key", "Values": [TAG_BUILD, TAG_DEPLOYMENT]}],
                **more,
            )
            found += [resource_of(kind, document) for document in documents]
        return found

    def _instances(self, filter_name: str, values: Sequence[str]) -> list[Resource]:
        found: list[Resource] = []
        for some in chunks(values):
            reservations = pages(
                self._ask,
                "list instances of ours",
                method="describe_instances",
                key="Reservations",
                Filters=[{"Name": filter_name, "Values": some}],
            )
            for document in instance_documents(reservations):
                self._taken_along.update(dict.fromkeys(volumes_taken_along(document), document["InstanceId"]))
                found.append(resource_of(ResourceKind.INSTANCE, document))
        return [instance for instance in found if instance.state not in ENDED]


_LISTINGS: tuple[tuple[ResourceKind, str, str, Mapping[str, Any]], ...] = (
    (ResourceKind.IMAGE, "describe_images", "Images", {"Owners": ["self"]}),
    (ResourceKind.SNAPSHOT, "describe_snapshots", "Snapshots", {"OwnerIds": ["self"]}),
    (ResourceKind.VOLUME, "describe_volumes", "Volumes", {}),
    (ResourceKind.SECURITY_GROUP, "describe_security_groups", "SecurityGroups", {}),
    (ResourceKind.KEY_PAIR, "describe_key_pairs", "KeyPairs", {}),
)


def _is_new(resource: Resource) -> bool:
    if not resource.created:
        return False
    age = datetime.now(UTC) - datetime.fromisoformat(resource.created)
    return age.total_seconds() < SETTLE_S


class Deletion:
    """One round of ending things; `left` are those not yet gone, `failures` what the cloud refused."""

    def __init__(self, ask: Ask, inventory: Inventory) -> None:
        self._ask = ask
        self._inventory = inventory
        self.left: list[Resource] = []
        self.failures: list[ImagesmithError] = []

    def run(self, resources: Iterable[Resource]) -> list[Resource]:
        """Ask for the end of all that can end now; a refusal keeps nothing else alive, it is raised last."""
        by_kind: dict[ResourceKind, list[Resource]] = {kind: [] for kind in ResourceKind}
        for resource in resources:
            by_kind[resource.kind].append(resource)
        self._end_instances(by_kind[ResourceKind.INSTANCE])
        self._each(by_kind[ResourceKind.KEY_PAIR], "delete_key_pair", "KeyPairId")
        deleted = self._end_images(by_kind[ResourceKind.IMAGE])
        snapshots = [snapshot for snapshot in by_kind[ResourceKind.SNAPSHOT] if snapshot.id not in deleted]
        self._each(snapshots, "delete_snapshot", "SnapshotId")
        volumes = [v for v in by_kind[ResourceKind.VOLUME] if not self._inventory.went_with_its_instance(v.id)]
        groups = by_kind[ResourceKind.SECURITY_GROUP]
        if any(resource.kind is ResourceKind.INSTANCE for resource in self.left):
            # They cannot go before the instance; asking would be a call for nothing.
            self.left += [*volumes, *groups]
        else:
            self._each(volumes, "delete_volume", "VolumeId")
            self._each(groups, "delete_security_group", "GroupId")
        if self.failures:
            raise self.failures[0]
        return self.left

    def _try(self, resource: Resource, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except Transient:
            raise
        except ImagesmithError as error:
            code = refusal(error)
            if code in _GONE and not _is_new(resource):
                return None
            self.left.append(resource)
            if code not in _NOT_YET | _GONE:
                self.failures.append(error)
            return None

    def _each(self, resources: Iterable[Resource], method: str, key: str) -> None:
        for resource in resources:
            tried = f"delete {resource.kind} {resource.id}"
            self._try(resource, partial(self._ask, tried, method, **{key: resource.id}))

    def _end_instances(self, instances: list[Resource]) -> None:
        """Terminate; the same call tells how far it is, so that no other is needed to wait."""
        for some in chunks(instance.id for instance in instances):
            changes: dict[str, str] | None = None
            try:
                changes = self._terminate(some)
            except Transient:
                raise
            except ImagesmithError:
                # One that is unknown or protected spoils the call for all: ask for each alone.
                changes = None
            for instance in (i for i in instances if i.id in some):
                own = changes if changes is not None else self._try(instance, partial(self._terminate, [instance.id]))
                self._note(instance, own)

    def _terminate(self, ids: Sequence[str]) -> dict[str, str]:
        reply = self._ask(f"terminate {', '.join(ids)}", "terminate_instances", InstanceIds=list(ids))
        return {i["InstanceId"]: i["CurrentState"]["Name"] for i in reply.get("TerminatingInstances", [])}

    def _note(self, instance: Resource, states: Mapping[str, str] | None) -> None:
        if states is None:
            return
        if states.get(instance.id) in ENDED:
            self._inventory.ended(instance.id)
        else:
            self.left.append(instance)

    def _end_images(self, images: list[Resource]) -> set[str]:
        """Deregister the images and delete the snapshots behind them; returns the ids of those snapshots."""
        behind = self._snapshots_behind([image.id for image in images])
        for image in images:
            tried = f"deregister image {image.id}"
            self._try(image, partial(self._ask, tried, "deregister_image", ImageId=image.id))
        snapshots = [Resource(ResourceKind.SNAPSHOT, id_) for id_ in behind]
        self._each(snapshots, "delete_snapshot", "SnapshotId")
        return set(behind)

    def _snapshots_behind(self, image_ids: Sequence[str]) -> list[str]:
        found: list[str] = []
        for some in chunks(image_ids):
            documents = pages(
                self._ask,
                f"look up the snapshots of {', '.join(some)}",
                method="describe_images",
                key="Images",
                Owners=["self"],
                Filters=[{"Name": "image-id", "Values": some}],
            )
            found += [snapshot for document in documents for snapshot in snapshots_of(document)]
        return found
