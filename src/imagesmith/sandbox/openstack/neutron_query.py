"""Lists of Neutron: filters by field, tags, chosen fields, pages."""

from collections.abc import Sequence

from imagesmith.sandbox.openstack.wire import Call, Document, Problem

_TAG_FILTERS = ("tags", "tags-any", "not-tags", "not-tags-any")
_NOT_FILTERS = {"fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir", *_TAG_FILTERS}


def listed(call: Call, documents: Sequence[Document]) -> list[Document]:
    """The documents that the query asks for; raises Problem 400 for a filter that is no field."""
    found = [document for document in documents if _matches(call, document)]
    marker = call.query.get("marker")
    ids = [document["id"] for document in found]
    if marker:
        found = found[ids.index(marker) + 1 :] if marker in ids else []
    if call.query.get("limit"):
        found = found[: call.number("limit", 1000)]
    fields = call.query.getlist("fields")
    return [{name: each[name] for name in fields if name in each} for each in found] if fields else found


def _matches(call: Call, document: Document) -> bool:
    for name in set(call.query.keys()) - _NOT_FILTERS:
        if name not in document:
            raise Problem(400, f"['{name}'] is invalid attribute for filtering", kind="HTTPBadRequest")
        if not any(_same(document[name], wanted) for wanted in call.query.getlist(name)):
            return False
    return _tags_match(call, set(document.get("tags", [])))


def _same(value: object, wanted: str) -> bool:
    if isinstance(value, bool):
        return str(value).lower() == {"1": "true", "0": "false"}.get(wanted, wanted.lower())
    if value is None:
        return wanted == ""
    if isinstance(value, list):  # fixed_ips=ip_address=198.18.16.10
        key, _, inner = wanted.partition("=")
        return any(isinstance(each, dict) and str(each.get(key)) == inner for each in value)
    return str(value) == wanted


def _tags_match(call: Call, has: set[str]) -> bool:
    asked = {name: set(filter(None, call.query.get(name, "").split(","))) for name in _TAG_FILTERS}
    if not asked["tags"] <= has or asked["not-tags-any"] & has:
        return False
    if asked["tags-any"] and not asked["tags-any"] & has:
        return False
    return not (asked["not-tags"] and asked["not-tags"] <= has)
