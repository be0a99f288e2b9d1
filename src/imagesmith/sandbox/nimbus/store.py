"""The image store's objects over the machines' own images: `VMS/<canonical id>/<name>` and `VMS/common/<name>`.

An object belongs to who saved it first. Others may read it if it is public, and never overwrite or delete it.
"""

import hashlib
import time
from datetime import datetime
from typing import TYPE_CHECKING

from imagesmith.sandbox import config
from imagesmith.sandbox.nimbus.sites import BASE_KEY, COMMON, User
from imagesmith.sandbox.nimbus.things import StoredImage
from imagesmith.sandbox.state import Image

if TYPE_CHECKING:
    from imagesmith.sandbox.nimbus.site import Site

_SIMULATED_BYTES = 1024 * 1024


class AccessDenied(Exception):
    """The user has no right to the object."""


def own_key(user: User, name: str) -> str:
    """Where the user's own image of the name lies."""
    return f"{BASE_KEY}/{user.canonical_id}/{name}"


def common_key(name: str) -> str:
    """Where the image of the name lies that everybody sees."""
    return f"{BASE_KEY}/{COMMON}/{name}"


def list_base_images(site: "Site") -> None:
    """The public images, `debian-12.gz` if its disk is made and `simulated-1`; they belong to the operator."""
    current = {
        common_key("debian-12.gz" if image.kind == "qemu" else image.name): image
        for image in site.state.images.values()
        if image.owner == config.BASE_OWNER_ID
    }
    for stored in [each for each in site.state.stored_images.values() if each.owner_id == site.facts.operator_id]:
        if stored.id not in current:
            site.state.remove(stored)
    for key, image in current.items():
        modified = datetime.fromisoformat(image.created).timestamp()
        stored = _stored(site, key, image, owner_id=site.facts.operator_id, modified=modified)
        stored.public = True
        site.state.save(stored)


def may_read(stored: StoredImage, user: User) -> bool:
    """Whether the user may look at the object and boot it."""
    return stored.public or stored.owner_id == user.canonical_id


def check_target(site: "Site", key: str, user: User) -> None:
    """Raises AccessDenied unless the user may save an image under the key."""
    folder = key.removeprefix(f"{BASE_KEY}/").split("/")[0]
    there = site.state.stored_images.get(key)
    if folder not in (user.canonical_id, COMMON) or (there is not None and there.owner_id != user.canonical_id):
        raise AccessDenied(key)


def put(site: "Site", key: str, image: Image, user: User) -> None:
    """The image is the object under the key; what was there before is gone, its rights too."""
    before = site.state.stored_images.get(key)
    site.state.save(_stored(site, key, image, owner_id=user.canonical_id, modified=time.time()))
    if before is not None:
        _forget_image(site, before)


def remove(site: "Site", stored: StoredImage) -> None:
    """Forgets the object, and its disk unless another stands on it."""
    site.state.remove(stored)
    _forget_image(site, stored)


def discard(site: "Site", image: Image) -> None:
    """Forgets an image that never became an object."""
    if image.id in site.state.images:
        site.cloud.deregister(image)
    snapshot = site.state.snapshots.get(image.snapshot_id)
    if snapshot is not None:
        site.cloud.delete_snapshot(snapshot)


def _forget_image(site: "Site", stored: StoredImage) -> None:
    image = site.state.images.get(stored.machine_image_id)
    if image is not None and image.owner != config.BASE_OWNER_ID:
        discard(site, image)


def _stored(site: "Site", key: str, image: Image, *, owner_id: str, modified: float) -> StoredImage:
    # The real store's tag is the md5 of the content; a disk that stands on others has none of its own.
    etag = hashlib.md5(f"{image.id} {image.snapshot_id} {modified}".encode(), usedforsecurity=False).hexdigest()
    return StoredImage(
        id=key,
        owner_id=owner_id,
        machine_image_id=image.id,
        size=_size_of(site, image),
        etag=etag,
        modified=modified,
    )


def _size_of(site: "Site", image: Image) -> int:
    """Bytes of the image's own file."""
    snapshot = site.state.snapshots[image.snapshot_id]
    return (site.places.disks / snapshot.disk).stat().st_size if snapshot.disk else _SIMULATED_BYTES
