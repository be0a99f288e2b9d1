"""Small texts that users keep in the image store beside the images, each seen by its owner alone."""

import time
from email.utils import formatdate
from typing import TYPE_CHECKING

from starlette.responses import Response

from imagesmith.sandbox.nimbus.problem import Problem
from imagesmith.sandbox.nimbus.sites import User
from imagesmith.sandbox.nimbus.things import StoredNote

if TYPE_CHECKING:
    from imagesmith.sandbox.nimbus.site import Site

MOST_BYTES = 64 * 1024


def of(site: "Site", user: User) -> list[StoredNote]:
    """The user's own, by key."""
    notes = site.state.stored_notes
    return [notes[key] for key in sorted(notes) if notes[key].owner_id == user.canonical_id]


def answer(site: "Site", method: str, key: str, *, user: User, body: bytes) -> Response:
    """The store's answer to a request for a text; raises Problem."""
    note = site.state.stored_notes.get(key)
    if note is not None and note.owner_id != user.canonical_id:
        raise Problem(403, "AccessDenied", "Access Denied")
    if method == "PUT":
        return _put(site, key, user=user, body=body)
    if note is None:
        raise Problem(404, "NoSuchKey", "The specified key does not exist.")
    if method == "DELETE":
        site.state.remove(note)
        return Response(status_code=204)
    if method not in ("GET", "HEAD"):
        raise Problem(405, "MethodNotAllowed")
    headers = {"ETag": f'"{note.etag}"', "Last-Modified": formatdate(note.modified, usegmt=True)}
    return Response(note.content, headers=headers, media_type="application/octet-stream")


def _put(site: "Site", key: str, *, user: User, body: bytes) -> Response:
    if len(body) > MOST_BYTES:
        raise Problem(400, "EntityTooLarge", f"The sandbox keeps texts of up to {MOST_BYTES} bytes.")
    try:
        content = body.decode()
    except UnicodeDecodeError:
        raise Problem(501, "NotImplemented", "The sandbox keeps text in UTF-8 only.") from None
    note = StoredNote(id=key, owner_id=user.canonical_id, content=content, modified=time.time())
    site.state.save(note)
    return Response(headers={"ETag": f'"{note.etag}"'})
