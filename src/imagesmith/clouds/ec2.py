"""EC2 and clouds that speak it, through ready boto3 clients.

Calls of one build, waits aside: 2 to look (source image, name), 3 to launch (group, its rule, instance), 1 to save, 0
to finish a private image (1 for a public one), and to end it terminate, group and the one listing that proves that
nothing is left. Of builds side by side each has launch and save for itself; all else serves many.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar

from imagesmith.clouds.ec2_cleanup import SETTLE_S, Deletion, Inventory, chunks, pages, refusal
from imagesmith.clouds.ec2_errors import JUST_MADE, THROTTLED, WHEN_SAVING, code_of, translate
from imagesmith.clouds.ec2_launch import Launching
from imagesmith.clouds.ec2_words import (
    Ec2Settings,
    all_tags,
    image_of,
    instance_documents,
    instance_of,
    launch_details,
    pairs_of,
    refuse_instance_store,
    resource_of,
    specifications,
    tags_of,
)
from imagesmith.clouds.meanings import Meaning
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
from imagesmith.errors import CloudBusy, ImagesmithError, NameTaken, SaveFailed, SourceImageNotFound

# For botocore's Config. The step above tries again, with jitter and inside its limit, so botocore must not.
CLIENT_CONFIG: Mapping[str, Any] = {
    "connect_timeout": 5,
    "read_timeout": 30,
    "retries": {"total_max_attempts": 1},
}


# A search for less would list all that anybody ever published.
LEAST_SEARCH = 3
MOST_LISTED = 5_000


class Ec2Cloud(Cloud):
    """One account and region of EC2.

    `client_factory` answers `ec2` and `sts` with a boto3 client each, made with CLIENT_CONFIG; whoever gives
    it has the credentials, the driver never sees them.
    """

    type: ClassVar[str] = "ec2"
    # EC2 promises no limit for its listings to catch up; seconds are usual, and only failures wait it out.
    traits: ClassVar[Traits] = Traits(
        host_key_injection=True,
        powers_off=True,
        client_token=True,
        settle_s=SETTLE_S,
        marks_each=True,
        ends_many=True,
    )

    def __init__(self, name: str, client_factory: Callable[[str], Any], settings: Ec2Settings | None = None) -> None:
        super().__init__(name)
        self.settings = settings or Ec2Settings()
        self._client_factory = client_factory
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._inventory = Inventory(self._ask, name)
        self._launching = Launching(name, self._ask, settings=self.settings, endpoint_url=self._endpoint_url)
        # Documents of source images, so that what they tell is not asked for twice.
        self._images: dict[str, dict[str, Any]] = {}

    def identity(self) -> str:
        """The ARN the cloud takes us for."""
        reply = self._ask("ask who we are", "get_caller_identity", service="sts")
        return str(reply["Arn"])

    def find_source_image(self, query: ImageQuery) -> SourceImage:
        """The image of that id, or the newest of that name; without an owner only the account's own.

        Anybody can publish an image of any name, so a name alone never finds a stranger's.
        """
        tried = f"find source image {query}"
        if query.id:
            arguments: dict[str, Any] = {"ImageIds": [query.id], "IncludeDeprecated": True}
        else:
            by_name = [{"Name": "name", "Values": [query.name]}, {"Name": "state", "Values": ["available"]}]
            arguments = {"Owners": [query.owner or "self"], "Filters": by_name}
        documents = list(pages(self._ask, tried, method="describe_images", key="Images", **arguments))
        usable = [document for document in documents if document.get("State") == "available"]
        if not usable:
            raise self._no_source(query, documents)
        newest = max(usable, key=lambda document: (document.get("CreationDate", ""), document["ImageId"]))
        refuse_instance_store(self.name, newest)
        self._images[newest["ImageId"]] = newest
        return SourceImage(
            newest["ImageId"], newest.get("Name", ""), newest.get("CreationDate", ""), launch_details(newest)
        )

    def list_images(self, search: str, *, limit: int) -> list[OfferedImage]:
        """The account's own; of the public ones, which are a hundred thousand, only what a search is for."""
        ours = [{"Owners": ["self"]}]
        everybodys = [{"ExecutableUsers": ["all"]}] if len(search) >= LEAST_SEARCH else []
        filters = [{"Name": "state", "Values": ["available"]}, {"Name": "root-device-type", "Values": ["ebs"]}]
        filters += [{"Name": "name", "Values": [f"*{search}*"]}] if search else []
        found: dict[str, OfferedImage] = {}
        for whose in (*ours, *everybodys):
            arguments: dict[str, Any] = {**whose, "Filters": filters}
            listed = pages(self._ask, "list images", method="describe_images", key="Images", **arguments)
            for each in islice(listed, MOST_LISTED):
                offer = OfferedImage(each["ImageId"], each.get("Name", ""), each.get("CreationDate", ""), whose in ours)
                found.setdefault(offer.id, offer)
        return newest_of(found.values(), limit)

    def list_instance_types(self) -> list[str]:
        """What the region offers, by name."""
        listed = pages(self._ask, "list instance types", method="describe_instance_types", key="InstanceTypes")
        return sorted(str(each["InstanceType"]) for each in listed)

    def _no_source(self, query: ImageQuery, documents: Sequence[Mapping[str, Any]]) -> SourceImageNotFound:
        seen = f" (it is {documents[0].get('State')})" if documents else ""
        hint = "" if query.id or query.owner else "; without an owner only the account's own images are looked at"
        return SourceImageNotFound(
            f"{self.name}: image {query} not found{seen}; check source_image of {self.name} in the generator{hint}"
        )

    def find_image_named(self, name: str) -> Resource | None:
        """Our own image of exactly that name, whatever its state, or None."""
        document = self._image_named(name)
        return resource_of(ResourceKind.IMAGE, document) if document else None

    def find_images_named(self, names: Sequence[str]) -> dict[str, Resource | None]:
        """Our own image of each name, or None; a call per hundred."""
        found = {str(document.get("Name")): document for document in self._images_named(names)}
        return {name: resource_of(ResourceKind.IMAGE, found[name]) if name in found else None for name in names}

    def _image_named(self, name: str) -> dict[str, Any] | None:
        # A filter may hold wildcards, and so may a name.
        return next((document for document in self._images_named([name]) if document.get("Name") == name), None)

    def _images_named(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        for some in chunks(names):
            by_name = [{"Name": "name", "Values": some}]
            tried = f"look for images named {', '.join(some)}"
            yield from pages(self._ask, tried, method="describe_images", key="Images", Owners=["self"], Filters=by_name)

    def launch(self, request: LaunchRequest, ledger: Ledger) -> str:
        """Make security group and instance, each adopted if there; returns the instance's id.

        The build's key travels in the user data: there is no key pair that could be left behind. Raises CloudBusy where
        EC2 shows the source image but does not know it yet when it is to launch it.
        """
        image = request.source_details or self._image(request.source_image_id)
        refuse_instance_store(self.name, image)
        try:
            return self._launching.run(request, ledger, image=image)
        except SourceImageNotFound as error:
            self.find_source_image(ImageQuery(id=request.source_image_id))  # raises the same for one that is gone
            raise CloudBusy(
                f"{self.name}: {request.source_image_id} can't be launched yet; {JUST_MADE.cure}"
            ) from error

    def observe_instances(self, instance_ids: Sequence[str]) -> dict[str, Instance]:
        """One look at many instances, a call per hundred; one the cloud does not know is GONE."""
        seen = {id_: Instance(id_, InstanceState.GONE, reason=UNKNOWN, known=False) for id_ in instance_ids}
        for some in chunks(instance_ids):
            # By filter, as one unknown id among `InstanceIds` makes the whole call fail.
            reservations = pages(
                self._ask,
                f"look at {', '.join(some)}",
                method="describe_instances",
                key="Reservations",
                Filters=[{"Name": "instance-id", "Values": some}],
            )
            for document in instance_documents(reservations):
                seen[document["InstanceId"]] = instance_of(document, self.settings)
        return seen

    def console_output(self, instance_id: str) -> str:
        """What the instance printed so far: the latest where its type can tell, else what EC2 kept."""
        tried = f"read the console of {instance_id}"
        try:
            reply = self._ask(tried, "get_console_output", InstanceId=instance_id, Latest=True)
        except ImagesmithError as error:
            if refusal(error) == "InvalidInstanceID.NotFound":
                return ""
            if refusal(error) not in (
                "UnsupportedOperation",
                "InvalidParameterValue",
                "InvalidParameterCombination",
            ):
                raise
            reply = self._ask(tried, "get_console_output", InstanceId=instance_id)
        return str(reply.get("Output") or "")

    def stop(self, instance_id: str) -> None:
        """Ask for a stop without waiting; raises InstanceLost for an instance that is no more."""
        self._ask(f"stop {instance_id}", "stop_instances", InstanceIds=[instance_id])

    def save(self, request: SaveRequest, ledger: Ledger) -> str:
        """Start saving the instance and return the image's id; adopts the image of that name and build."""
        ledger.intend(ResourceKind.IMAGE, request.name)
        tags = all_tags(self.name, request.build_id, name=request.name, tags=request.tags)
        try:
            reply = self._ask(
                f"save {request.instance_id} as {request.name}",
                "create_image",
                special=WHEN_SAVING,
                InstanceId=request.instance_id,
                Name=request.name,
                Description=request.description[:255],
                TagSpecifications=specifications(tags, "image", "snapshot"),
            )
            image_id = str(reply["ImageId"])
        except NameTaken as error:
            image_id = self._adopt_image(request, error)
        ledger.made(ResourceKind.IMAGE, request.name, image_id)
        return image_id

    def _adopt_image(self, request: SaveRequest, error: NameTaken) -> str:
        document = self._image_named(request.name)
        if document is None:
            raise CloudBusy(f"{self.name}: image {request.name} is there, but not listed yet; it is tried again")
        # Two clouds of a build may be one account: only this target's own image is adopted.
        tags = tags_of(document)
        if (tags.get(TAG_BUILD), tags.get(TAG_CLOUD)) != (request.build_id, self.name):
            raise error
        return str(document["ImageId"])

    def observe_images(self, image_ids: Sequence[str]) -> dict[str, Image]:
        """One look at many images, a call per hundred; one the cloud does not know is GONE."""
        seen = {id_: Image(id_, ImageState.GONE, reason=UNKNOWN, known=False) for id_ in image_ids}
        for some in chunks(image_ids):
            by_id = [{"Name": "image-id", "Values": some}]
            tried = f"look at {', '.join(some)}"
            found = pages(self._ask, tried, method="describe_images", key="Images", Owners=["self"], Filters=by_id)
            for document in found:
                seen[document["ImageId"]] = image_of(document)
        return seen

    def _image(self, image_id: str) -> dict[str, Any]:
        """The document of a source image as last seen, or looked up."""
        if image_id not in self._images:
            self.find_source_image(ImageQuery(id=image_id))
        return self._images[image_id]

    def finish_image(self, image_id: str, *, tags: Mapping[str, str], public: bool, seen: Image | None = None) -> None:
        """Tags on the image and its snapshots, and permission to launch for everybody where it is public.

        The call that saves an image tags it and its snapshots at once: one that bears the tags needs no more.
        """
        image = seen or self.observe_images([image_id])[image_id]
        if not image.known:
            raise SaveFailed(f"{self.name}: image {image_id} is gone; somebody deleted it; start the build again")
        missing = dict(tags.items() - image.tags.items())
        if missing:
            things = [image_id, *image.snapshot_ids]
            tried = f"tag {', '.join(things)}"
            self._ask(tried, "create_tags", special=WHEN_SAVING, Resources=things, Tags=pairs_of(missing))
        if public and not image.public:
            self._ask(
                f"make image {image_id} public",
                "modify_image_attribute",
                special=WHEN_SAVING,
                ImageId=image_id,
                LaunchPermission={"Add": [{"Group": "all"}]},
            )

    def find_resources(self, build_id: str | None = None) -> list[Resource]:
        """Everything with our tag, of one build (two calls) or of all (a call per kind)."""
        return self._inventory.of_all() if build_id is None else self._inventory.of_build(build_id)

    def find_left(self, build_ids: Sequence[str]) -> list[Resource]:
        """What these builds have on this cloud: one call per hundred builds."""
        return self._inventory.left_of(build_ids)

    def find_shared(self, names: Sequence[str]) -> list[Resource]:
        """The security groups of these names."""
        return self._inventory.groups_named(names)

    def delete(self, resources: Iterable[Resource]) -> list[Resource]:
        """Ask for the end of what can end now; returns what is left, raises what the cloud refused."""
        return Deletion(self._ask, self._inventory).run(resources)

    def _endpoint_url(self) -> str:
        return str(self._client("ec2").meta.endpoint_url)

    def _client(self, service: str) -> Any:
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._client_factory(service)
            return self._clients[service]

    def _ask(
        self,
        tried: str,
        method: str,
        *,
        service: str = "ec2",
        special: Mapping[str, Meaning] | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """One call, with botocore's errors as ours."""
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        self.budget.spend(tried)
        try:
            reply: dict[str, Any] = getattr(self._client(service), method)(**arguments)
            return reply
        except (BotoCoreError, ClientError, ResponseParserError) as error:
            if code_of(error) in THROTTLED:
                self.budget.overspent()
            raise translate(self.name, tried, error=error, special=special) from error
