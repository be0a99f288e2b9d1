"""The tags of images in Nimbus's store, which knows none: a small JSON object for each image, beside the images.

They lie under `imagesmith/<canonical id>/`, where neither the cloud client nor a search for source images looks, so
that nobody takes one for an image. An image's own metadata is out of reach: the service writes the object, and the
store cannot change what is written.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from imagesmith.clouds.cumulus import Cumulus
from imagesmith.core import TAG_BUILD
from imagesmith.errors import CloudError

log = logging.getLogger(__name__)

FOLDER = "imagesmith"


@dataclass(frozen=True)
class Notes:
    """The notes of one user of a store."""

    store: Cumulus

    def write(self, image_key: str, tags: Mapping[str, str]) -> None:
        """The image's tags are in the store; where it refuses them the image is well all the same, and that is said."""
        if TAG_BUILD not in tags:
            return
        try:
            self.store.put(self._key(image_key), json.dumps(dict(tags), sort_keys=True).encode())
        except CloudError as error:
            log.warning("%s; the tags of %s are in the catalog only", error, image_key)

    def remove(self, image_key: str) -> None:
        """The image has no note."""
        self.store.delete(self._key(image_key))

    def all(self) -> dict[str, dict[str, str]]:
        """Tags by the image's key; what is no note of ours is passed over."""
        found = {}
        for stored in self.store.list(self._place):
            tags = _tags(self.store.get(stored.key))
            if TAG_BUILD in tags:
                found[stored.key.removeprefix(f"{self._place}/")] = tags
        return found

    @property
    def _place(self) -> str:
        return f"{FOLDER}/{self.store.canonical_id}"

    def _key(self, image_key: str) -> str:
        return f"{self._place}/{image_key}"


def _tags(content: bytes | None) -> dict[str, str]:
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}
