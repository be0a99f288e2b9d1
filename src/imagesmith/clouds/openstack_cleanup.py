"""Finding what is ours on OpenStack, and ending it in the order OpenStack allows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from imagesmith.clouds.openstack_api import Api
from imagesmith.clouds.openstack_errors import status_of
from imagesmith.clouds.openstack_network import Network
from imagesmith.clouds.openstack_words import BUILD_PROPERTY, PREFIX, TAG_NAME, image_resource, server_resource
from imagesmith.core import TAG_BUILD, Resource, ResourceKind
from imagesmith.errors import ImagesmithError, Transient

# The build's id at the start of a name of ours; what it looks like is `plan.new_build_id`'s business.
_BUILD = re.compile(rf"^{PREFIX}(?P<build>\d{{8}}-\d{{6}}-[0-9a-f]+)-")
# States of a volume's snapshot in which Cinder takes no call to delete it.
_AT_WORK = ("creating", "deleting")


class Inventory:
    """What is ours in one project: by metadata, property or description, and key pairs, which bear nothing, by name."""

    def __init__(self, api: Api, network: Callable[[], Network]) -> None:
        self._api = api
        self._network = network

    def find(self, build_id: str | None) -> list[Resource]:
        """Everything of one build, or of all."""
        servers = list(self._servers(build_id))
        instances = [server_resource(server) for server in servers]
        beside = [*self._network().groups(), *self._network().floating_ips(instances)]
        found = [
            *instances,
            *self._key_pairs([*instances, *beside]),
            *beside,
            *(volume for server in servers for volume in _volumes(server)),
            *self._images(build_id),
        ]
        return [each for each in found if each.build_id and build_id in (None, each.build_id)]

    def _servers(self, build_id: str | None) -> Iterator[Mapping[str, Any]]:
        # Nova takes the name as a regular expression.
        params = {"name": f"^{PREFIX}{build_id}-" if build_id else f"^{PREFIX}"}
        tried = "list instances of ours"
        for server in self._api.pages(tried, "/servers/detail", "servers", params=params):
            if BUILD_PROPERTY in (server.get("metadata") or {}):
                yield server

    def _key_pairs(self, others: Iterable[Resource]) -> Iterator[Resource]:
        tags_by_name = {other.name: other.tags for other in others}
        for entry in self._api.pages("list key pairs of ours", "/os-keypairs", "keypairs"):
            name = str(entry["keypair"]["name"])
            tags = dict(tags_by_name.get(name, {}))
            if not tags and (match := _BUILD.match(name)):
                tags = {TAG_BUILD: match["build"]}
            if name.startswith(PREFIX) and tags:
                yield Resource(ResourceKind.KEY_PAIR, name, name=name, tags=tags)

    def _images(self, build_id: str | None) -> Iterator[Resource]:
        params = {"owner": self._api.project_id()}
        if build_id:
            params[BUILD_PROPERTY] = build_id
        for document in self._api.pages("list images of ours", "/images", "images", service="image", params=params):
            image = image_resource(document)
            # A snapshot inherits the properties of its source: one that somebody took of our image is not ours.
            if image.build_id and image.tags.get(TAG_NAME) == image.name:
                yield image
                yield from _snapshots(document)


def _volumes(server: Mapping[str, Any]) -> Iterator[Resource]:
    tags = server_resource(server).tags
    for volume in server.get("os-extended-volumes:volumes_attached") or []:
        yield Resource(ResourceKind.VOLUME, str(volume["id"]), name=str(server.get("name") or ""), tags=tags)


def snapshot_ids(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The volume snapshots behind an image of a server that booted from a volume."""
    mapping = document.get("block_device_mapping")
    try:
        disks = json.loads(mapping) if isinstance(mapping, str) else mapping or []
    except ValueError:
        return ()
    return tuple(str(disk["snapshot_id"]) for disk in disks if disk.get("snapshot_id"))


def _snapshots(document: Mapping[str, Any]) -> Iterator[Resource]:
    image = image_resource(document)
    for snapshot_id in snapshot_ids(document):
        yield Resource(ResourceKind.SNAPSHOT, snapshot_id, name=image.name, tags=image.tags, created=image.created)


class Deletion:
    """One round of ending things; `left` are those not yet gone, `failures` what the cloud refused."""

    def __init__(self, api: Api, network: Callable[[], Network]) -> None:
        self._api = api
        self._network = network
        self.left: list[Resource] = []
        self.failures: list[ImagesmithError] = []

    def run(self, resources: Iterable[Resource]) -> list[Resource]:
        """Ask for the end of all that can end now; a refusal keeps nothing else alive, it is raised last."""
        by_kind: dict[ResourceKind, list[Resource]] = {kind: [] for kind in ResourceKind}
        for resource in resources:
            by_kind[resource.kind].append(resource)
        for instance in by_kind[ResourceKind.INSTANCE]:
            self._end_instance(instance)
        for address in by_kind[ResourceKind.FLOATING_IP]:
            self._try(address, partial(self._network().delete, address))
        for pair in by_kind[ResourceKind.KEY_PAIR]:
            self._delete(pair, f"/os-keypairs/{pair.id}")
        self._end_images(by_kind[ResourceKind.IMAGE], by_kind[ResourceKind.SNAPSHOT])
        self._end_what_hangs_on_instances(by_kind)
        if self.failures:
            raise self.failures[0]
        return self.left

    def _end_what_hangs_on_instances(self, by_kind: Mapping[ResourceKind, list[Resource]]) -> None:
        volumes, groups = by_kind[ResourceKind.VOLUME], by_kind[ResourceKind.SECURITY_GROUP]
        if any(resource.kind is ResourceKind.INSTANCE for resource in self.left):
            # They cannot go before the instance; asking would be a call for nothing.
            self.left += [*volumes, *groups]
            return
        for volume in volumes:
            self._delete(volume, f"/volumes/{volume.id}", service="block_storage")
        for group in groups:
            self._try(group, partial(self._network().delete, group))

    def _end_instance(self, instance: Resource) -> None:
        """Delete it; the same call, repeated, tells by a 404 when it is gone."""
        tried = f"delete {instance.kind} {instance.id}"
        ended = self._try(instance, partial(self._api.ask, tried, "DELETE", f"/servers/{instance.id}"))
        if ended is not None:
            self.left.append(instance)

    def _end_images(self, images: Iterable[Resource], snapshots: Iterable[Resource]) -> None:
        """Delete the volume snapshots, then the images they are behind.

        An image stays until all of its snapshots are gone: nothing else names them.
        """
        gone = {snapshot.id: self._end_snapshot(snapshot) for snapshot in snapshots}
        for image in images:
            path = f"/images/{image.id}"
            seen = self._try(image, partial(self._api.get, f"look at image {image.id}", path, service="image"))
            if seen is None:
                continue
            behind = snapshot_ids(seen.document)
            for snapshot_id in behind:
                if snapshot_id not in gone:
                    snapshot = Resource(ResourceKind.SNAPSHOT, snapshot_id, name=image.name, tags=image.tags)
                    gone[snapshot_id] = self._end_snapshot(snapshot)
            if all(gone[snapshot_id] for snapshot_id in behind):
                self._delete(image, path, service="image")
            else:
                self.left.append(image)

    def _end_snapshot(self, snapshot: Resource) -> bool:
        """Whether it is gone; Cinder deletes it after its answer, if at all."""
        path = f"/snapshots/{snapshot.id}"
        tried = f"look at {snapshot.kind} {snapshot.id}"
        seen = self._try(snapshot, partial(self._api.get, tried, path, service="block_storage"))
        if seen is not None:
            at_work = seen.document["snapshot"]["status"] in _AT_WORK
            if at_work or self._delete(snapshot, path, service="block_storage") is not None:
                self.left.append(snapshot)
        return snapshot not in self.left

    def _delete(self, resource: Resource, path: str, *, service: str = "compute") -> Any:
        """The answer; None for a thing that is gone, or that the cloud does not let go."""
        tried = f"delete {resource.kind} {resource.id}"
        return self._try(resource, partial(self._api.ask, tried, "DELETE", path, service=service))

    def _try(self, resource: Resource, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except Transient:
            raise
        except ImagesmithError as error:
            if status_of(error) == 404:
                return None
            self.left.append(resource)
            # 409, and 400 of Nova's own groups: something else still hangs on it.
            in_use = status_of(error) == 409 or (status_of(error) == 400 and "in use" in str(error).lower())
            if not in_use:
                self.failures.append(error)
            return None
