"""Calls of OpenStack's services: what a handler is given, what it answers, and errors in each service's own words."""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers, QueryParams

from imagesmith.sandbox.openstack.things import Token

if TYPE_CHECKING:
    from imagesmith.sandbox.openstack.site import Site

Document = dict[str, Any]

_TITLES = {
    300: "Multiple Choices",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    406: "Not Acceptable",
    409: "Conflict",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}
_NOVA_WORDS = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    409: "conflictingRequest",
    413: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}


class Problem(Exception):
    """What the client gets instead of an answer; `kind` is the exception's name where the service tells it."""

    def __init__(self, status: int, message: str, *, kind: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind


@dataclass
class Reply:
    """A JSON document, text, or nothing."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """One request. `base` is the site's URL, `version` the microversion of compute."""

    site: "Site"
    service: str
    method: str
    path: str
    parameters: Mapping[str, str]
    query: QueryParams
    headers: Headers
    content: bytes
    base: str
    secret: str = ""
    token: Token | None = None
    version: tuple[int, int] = (2, 1)

    @property
    def body(self) -> Any:
        """The request's JSON; raises Problem 400."""
        try:
            return json.loads(self.content or b"null")
        except ValueError:
            raise Problem(400, "The server could not comply with the request since it is malformed.") from None

    def document(self, name: str) -> Document:
        """What the body holds under its one name; raises Problem 400."""
        body = self.body
        if not isinstance(body, dict) or not isinstance(body.get(name), dict):
            raise Problem(400, f"Invalid input: {name} is required in the request's body, and is an object.")
        found: Document = body[name]
        return found

    def number(self, name: str, default: int) -> int:
        """A number of the query; raises Problem 400."""
        text = self.query.get(name) or str(default)
        if not text.isdigit():
            raise Problem(400, f"Invalid input for query parameters {name}. Value: {text}. It must be an integer.")
        return int(text)

    @property
    def user_token(self) -> Token:
        """The token of a call that needs one."""
        assert self.token is not None, "the door lets no call without a token through"
        return self.token


Handler = Callable[[Call], Reply]


@dataclass(frozen=True)
class Rule:
    """A method and path with what answers; an open one needs no token."""

    method: str
    path: str
    handler: Handler
    open: bool = False


def new_uuid() -> str:
    """A fresh id as most services have it."""
    return str(uuid.uuid4())


def moment(created: str, *, zone: str = "Z") -> str:
    """A thing's time without fractions of a second, as Nova, Glance and Neutron write it."""
    return created[:19] + zone


def error_body(service: str, problem: Problem, *, havana: bool) -> Any:
    """The error as the service would write it."""
    title = _TITLES.get(problem.status, "Error")
    if service == "identity" or problem.status == 401:  # 401 comes from one middleware in front of all services
        return {"error": {"code": problem.status, "message": problem.message, "title": title}}
    if service == "network":
        kind = problem.kind or {404: "HTTPNotFound", 501: "HTTPNotImplemented"}.get(problem.status, "BadRequest")
        return {"NeutronError": {"type": kind, "message": problem.message, "detail": ""}}
    if service == "image":
        code = f"{problem.status} {title}"
        if havana:
            return f"<html><head><title>{code}</title></head><body><h1>{code}</h1>{problem.message}<br /></body></html>"
        return {"message": f"{problem.message}<br /><br />\n\n\n", "code": code, "title": title}
    word = _NOVA_WORDS.get(problem.status, "computeFault")
    return {word: {"code": problem.status, "message": problem.message}}
