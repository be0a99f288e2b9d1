"""What a site's clients have made, beside the machines and disks that every account has."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from imagesmith.sandbox.nimbus.states import UNPROPAGATED
from imagesmith.sandbox.state import State, Thing


@dataclass(kw_only=True)
class Workspace(Thing):
    """A virtual machine with its lease; its id is its number. Times are seconds since 1970, the DN is its owner's.

    `problem` is the fault text of a corrupted one, `source` the key of the image it was made from.
    """

    owner_dn: str
    source: str
    minutes: int
    started_at: float
    shutdown_at: float
    termination_at: float
    address: str
    instance_id: str = ""
    state: str = UNPROPAGATED
    problem: str = ""

    @property
    def hostname(self) -> str:
        """The name that goes with the address."""
        return "vm-" + "-".join(self.address.split(".")[2:])


@dataclass(kw_only=True)
class Numbers(Thing):
    """The number of the newest workspace; numbers are not given twice."""

    last: int = 0


@dataclass(kw_only=True)
class StoredImage(Thing):
    """An object of the image store, with its key as id; `machine_image_id` is what an instance boots.

    `owner_id` is a canonical id, `modified` seconds since 1970.
    """

    owner_id: str
    machine_image_id: str
    size: int
    etag: str
    modified: float
    public: bool = False


@dataclass(kw_only=True)
class StoredNote(Thing):
    """A small object of the image store that is no image, with its key as id; `content` is text."""

    owner_id: str
    content: str
    modified: float

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.content.encode())

    @property
    def etag(self) -> str:
        """The md5 of the content."""
        return hashlib.md5(self.content.encode(), usedforsecurity=False).hexdigest()


class NimbusState(State):
    """Everything of one site."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.workspaces = self.table(Workspace)
        self.numbers = self.table(Numbers)
        self.stored_images = self.table(StoredImage)
        self.stored_notes = self.table(StoredNote)

    def next_number(self) -> str:
        """The id for a new workspace."""
        numbers = self.numbers.get("workspace-numbers") or Numbers(id="workspace-numbers")
        numbers.last += 1
        self.save(numbers)
        return str(numbers.last)
