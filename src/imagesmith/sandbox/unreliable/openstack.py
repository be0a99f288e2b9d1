"""OpenStack's services behind the layer."""

import json
from typing import Any

from imagesmith.sandbox.unreliable.layer import Answered, Asked
from imagesmith.sandbox.unreliable.trouble import Kind

_PAGE = "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n"


class OpenStackDialect:
    """All services of a site."""

    kinds = frozenset(Kind)

    def reads(self, asked: Asked) -> bool:
        """Whether it is a GET."""
        return asked.method in ("GET", "HEAD")

    def refusal(self, kind: Kind, asked: Asked) -> Answered:
        """Nova's words when it asks for patience, the services' own for an error, and a proxy's when none answers."""
        if kind is Kind.UNAVAILABLE:
            return Answered(503, [(b"content-type", b"text/html")], _PAGE.encode())
        if kind is Kind.THROTTLED:
            body: Any = {"overLimit": {"code": 429, "message": "This request was rate-limited.", "retryAfter": "1"}}
            return _json(429, body, (b"retry-after", b"1"))
        message = "Unexpected API Error. Please report this. <class 'oslo_db.exception.DBConnectionError'>"
        return _json(500, {"computeFault": {"code": 500, "message": message}})

    def made(self, answered: Answered) -> set[str]:
        """The ids in the answer's document, or the name of a key pair."""
        found = set()
        document = _document(answered)
        for each in [document, *(value for value in document.values() if isinstance(value, dict))]:
            if each.get("id"):
                found.add(str(each["id"]))
        key_pair = document.get("keypair")
        if isinstance(key_pair, dict):
            found.add(str(key_pair.get("name")))
        location = dict(answered.headers).get(b"location", b"").decode()
        if "/images/" in location:
            found.add(location.rpartition("/")[2])
        if document.get("image_id"):
            found.add(str(document["image_id"]))
        return found

    def unknown(self, asked: Asked, new: frozenset[str]) -> Answered | None:
        """404 to a look at it; who changes it, is answered by the one that made it."""
        if self.reads(asked) and new & set(asked.path.split("/")):
            return _json(404, {"itemNotFound": {"code": 404, "message": "It could not be found."}})
        return None

    def without(self, answered: Answered, new: frozenset[str]) -> Answered:
        """The lists without the new things."""
        document = {
            key: [each for each in value if not _is_new(each, new)] if isinstance(value, list) else value
            for key, value in _document(answered).items()
        }
        return _same(answered, document)

    def doubled(self, answered: Answered) -> Answered:
        """Each item of the document's lists twice."""
        document = {
            key: value * 2 if isinstance(value, list) and all(isinstance(each, dict) for each in value) else value
            for key, value in _document(answered).items()
        }
        return _same(answered, document)


def _is_new(item: Any, new: frozenset[str]) -> bool:
    if not isinstance(item, dict):
        return False
    inner = item.get("keypair", item)
    return str(inner.get("id", "")) in new or ("keypair" in item and str(inner.get("name")) in new)


def _document(answered: Answered) -> dict[str, Any]:
    try:
        document = json.loads(answered.body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _same(answered: Answered, document: dict[str, Any]) -> Answered:
    if not document:
        return answered
    return Answered(answered.status, answered.headers, json.dumps(document).encode())


def _json(status: int, document: Any, *headers: tuple[bytes, bytes]) -> Answered:
    return Answered(status, [(b"content-type", b"application/json"), *headers], json.dumps(document).encode())
