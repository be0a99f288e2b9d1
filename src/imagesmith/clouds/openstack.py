"""OpenStack from Havana on, through a ready connection of openstacksdk.

Calls of one build, waits and logins aside: 2 to look (source image, name), 6 to launch (flavors, networks, key pair,
group, its rule, server), 4 for a floating IP, 2 to save, 1 to finish the image, and to end it server, key pair, group,
address and the listings that prove that nothing is left.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from imagesmith.clouds.meanings import Meaning
from imagesmith.clouds.openstack_api import Answer, Api
from imagesmith.clouds.openstack_cleanup import Deletion, Inventory, snapshot_ids
from imagesmith.clouds.openstack_errors import LOST, TO_PUBLISH, status_of
from imagesmith.clouds.openstack_launch import Launching
from imagesmith.clouds.openstack_network import Network, Neutron, NovaNetwork
from imagesmith.clouds.openstack_words import (
    PREFIX,
    STALE_PROPERTIES,
    OpenStackSettings,
    all_tags,
    image_of,
    image_resource,
    instance_of,
    properties_of,
    tags_of,
    task_state,
)
from imagesmith.core import (
    TAG_BUILD,
    TAG_CLOUD,
    UNKNOWN,
    AddressRequest,
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
from imagesmith.errors import CloudBusy, ImagesmithError, NameTaken, SaveFailed, SourceImageNotFound

CONSOLE_LINES = 200
_SAVING = {
    404: LOST,
    409: Meaning(CloudBusy, "it is tried again"),  # Nova is still at work on the server
    413: Meaning(SaveFailed, "the image is larger than the cloud takes; let the script need less disk"),
}
_UUID = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.I)
_PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


class OpenStackCloud(Cloud):
    """One project in one region.

    `connect` gives the connection, `end_credential` takes back what it logs in with, where that is the build's own;
    whoever gives them has the credentials, the driver never sees them.
    """

    type: ClassVar[str] = "openstack"
    # A call whose connection broke may take effect some seconds later; what is made is listed at once.
    traits: ClassVar[Traits] = Traits(host_key_injection=True, powers_off=True, client_token=False, settle_s=10.0)

    def __init__(
        self,
        name: str,
        connect: Callable[[], Any],
        settings: OpenStackSettings | None = None,
        *,
        end_credential: Callable[[], str] | None = None,
    ) -> None:
        super().__init__(name)
        self._end_credential = end_credential
        self.settings = settings or OpenStackSettings()
        self._api = Api(name, connect, lambda: self.budget)
        self._lock = threading.Lock()
        self._network_api: Network | None = None
        self._inventory = Inventory(self._api, self._network)

    def _network(self) -> Network:
        with self._lock:
            if self._network_api is None:
                kind = Neutron if self._api.has("network") else NovaNetwork
                self._network_api = kind(self._api, self.settings)
            return self._network_api

    def identity(self) -> str:
        """User and project Keystone takes us for."""
        return self._api.whoami()

    def find_source_image(self, query: ImageQuery) -> SourceImage:
        """The image of that id or exact name, or the newest that fits.

        Without an owner those count that the cloud's administrators have published, and the project's own: nobody
        else's image can slip in by its name.
        """
        if query.id:
            document = self._image_by_id_or_name(query.id)
            if document is None:
                raise self._no_source(query, [])
            found = [document]
        else:
            found = list(self._candidates(query))
        usable = [each for each in found if each.get("status") == "active"]
        if not usable:
            raise self._no_source(query, found)
        newest = max(usable, key=lambda each: (str(each.get("created_at")), str(each["id"])))
        return SourceImage(str(newest["id"]), str(newest.get("name") or ""), str(newest.get("created_at") or ""))

    def _image_by_id_or_name(self, wanted: str) -> Mapping[str, Any] | None:
        document = self._image(wanted) if _UUID.fullmatch(wanted) else None
        if document is not None:
            return document
        named = list(self._candidates(ImageQuery(name=wanted)))
        if len(named) > 1:
            ids = ", ".join(str(each["id"]) for each in named)
            raise SourceImageNotFound(
                f"{self.name}: {len(named)} images are named {wanted} ({ids}); write the id of one as source_image of "
                f"{self.name} in the generator"
            )
        return named[0] if named else None

    def _candidates(self, query: ImageQuery) -> Iterator[Mapping[str, Any]]:
        own = self._api.project_id()
        params = dict(query.properties)
        if query.name and not set(query.name) & set("*?["):
            params["name"] = query.name
        tried = f"find source image {query}"
        for each in self._api.pages(tried, "/images", "images", service="image", params=params):
            owner = str(each.get("owner") or "")
            allowed = (
                owner == (own if query.owner == "self" else query.owner)
                if query.owner
                else (owner == own or each.get("visibility") == "public")
            )
            if allowed and (not query.name or fnmatchcase(str(each.get("name") or ""), query.name)):
                yield each

    def list_images(self, search: str, *, limit: int) -> list[OfferedImage]:
        """The project's own and the public ones."""
        own = self._api.project_id()
        found = (
            OfferedImage(
                str(each["id"]),
                str(each.get("name") or ""),
                str(each.get("created_at") or ""),
                each.get("owner") == own,
            )
            for each in self._candidates(ImageQuery())
            if each.get("status") == "active" and search.lower() in str(each.get("name") or "").lower()
        )
        return newest_of(found, limit)

    def list_instance_types(self) -> list[str]:
        """The flavors the project may use."""
        return [str(each["name"]) for each in self._api.pages("list flavors", "/flavors/detail", "flavors")]

    def _no_source(self, query: ImageQuery, documents: Sequence[Mapping[str, Any]]) -> SourceImageNotFound:
        seen = f" (it is {documents[0].get('status')})" if documents else ""
        return SourceImageNotFound(
            f"{self.name}: image {query} not found{seen}; check source_image of {self.name} in the generator"
        )

    def find_image_named(self, name: str) -> Resource | None:
        """Our own image of exactly that name, whatever its state, or None; of several the newest."""
        documents = self._images_named(name)
        return image_resource(documents[-1]) if documents else None

    def _images_named(self, name: str) -> list[Mapping[str, Any]]:
        params = {"name": name, "owner": self._api.project_id()}
        tried = f"look for an image named {name}"
        found = self._api.pages(tried, "/images", "images", service="image", params=params)
        return sorted(
            (each for each in found if each.get("name") == name), key=lambda each: str(each.get("created_at"))
        )

    def launch(self, request: LaunchRequest, ledger: Ledger) -> str:
        """Make key pair, security group and server, each adopted if there; returns the server's id."""
        image = self._image(request.source_image_id)
        if image is None:
            raise self._no_source(ImageQuery(id=request.source_image_id), [])
        return Launching(self._api, self._network(), self.settings).run(request, ledger, image=image)

    def observe_instances(self, instance_ids: Sequence[str]) -> dict[str, Instance]:
        """One look at many servers: one by its id, several by the list of all of ours; an unknown one is GONE."""
        seen = {id_: Instance(id_, InstanceState.GONE, reason=UNKNOWN, known=False) for id_ in instance_ids}
        for server in self._servers(instance_ids):
            seen[str(server["id"])] = instance_of(server, self.settings)
        return seen

    def _servers(self, ids: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        if len(ids) == 1:
            server = self._server(ids[0])
            if server is not None:
                yield server
        elif ids:
            params = {"name": f"^{PREFIX}"}
            found = self._api.pages(f"look at {', '.join(ids)}", "/servers/detail", "servers", params=params)
            yield from (server for server in found if server["id"] in ids)

    def _server(self, server_id: str) -> Mapping[str, Any] | None:
        document = self._unless_unknown(lambda: self._api.get(f"look at {server_id}", f"/servers/{server_id}"))
        return None if document is None else document["server"]

    def _image(self, image_id: str) -> Mapping[str, Any] | None:
        return self._unless_unknown(
            lambda: self._api.get(f"look at image {image_id}", f"/images/{image_id}", service="image")
        )

    def _unless_unknown(self, call: Callable[[], Answer]) -> Mapping[str, Any] | None:
        """The document of an answer, None where the cloud knows no such thing."""
        try:
            return call().document
        except ImagesmithError as error:
            if status_of(error) == 404:
                return None
            raise

    def give_address(self, request: AddressRequest, ledger: Ledger) -> bool:
        """A floating IP of the instance's own, where the settings name a network for them."""
        return bool(self.settings.floating_ip_network) and self._network().give_address(request, ledger)

    def console_output(self, instance_id: str) -> str:
        """The end of what the instance printed; "" where Nova has no console of it (yet)."""
        tried = f"read the console of {instance_id}"
        body = {"os-getConsoleOutput": {"length": CONSOLE_LINES}}
        try:
            answer = self._api.post(tried, f"/servers/{instance_id}/action", body)
        except ImagesmithError as error:
            if status_of(error) in (404, 409, 501):
                return ""
            raise
        return str(answer.document.get("output") or "")

    def stop(self, instance_id: str) -> None:
        """Ask for a stop without waiting; raises InstanceLost for an instance that is no more."""
        try:
            self._api.post(
                f"stop {instance_id}", f"/servers/{instance_id}/action", {"os-stop": None}, special={404: LOST}
            )
        except ImagesmithError as error:
            if status_of(error) != 409:  # it is off, or on its way there
                raise

    def save(self, request: SaveRequest, ledger: Ledger) -> str:
        """Start saving the server and return the image's id; adopts the image of that name and build.

        Glance would take a name twice, so whether it is free is looked up here.
        """
        ledger.intend(ResourceKind.IMAGE, request.name)
        image_id = self._adopted_image(request)
        if not image_id:
            tags = all_tags(self.name, request.build_id, name=request.name, tags=request.tags)
            body = {"createImage": {"name": request.name, "metadata": properties_of(tags)}}
            tried = f"save {request.instance_id} as {request.name}"
            answer = self._api.post(tried, f"/servers/{request.instance_id}/action", body, special=_SAVING)
            # From compute microversion 2.45 on in the body, before in the header.
            image_id = str(answer.document.get("image_id") or answer.headers["Location"].rstrip("/").rpartition("/")[2])
        ledger.made(ResourceKind.IMAGE, request.name, image_id)
        return image_id

    def _adopted_image(self, request: SaveRequest) -> str:
        for document in self._images_named(request.name):
            # Two clouds of a build may be one project: only this target's own image is adopted.
            tags = tags_of(document)
            if (tags.get(TAG_BUILD), tags.get(TAG_CLOUD)) != (request.build_id, self.name):
                raise NameTaken(
                    f"{self.name}: save {request.instance_id} as {request.name}: image {document['id']} has this name; "
                    f"choose another image_name of {self.name} in the generator; nothing is overwritten"
                )
            return str(document["id"])
        return ""

    def observe_images(self, image_ids: Sequence[str]) -> dict[str, Image]:
        """One look at many images; one the cloud does not know is GONE.

        An active image whose server Nova still works on is PENDING: deleted now, the server would take it along.
        """
        seen = {}
        for image_id in image_ids:
            document = self._image(image_id)
            if document is None:
                seen[image_id] = Image(image_id, ImageState.GONE, reason=UNKNOWN, known=False)
                continue
            image = image_of(document)
            if image.state is ImageState.AVAILABLE and self._being_saved(document):
                image = Image(image.id, ImageState.PENDING, name=image.name)
            seen[image_id] = Image(
                image.id, image.state, name=image.name, reason=image.reason, snapshot_ids=snapshot_ids(document)
            )
        return seen

    def _being_saved(self, document: Mapping[str, Any]) -> bool:
        server_id = document.get("instance_uuid")
        server = self._server(str(server_id)) if server_id else None
        return server is not None and task_state(server).startswith("image_")

    def finish_image(self, image_id: str, *, tags: Mapping[str, str], public: bool, seen: Image | None = None) -> None:
        """Properties, visibility, and nothing left of the source image's own checksums."""
        document = self._image(image_id)
        if document is None:
            raise SaveFailed(f"{self.name}: image {image_id} is gone; somebody deleted it; start the build again")
        changes: list[dict[str, str]] = [
            {"op": "replace" if key in document else "add", "path": f"/{_pointer(key)}", "value": value}
            for key, value in properties_of(tags).items()
            if document.get(key) != value
        ]
        changes += [{"op": "remove", "path": f"/{_pointer(key)}"} for key in STALE_PROPERTIES if key in document]
        self._patch(image_id, changes)
        if public and document.get("visibility") != "public":
            self._patch(
                image_id, [{"op": "replace", "path": "/visibility", "value": "public"}], special={403: TO_PUBLISH}
            )

    def _patch(self, image_id: str, changes: Sequence[Mapping[str, str]], **more: Any) -> None:
        if changes:
            self._api.ask(
                f"finish image {image_id}",
                "PATCH",
                f"/images/{image_id}",
                service="image",
                json=list(changes),
                headers=_PATCH,
                **more,
            )

    def end_credential(self) -> str:
        """Take back the build's own credential, where it works with one."""
        return self._end_credential() if self._end_credential else ""

    def find_resources(self, build_id: str | None = None) -> list[Resource]:
        """Everything of ours in the project, of one build or of all, a call per kind."""
        return self._inventory.find(build_id)

    def delete(self, resources: Iterable[Resource]) -> list[Resource]:
        """Ask for the end of what can end now; returns what is left, raises what the cloud refused."""
        return Deletion(self._api, self._network).run(resources)


def _pointer(key: str) -> str:
    """A property's name in a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")
