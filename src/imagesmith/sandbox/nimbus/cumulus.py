"""The image store's door: S3's REST in path style with version 2 signatures, as far as Cumulus is used for images.

`HEAD /Repo/KEY`, `GET /Repo?prefix=`, `GET` and `PUT /Repo/KEY?acl`, `DELETE /Repo/KEY`. Images arrive by being saved.
Outside `VMS/` a user can put and get small texts of its own.
"""

import hmac
from datetime import UTC, datetime
from email.utils import formatdate
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from imagesmith.sandbox.nimbus import faults, notes, sigv2, store
from imagesmith.sandbox.nimbus.problem import Problem
from imagesmith.sandbox.nimbus.sites import BASE_KEY, BUCKET, COMMON, User
from imagesmith.sandbox.nimbus.things import StoredImage, StoredNote

if TYPE_CHECKING:
    from imagesmith.sandbox.nimbus.site import Site

_S3 = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
_EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"
_ACLS = {"private": False, "public-read": True}


def application(site: "Site") -> Starlette:
    """The store under `/Repo`."""

    async def answer(request: Request) -> Response:
        key = request.path_params.get("key", "")
        acl = sigv2.SIGNED_QUERY in request.query_params
        site.calls[f"repository {request.method}{' acl' if acl else ''}"] += 1
        try:
            return _answer(site, request, key, acl=acl, body=await request.body())
        except Problem as problem:
            return _error(problem, key)

    methods = ["GET", "HEAD", "PUT", "DELETE", "POST"]
    paths = (f"/{BUCKET}/{{key:path}}", f"/{BUCKET}")
    routes = [Route(path, answer, methods=methods) for path in paths]
    return Starlette(routes=routes, exception_handlers={404: lambda *_: _error(Problem(404, "NoSuchBucket"), "")})


def _answer(site: "Site", request: Request, key: str, *, acl: bool, body: bytes) -> Response:
    if faults.take(site.faults, "store", "busy"):
        raise Problem(503, "SlowDown", "Please reduce your request rate.")
    user = _signer(site, request, acl=acl)
    if not key:
        if request.method not in ("GET", "HEAD"):
            raise Problem(405, "MethodNotAllowed")
        return _listing(site, user, request.query_params.get("prefix", ""))
    if not key.startswith(f"{BASE_KEY}/"):
        return notes.answer(site, request.method, key, user=user, body=body)
    return _image_answer(site, request, key, user=user, acl=acl)


def _image_answer(site: "Site", request: Request, key: str, *, user: User, acl: bool) -> Response:
    stored = site.state.stored_images.get(key)
    if stored is None:
        raise Problem(404, "NoSuchKey", "The specified key does not exist.")
    if request.method == "HEAD":
        return _head(stored, user)
    if request.method not in ("GET", "PUT", "DELETE") or (request.method != "DELETE" and not acl):
        raise Problem(501, "NotImplemented", "The sandbox takes and gives no content: images arrive by being saved.")
    if stored.owner_id != user.canonical_id:
        raise Problem(403, "AccessDenied", "Access Denied")
    if request.method == "GET":
        return _xml(_policy(stored))
    if request.method == "PUT":
        return _set_acl(site, stored, request.headers.get("x-amz-acl", ""))
    store.remove(site, stored)
    return Response(status_code=204)


def _signer(site: "Site", request: Request, *, acl: bool) -> User:
    """The user who signed the request; raises Problem."""
    given = request.headers.get("authorization", "")
    if given.startswith("AWS4-") or "X-Amz-Algorithm" in request.query_params:
        raise Problem(500, "InternalError", "We encountered an internal error. Please try again.")
    access_key = given.removeprefix("AWS ").partition(":")[0]
    user = next((each for each in site.facts.users if each.access_key == access_key), None)
    if user is None:
        raise Problem(403, "AccessDenied", "Access Denied")
    path = str(request.scope["path"]) + ("?acl" if acl else "")
    expected = sigv2.authorization(
        request.method, path, headers=request.headers, access_key=access_key, secret_key=user.secret_key
    )
    if not hmac.compare_digest(expected, given):
        raise Problem(403, "AccessDenied", "Access Denied")
    return user


def _head(stored: StoredImage, user: User) -> Response:
    if not store.may_read(stored, user):
        raise Problem(403, "AccessDenied")
    headers = {
        "Content-Length": str(stored.size),
        "Content-Type": "application/octet-stream",
        "ETag": f'"{stored.etag}"',
        "Last-Modified": formatdate(stored.modified, usegmt=True),
    }
    return Response(headers=headers)


def _listing(site: "Site", user: User, prefix: str) -> Response:
    """The user's own objects and the common ones; whoever sees a common one may still have no right to it."""
    visible = tuple(f"{BASE_KEY}/{folder}/" for folder in (user.canonical_id, COMMON))
    stored = site.state.stored_images
    found = [stored[key] for key in sorted(stored) if key.startswith(prefix) and key.startswith(visible)]
    own = [each for each in notes.of(site, user) if each.id.startswith(prefix)]
    contents = "".join([*map(_entry, found), *map(_entry, own)])
    head = f"<Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix><Marker/><MaxKeys>1000</MaxKeys>"
    return _xml(
        f"<ListBucketResult {_S3}>{head}<IsTruncated>false</IsTruncated>{contents}</ListBucketResult>",
    )


def _entry(stored: StoredImage | StoredNote) -> str:
    moment = datetime.fromtimestamp(stored.modified, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    owner = f"<Owner><ID>{stored.owner_id}</ID><DisplayName>{stored.owner_id}</DisplayName></Owner>"
    facts = f'<ETag>"{stored.etag}"</ETag><Size>{stored.size}</Size>{owner}<StorageClass>STANDARD</StorageClass>'
    return f"<Contents><Key>{escape(stored.id)}</Key><LastModified>{moment}</LastModified>{facts}</Contents>"


def _policy(stored: StoredImage) -> str:
    owner = f"<ID>{stored.owner_id}</ID><DisplayName>{stored.owner_id}</DisplayName>"
    grants = _grant(f'xsi:type="CanonicalUser">{owner}', "FULL_CONTROL")
    if stored.public:
        grants += _grant(f'xsi:type="Group"><URI>{_EVERYBODY}</URI>', "READ")
    granted = f"<AccessControlList>{grants}</AccessControlList>"
    return f"<AccessControlPolicy {_S3}><Owner>{owner}</Owner>{granted}</AccessControlPolicy>"


def _grant(grantee: str, permission: str) -> str:
    return f"<Grant><Grantee {_XSI} {grantee}</Grantee><Permission>{permission}</Permission></Grant>"


def _set_acl(site: "Site", stored: StoredImage, canned: str) -> Response:
    if canned not in _ACLS:
        raise Problem(501, "NotImplemented", f"The sandbox knows these canned ACLs: {', '.join(_ACLS)}.")
    stored.public = _ACLS[canned]
    site.state.save(stored)
    return Response()


def _error(problem: Problem, key: str) -> Response:
    """S3's error document; an answer to HEAD loses it on its way."""
    about = f"<Code>{problem.code}</Code><Message>{escape(str(problem))}</Message><Resource>{escape(key)}</Resource>"
    return _xml(f"<Error>{about}<RequestId>sandbox</RequestId></Error>", status=problem.status)


def _xml(content: str, *, status: int = 200) -> Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n{content}'
    return Response(text, status_code=status, media_type="application/xml")
