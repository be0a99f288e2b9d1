"""What OpenStack's driver deletes, and in which order, where Cinder takes its time."""

from __future__ import annotations

import json
from typing import Any

from imagesmith.clouds.openstack_api import Answer, Api
from imagesmith.clouds.openstack_cleanup import Deletion
from imagesmith.clouds.openstack_errors import Refused, refused
from imagesmith.core import Resource, ResourceKind

IMAGE = Resource(ResourceKind.IMAGE, "img")
SNAPSHOT = Resource(ResourceKind.SNAPSHOT, "snap")


class SlowCinder(Api):
    """An account with an image of a volume, whose snapshot goes only when `finish` is called."""

    def __init__(self, *, status: str = "available") -> None:
        super().__init__("site", lambda: None)
        self.status = status
        self.there = {"/images/img", "/snapshots/snap"}

    def finish(self) -> None:
        self.there.discard("/snapshots/snap")

    def ask(self, tried: str, method: str, path: str, **_: Any) -> Answer:
        if path not in self.there:
            raise self._refusal(404, tried, "no such thing")
        if method == "DELETE" and path == "/images/img":
            self.there.discard(path)
        elif method == "DELETE":
            if self.status not in ("available", "error"):
                words = f"Volume Snapshot status must be available or error, but current status is: {self.status}"
                raise self._refusal(400, tried, words)
            self.status = "deleting"
        mapping = json.dumps([{"source_type": "snapshot", "snapshot_id": "snap"}])
        return Answer({"block_device_mapping": mapping, "snapshot": {"status": self.status}}, {})

    def _refusal(self, status: int, tried: str, words: str) -> Exception:
        error = refused(self.cloud, tried, Refused(status, words))
        error.__cause__ = Refused(status, words)
        return error


def deleted(cinder: SlowCinder, *resources: Resource) -> list[tuple[ResourceKind, str]]:
    """What is left after one round, which needs no network."""
    left = Deletion(cinder, lambda: None).run(resources)  # type: ignore[arg-type,return-value]  # fakes
    return sorted((each.kind, each.id) for each in left)


def test_an_image_stays_until_cinder_has_deleted_the_snapshot_behind_it():
    cinder = SlowCinder()
    both = [(ResourceKind.IMAGE, "img"), (ResourceKind.SNAPSHOT, "snap")]
    assert deleted(cinder, IMAGE, SNAPSHOT) == both
    assert cinder.status == "deleting"
    assert deleted(cinder, IMAGE, SNAPSHOT) == both, "a second call is refused, and is not made"
    assert "/images/img" in cinder.there
    cinder.finish()
    assert deleted(cinder, IMAGE, SNAPSHOT) == []
    assert cinder.there == set()


def test_a_snapshot_that_cinder_still_makes_is_waited_for():
    cinder = SlowCinder(status="creating")
    assert deleted(cinder, IMAGE) == [(ResourceKind.IMAGE, "img"), (ResourceKind.SNAPSHOT, "snap")]
    cinder.status = "available"
    deleted(cinder, IMAGE)
    assert cinder.status == "deleting"
