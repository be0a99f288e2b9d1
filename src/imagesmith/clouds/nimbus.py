"""Nimbus through the site's own cloud client, and its image store Cumulus over HTTP.

Nothing there can bear a tag. What is ours is known by the catalog, and by a small folder for each launch under
IMAGESMITH_HOME (`nimbus/CLOUD/NAME`): the client's history directory, what was asked for, and how its save goes. Losing
the folder loses nothing that the catalog has: an instance's id holds the workspace's number, by which it is reached.
The tags of a finished image lie beside it in the store, in a small object of its own outside the folders that the
cloud client lists (`cumulus_notes.py`): with them the catalog can be read back from the site alone.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar

from imagesmith import settings as deployment
from imagesmith.clouds.cumulus import COMMON, Cumulus, StoredObject
from imagesmith.clouds.cumulus_notes import Notes
from imagesmith.clouds.nimbus_client import CREATE_LIMIT_S, CloudClient
from imagesmith.clouds.nimbus_errors import failed, is_busy, is_gone, trouble_in
from imagesmith.clouds.nimbus_words import (
    EPR_FILE,
    HANDLE,
    SAVED,
    SAVING_STATE,
    NimbusCredentials,
    NimbusSettings,
    Workspace,
    endpoint_reference,
    instance_id_of,
    number_in,
    parts_of,
    workspace_in,
    workspaces_in,
)
from imagesmith.core import (
    TAG_BUILD,
    TAG_CLOUD,
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
from imagesmith.errors import (
    DefinitionError,
    ImagesmithError,
    InstanceLost,
    NameTaken,
    SaveFailed,
    SaveInterrupted,
    SourceImageNotFound,
)
from imagesmith.processes import started_at

# The lease ends this long after the build's last moment, so that it never ends a build.
LEASE_MARGIN_S = 1800.0
LEAST_LEASE_S = 3600.0
# The length of a lease tells a launch from others of its time: there are so many lengths, a minute apart.
LENGTHS = 97
# By how much the service's clock and ours may differ.
CLOCKS_S = 300.0
# What is remembered of a launch stays this long after its lease.
KEPT_S = 86400.0


class NimbusCloud(Cloud):
    """One user on one site."""

    type: ClassVar[str] = "nimbus"
    traits: ClassVar[Traits] = Traits(host_key_injection=False, powers_off=False, client_token=False, settle_s=10.0)

    def __init__(
        self, name: str, settings: NimbusSettings, credentials: NimbusCredentials, *, home: Path | None = None
    ) -> None:
        super().__init__(name)
        self.settings = settings
        self._client = CloudClient(name, settings, credentials, budget=lambda: self.budget)
        self._store = Cumulus(
            cloud=name,
            repository=settings.repository,
            canonical_id=credentials.canonical_id,
            access_key=credentials.access_key,
            secret_key=credentials.secret_key,
            https=settings.repository_https,
            budget=lambda: self.budget,
        )
        self._notes = Notes(self._store)
        self._home = (home or deployment.home()) / "nimbus" / name

    def identity(self) -> str:
        """The user's canonical id, after one listing of the repository and one of the service."""
        self._store.list(self._store.own)
        self._all_workspaces()
        return f"{self._store.canonical_id} at {self.settings.factory}"

    def find_source_image(self, query: ImageQuery) -> SourceImage:
        """The image of that name, the user's own before the common one; or the newest that fits a pattern."""
        if query.id.startswith("VMS/"):  # an image of ours, by its id
            stored = self._store.head(query.id)
            found = [stored] if stored else []
        else:
            found = self._stored(query.id or query.name, own_only=query.owner == "self")
        if not found:
            raise SourceImageNotFound(
                f"{self.name}: image {query} not found in {self.settings.repository}; check source_image of "
                f"{self.name} in the generator"
            )
        newest = max(found, key=lambda each: (each.modified, each.key))
        return SourceImage(newest.key, newest.name, newest.modified)

    def _stored(self, name: str, *, own_only: bool) -> list[StoredObject]:
        if not set(name) & set("*?["):
            keys = [self._store.own_key(name), *([] if own_only else [self._store.common_key(name)])]
            return next(([found] for key in keys if (found := self._store.head(key))), [])
        places = [self._store.own, *([] if own_only else ["VMS/common"])]
        return [each for place in places for each in self._store.list(place) if fnmatchcase(each.name, name)]

    def list_images(self, search: str, *, limit: int) -> list[OfferedImage]:
        """The user's own and the common ones."""
        own = self._store.own
        found = [each for place in (own, COMMON) for each in self._store.list(place)]
        offers = (OfferedImage(each.key, each.name, each.modified, each.key.startswith(f"{own}/")) for each in found)
        return newest_of((each for each in offers if search.lower() in each.name.lower()), limit)

    def find_image_named(self, name: str) -> Resource | None:
        """The user's own image of that name, or the common one."""
        for key in (self._store.own_key(name), self._store.common_key(name)):
            if (found := self._store.head(key)) is not None:
                return self._image_resource(found)
            if (folder := self._saving(key)) is not None:
                return Resource(ResourceKind.IMAGE, key, name=name, tags=folder.save_tags(), state="saving")
        return None

    def _saving(self, key: str) -> Folder | None:
        """The launch whose instance is being saved as this image."""
        return next((each for each in self._folders() if each.save_begun() == key and each.save_runs()), None)

    def launch(self, request: LaunchRequest, ledger: Ledger) -> str:
        """Launch with a lease that outlasts the build; adopts the workspace of an earlier try."""
        folder = Folder(self._home / request.name)
        source = self._launchable(request.source_image_id)
        ledger.intend(ResourceKind.INSTANCE, request.name)
        number = folder.number() or self._recovered(folder)
        if number and self._one(instance_id_of(request.name, number)).state is InstanceState.GONE:
            raise InstanceLost(
                f"{self.name}: instance {instance_id_of(request.name, number)} has ended; start the build again"
            )
        if not number:
            self._forget_ended()
            folder.begin(request, cloud=self.name)
            number = self._client.create(
                f"launch {request.source_image_id} as {request.name}",
                folder.history,
                source=source,
                minutes=folder.minutes(),
                key=folder.public_key,
                memory_mb=self._memory_mb(request.instance_type),
            )
        instance_id = instance_id_of(request.name, number)
        ledger.made(ResourceKind.INSTANCE, request.name, instance_id)
        return instance_id

    def _launchable(self, source_image_id: str) -> str:
        """The name by which the client finds the image: it takes the user's own before the common one."""
        name = source_image_id.rpartition("/")[2]
        if source_image_id == self._store.common_key(name) and self._store.head(self._store.own_key(name)) is not None:
            raise DefinitionError(
                f"{self.name}: an image of your own hides the common image {name}; rename or delete "
                f"{self._store.own_key(name)}, or name another source_image of {self.name} in the generator"
            )
        return name

    def _recovered(self, folder: Folder) -> str:
        """The number of the workspace of a launch whose answer was lost, "" where there is none.

        It is the one nobody else of this machine's launches has, with this launch's own length of lease, begun then.
        """
        if not folder.minutes():
            return ""
        known = {each.number() for each in self._folders()}
        fitting = [
            number
            for number, each in self._all_workspaces().items()
            if number not in known
            and each.minutes == folder.minutes()
            and abs(each.started - folder.began()) < CREATE_LIMIT_S + CLOCKS_S
        ]
        if len(fitting) != 1:
            return ""
        folder.prepare(self.settings.factory, fitting[0])
        return fitting[0]

    def _memory_mb(self, instance_type: str) -> int:
        if not instance_type:
            return self.settings.memory_mb
        if not (instance_type.isascii() and instance_type.isdigit()):
            raise DefinitionError(
                f"{self.name}: {instance_type} is no instance type of Nimbus, where it is the memory in MB, e.g. 2048; "
                f"check instance_type of {self.name} in the generator"
            )
        return int(instance_type)

    def observe_instances(self, instance_ids: Sequence[str]) -> dict[str, Instance]:
        """One by its handle, several by the list of all."""
        if len(instance_ids) == 1:
            return {instance_ids[0]: self._one(instance_ids[0])}
        gone = "the service does not know it"
        seen = {each: Instance(each, InstanceState.GONE, reason=gone) for each in instance_ids}
        workspaces = self._all_workspaces() if instance_ids else {}
        for each in instance_ids:
            if (workspace := workspaces.get(parts_of(each)[1])) is not None:
                seen[each] = workspace.instance(each)
        return seen

    def _one(self, instance_id: str) -> Instance:
        tried = f"look at {instance_id}"
        with self._client.history_of(parts_of(instance_id)[1]) as history:
            output = self._client.ask(tried, history, "--status", "--handle", HANDLE)
        if is_gone(output.trouble):
            return Instance(instance_id, InstanceState.GONE, reason="its lease has ended or somebody ended it")
        workspace = workspace_in(output.out)
        if not workspace.state:
            raise failed(self.name, tried, output.trouble or f"exit code {output.code} and no state")
        instance = workspace.instance(instance_id)
        if instance.state is InstanceState.FAILED:  # the reason is told in the list of all only
            listed = self._all_workspaces().get(parts_of(instance_id)[1], workspace)
            instance = replace(workspace, problem=listed.problem).instance(instance_id)
        return instance

    def _all_workspaces(self) -> Mapping[str, Workspace]:
        with self._client.history_of("0") as history:
            output = self._client.ask("list all instances", history, "--status")
        if output.trouble or output.code:
            raise failed(self.name, "list all instances", output.trouble or f"exit code {output.code}")
        return workspaces_in(output.out)

    def console_output(self, instance_id: str) -> str:
        """Nimbus shows none."""
        return ""

    def stop(self, instance_id: str) -> None:
        """Nothing: a save stops the instance itself, and Nimbus has no other stop. Raises InstanceLost."""
        if self._one(instance_id).state is InstanceState.GONE:
            raise InstanceLost(f"{self.name}: instance {instance_id} is gone; start the build again")

    def save(self, request: SaveRequest, ledger: Ledger) -> str:
        """Start the save, which runs on in a process of its own; adopts what an earlier try began."""
        name, number = parts_of(request.instance_id)
        folder = Folder(self._home / name)
        key = (self._store.common_key if request.public else self._store.own_key)(request.name)
        ledger.intend(ResourceKind.IMAGE, request.name)
        if not self._adopted(folder, request, key):
            folder.prepare(self.settings.factory, number)
            folder.begin_save(self._client, request, key=key, cloud=self.name)
        ledger.made(ResourceKind.IMAGE, request.name, key)
        return key

    def _adopted(self, folder: Folder, request: SaveRequest, key: str) -> bool:
        """Whether an earlier try has begun this save, as this machine remembers or the service shows it.

        Raises NameTaken or InstanceLost when it has not and it can't be begun.
        """
        remembered = folder.save_begun() == key and folder.save_tags().get(TAG_BUILD) == request.build_id
        ended = folder.save_ended() and not folder.save_cut_off()
        if remembered and (ended or folder.save_runs() or folder.is_watched_elsewhere()):
            return True
        state = self._one(request.instance_id).state
        if remembered and state is not InstanceState.RUNNING:
            return True
        if not remembered:
            if request.retried and state in (InstanceState.PENDING, InstanceState.STOPPED):
                folder.adopt_save(request, key=key, cloud=self.name)
                return True
            self._refuse_taken(request, key)
        if state is InstanceState.RUNNING:
            return False
        raise InstanceLost(
            f"{self.name}: instance {request.instance_id} does not run any more, so it can't be saved; "
            "start the build again"
        )

    def _refuse_taken(self, request: SaveRequest, key: str) -> None:
        if self._store.head(key) is not None or self._saving(key) is not None:
            raise NameTaken(
                f"{self.name}: save {request.instance_id} as {request.name}: {key} is there already; choose "
                f"another image_name of {self.name} in the generator; nothing is overwritten"
            )

    def observe_images(self, image_ids: Sequence[str]) -> dict[str, Image]:
        """An image is there when the client has said so and the store shows the object.

        Where no client is left to say it, what has become of the workspace counts, and the object.
        """
        return {key: self._image(key) for key in image_ids}

    def _image(self, key: str) -> Image:
        name = key.rpartition("/")[2]
        folder = self._savers().get(key)
        if folder is None:
            return self._image_of_nobody(key)
        said = folder.save_said()
        stored = self._store.head(key)
        if SAVED in said and stored is not None and stored.etag and folder.has_saved(stored):
            return Image(key, ImageState.AVAILABLE, name=name)
        if folder.save_cut_off():
            return self._image_by_workspace(key, folder)
        if trouble := trouble_in(said):
            return Image(key, ImageState.FAILED, name=name, reason=trouble)
        if folder.save_ended():
            if SAVED in said:
                return Image(key, ImageState.GONE, name=name, reason="somebody deleted it")
            reason = "the cloud client ended without saying that the image was saved"
            return Image(key, ImageState.FAILED, name=name, reason=reason)
        if folder.save_runs():
            return Image(key, ImageState.PENDING, name=name)
        return self._image_by_workspace(key, folder)

    def _image_of_nobody(self, key: str) -> Image:
        """An image whose save this machine knows nothing of."""
        saving = any(each.state == SAVING_STATE for each in self._all_workspaces().values())
        if self._store.head(key) is not None:
            return Image(key, ImageState.AVAILABLE, name=key.rpartition("/")[2])
        state = ImageState.PENDING if saving else ImageState.GONE
        return Image(key, state, name=key.rpartition("/")[2], reason="" if saving else "the store does not know it")

    def _image_by_workspace(self, key: str, folder: Folder) -> Image:
        """The client was killed, or runs on another machine: the service saves without it, but does not end there."""
        instance = self._one(folder.save_of())
        stored = self._store.head(key)
        state, reason = ImageState.PENDING, ""
        if instance.state in (InstanceState.STOPPED, InstanceState.GONE):
            state = ImageState.AVAILABLE if stored is not None and stored.etag else ImageState.FAILED
            reason = "" if stored else "the cloud client was ended, and the service has stored no image"
        elif instance.state is InstanceState.FAILED:
            state, reason = ImageState.FAILED, instance.reason
        elif instance.state is InstanceState.RUNNING and not folder.is_watched_elsewhere():
            why = trouble_in(folder.save_said()) or "it was ended"
            tried = f"{self.name}: save {folder.save_of()}"
            raise SaveInterrupted(f"{tried}: the cloud client did not get so far that the service saves: {why}")
        return Image(key, state, name=key.rpartition("/")[2], reason=reason)

    def finish_image(self, image_id: str, *, tags: Mapping[str, str], public: bool, seen: Image | None = None) -> None:
        """A common image can be launched by others only with this permission; tags are kept beside the save."""
        folder = self._savers().get(image_id)
        stored = self._store.head(image_id)
        if stored is None or (folder and not folder.has_saved(stored)):
            raise SaveFailed(f"{self.name}: image {image_id} is gone; somebody deleted it; start the build again")
        known: dict[str, str] = {}
        if folder:
            folder.finish_save(stored, tags)
            known = folder.save_tags()
        self._notes.write(image_id, {**known, **tags})
        if public:
            self._store.make_public(image_id)

    def find_resources(self, build_id: str | None = None) -> list[Resource]:
        """What launches of this machine have made and what is still there."""
        own = {each.key: each for each in self._store.list(self._store.own)}
        folders = list(self._folders())
        savers = self._savers()
        workspaces = self._all_workspaces() if folders else {}
        found = []
        for folder in folders:
            number = folder.number() or self._recovered(folder)
            if number in workspaces:
                id_ = instance_id_of(folder.name, number)
                state = str(workspaces[number].state)
                found.append(Resource(ResourceKind.INSTANCE, id_, name=folder.name, tags=folder.tags(), state=state))
            key = folder.save_begun()
            stored = (own.get(key) or self._store.head(key)) if savers.get(key) == folder else None
            if stored is not None and folder.has_saved(stored):
                found.append(self._image_resource(stored))
        return [each for each in found if build_id in (None, each.build_id)]

    def find_images(self) -> list[Resource]:
        """The images of this user whose tags lie beside them, whichever machine has saved them."""
        found = []
        for key, tags in self._notes.all().items():
            if (stored := self._store.head(key)) is not None:
                created = stored.modified
                found.append(Resource(ResourceKind.IMAGE, key, name=stored.name, tags=tags, created=created))
        return found

    def delete(self, resources: Iterable[Resource]) -> list[Resource]:
        """End what can end now; an instance that is being saved by us is ended with its save."""
        left: list[Resource] = []
        failures: list[ImagesmithError] = []
        for resource in resources:
            try:
                if resource.kind is ResourceKind.INSTANCE:
                    self._terminate(resource.id)
                elif resource.kind is ResourceKind.IMAGE:
                    self._delete_image(resource.id)
            except ImagesmithError as error:
                left.append(resource)
                failures.append(error)
        if failures:
            raise failures[0]
        return left

    def _terminate(self, instance_id: str) -> None:
        name, number = parts_of(instance_id)
        folder = Folder(self._home / name)
        folder.end_save()
        tried = f"terminate {instance_id}"
        with self._client.history_of(number) as history:
            output = self._client.ask(tried, history, "--terminate", "--handle", HANDLE)
        # A client that dies may say nothing of it.
        if (output.trouble or output.code) and not is_gone(output.trouble):
            raise failed(self.name, tried, output.trouble or f"exit code {output.code}", unclear=True)

    def _delete_image(self, key: str) -> None:
        """The image is gone, and with it what is remembered of its save: another may be saved under its key.

        What somebody else has put there since is not touched.
        """
        stored, saver = self._store.head(key), self._savers().get(key)
        if stored is None or saver is None or saver.has_saved(stored):
            self._store.delete(key)
        self._notes.remove(key)
        for folder in self._folders():
            # A save that was cut off and has stored nothing may still do so, and would be ours.
            if folder.save_begun() == key and (stored is not None or folder.save_ended()):
                folder.forget_save()

    def _savers(self) -> dict[str, Folder]:
        """By the key of each image the launch whose instance was last saved as it."""
        begun = sorted(self._folders(), key=Folder.save_began)
        return {key: folder for folder in begun if (key := folder.save_begun())}

    def _folders(self) -> Iterator[Folder]:
        for path in sorted(self._home.glob("*/")):
            yield Folder(path)

    def _forget_ended(self) -> None:
        """Folders of launches whose leases ended long ago go."""
        for folder in self._folders():
            if folder.is_over():
                shutil.rmtree(folder.path, ignore_errors=True)

    def _image_resource(self, stored: StoredObject) -> Resource:
        folder = self._savers().get(stored.key)
        tags = folder.save_tags() if folder and folder.has_saved(stored) else {}
        return Resource(ResourceKind.IMAGE, stored.key, name=stored.name, tags=tags, created=stored.modified)


@dataclass(frozen=True)
class Folder:
    """What this machine knows of one launch."""

    path: Path

    @property
    def name(self) -> str:
        """The launch's name."""
        return self.path.name

    @property
    def history(self) -> Path:
        """The client's history directory, with one handle in it."""
        return self.path / "history"

    @property
    def public_key(self) -> Path:
        """The file with the key that the instance is to let in."""
        return self.path / "key.pub"

    def begin(self, request: LaunchRequest, *, cloud: str) -> None:
        """Before the launch; what an earlier try has left without a workspace is forgotten."""
        shutil.rmtree(self.history, ignore_errors=True)
        self.history.mkdir(parents=True, mode=0o700)
        self.public_key.write_text(request.public_key + "\n")
        tags = {**request.tags, TAG_BUILD: request.build_id, TAG_CLOUD: cloud}
        least = math.ceil(max(request.lease_s + LEASE_MARGIN_S, LEAST_LEASE_S) / 60)
        minutes = least + int(hashlib.sha256(self.name.encode()).hexdigest(), 16) % LENGTHS
        _write(self.path / "launch.json", {"tags": tags, "minutes": minutes, "began": time.time()})

    def prepare(self, factory: str, number: str) -> None:
        """The history directory made anew where it was lost."""
        reference = self.history / HANDLE / EPR_FILE
        if not reference.exists():
            reference.parent.mkdir(parents=True, exist_ok=True)
            reference.write_text(endpoint_reference(factory, number))

    def number(self) -> str:
        """The workspace's number, "" while there is none."""
        reference = self.history / HANDLE / EPR_FILE
        return number_in(reference.read_text(errors="replace")) if reference.exists() else ""

    def minutes(self) -> int:
        """The length of the lease that was asked for, 0 where no launch was begun."""
        return int(_read(self.path / "launch.json").get("minutes", 0))

    def began(self) -> float:
        """When the launch was begun, in seconds since the epoch."""
        return float(_read(self.path / "launch.json").get("began", 0.0))

    def is_over(self) -> bool:
        """Whether nothing of it can be on the cloud but a finished image, which the catalog knows."""
        written = max((each.stat().st_mtime for each in self.path.glob("*.json")), default=0.0)
        return max(self.began() + self.minutes() * 60, written) + KEPT_S < time.time()

    def tags(self) -> dict[str, str]:
        """The launch's tags."""
        return dict(_read(self.path / "launch.json").get("tags", {}))

    def begin_save(self, client: CloudClient, request: SaveRequest, *, key: str, cloud: str) -> None:
        """Start the save in a process of its own."""
        document = {**_save_of(request, key=key, cloud=cloud), "host": socket.gethostname(), "began": time.time()}
        for name in ("save.ended", "save.pid"):
            (self.path / name).unlink(missing_ok=True)
        _write(self.path / "save.json", document)
        client.begin_save(
            self.history,
            newname=request.name,
            common=request.public,
            out=self.path / "save.out",
            err=self.path / "save.err",
            ended=self.path / "save.ended",
            keeper=self.path / "save.pid",
        )

    def adopt_save(self, request: SaveRequest, *, key: str, cloud: str) -> None:
        """Remember a save whose client this machine knows nothing of."""
        _write(self.path / "save.json", {**_save_of(request, key=key, cloud=cloud), "began": time.time()})

    def forget_save(self) -> None:
        """As if no save had been begun; its process is no more."""
        self.end_save()
        for name in ("save.json", "save.err", "save.ended", "save.pid"):
            (self.path / name).unlink(missing_ok=True)

    def save_of(self) -> str:
        """The id of the instance whose save was begun."""
        return str(_read(self.path / "save.json").get("instance", ""))

    def save_ended(self) -> bool:
        """Whether the client came to an end by itself; one that was killed did not."""
        return (self.path / "save.ended").exists()

    def save_cut_off(self) -> bool:
        """Whether the client came to its end by trouble that passes; what it asked for may have begun all the same."""
        return self.save_ended() and is_busy(trouble_in(self.save_said()))

    def is_watched_elsewhere(self) -> bool:
        """Whether the save was begun on another machine, a short while ago: its client may not have asked yet."""
        document = _read(self.path / "save.json")
        begun_s = time.time() - float(document.get("began", 0.0))
        elsewhere = document.get("host") not in (None, socket.gethostname())
        return elsewhere and begun_s < CREATE_LIMIT_S + CLOCKS_S

    def save_begun(self) -> str:
        """The key of the image whose save was begun, "" for none."""
        return str(_read(self.path / "save.json").get("key", ""))

    def save_began(self) -> float:
        """When the save was begun, or found to have begun, in seconds since the epoch."""
        return float(_read(self.path / "save.json").get("began", 0.0))

    def save_tags(self) -> dict[str, str]:
        """The image's tags."""
        return dict(_read(self.path / "save.json").get("tags", {}))

    def finish_save(self, stored: StoredObject, tags: Mapping[str, str]) -> None:
        """Remember the image as it is stored, and more tags of it."""
        document = _read(self.path / "save.json")
        tags = {**self.save_tags(), **tags}
        _write(self.path / "save.json", {**document, "etag": stored.etag, "tags": tags})

    def has_saved(self, stored: StoredObject) -> bool:
        """Whether the object under the image's key is the image: not one whose ETag is another than the image had."""
        etag = _read(self.path / "save.json").get("etag")
        return not (etag and stored.etag) or etag == stored.etag

    def save_said(self) -> str:
        """What the client has said so far on its stream for errors, where it also tells of success."""
        with suppress(OSError):
            return (self.path / "save.err").read_text(errors="replace")
        return ""

    def save_runs(self) -> bool:
        """Whether the save's process runs on this machine."""
        return self._keeper() != 0

    def end_save(self) -> None:
        """The save's process is no more."""
        if pid := self._keeper():
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGTERM)

    def _keeper(self) -> int:
        """The number of the save's process, 0 when it does not run on this machine; another may have its number."""
        if _read(self.path / "save.json").get("host") == socket.gethostname():
            with suppress(OSError, ValueError):
                pid, began = (self.path / "save.pid").read_text().split()
                return int(pid) if started_at(int(pid)) == began else 0
        return 0


def _save_of(request: SaveRequest, *, key: str, cloud: str) -> dict[str, Any]:
    tags = {**request.tags, TAG_BUILD: request.build_id, TAG_CLOUD: cloud}
    return {"key": key, "instance": request.instance_id, "tags": tags}


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found


def _write(path: Path, document: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(document))
    draft.replace(path)
