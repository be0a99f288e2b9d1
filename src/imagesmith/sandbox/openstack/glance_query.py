"""Which images a list shows, in what order, and from where on."""

import re
from typing import Any

from imagesmith.sandbox.openstack.things import GlanceImage
from imagesmith.sandbox.openstack.wire import Call, Document, Problem, moment

MAX_PAGE = 1000
_DEFAULT_PAGE = 25
_NOT_FILTERS = {"limit", "marker", "sort", "sort_key", "sort_dir", "tag", "visibility", "member_status"}
_SORTABLE = {
    "name",
    "status",
    "container_format",
    "disk_format",
    "size",
    "id",
    "created_at",
    "updated_at",
    "min_disk",
    "min_ram",
    "owner",
    "visibility",
}
_MOMENT = re.compile(r"^(?:(gt|gte|lt|lte|eq|neq):)?(.+)$")


def shown(image: GlanceImage) -> Document:
    """The image as Glance v2 shows it: properties stand beside the fixed fields."""
    return {
        **image.properties,
        "id": image.id,
        "name": image.name,
        "status": image.status,
        "visibility": image.visibility,
        "owner": image.owner,
        "size": image.size,
        "virtual_size": None,
        "checksum": None,
        "os_hash_algo": None,
        "os_hash_value": None,
        "os_hidden": False,
        "protected": image.protected,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "container_format": "bare",
        "disk_format": "qcow2",
        "tags": list(image.tags),
        "created_at": moment(image.created),
        "updated_at": moment(image.updated),
        "self": f"/v2/images/{image.id}",
        "file": f"/v2/images/{image.id}/file",
        "schema": "/v2/schemas/image",
    }


def selected(call: Call) -> tuple[list[Document], str]:
    """The page's images, and the marker of the next page or an empty string."""
    found = [shown(image) for image in call.site.state.glance_images.values() if _visible(call, image)]
    found = [document for document in found if _matches(call, document)]
    for key, direction in reversed(_order(call)):
        found.sort(key=lambda document: str(document[key] or ""), reverse=direction == "desc")
    marker = call.query.get("marker")
    if marker:
        ids = [document["id"] for document in found]
        if marker not in ids:
            raise Problem(400, f"Invalid marker: {marker}")
        found = found[ids.index(marker) + 1 :]
    limit = min(MAX_PAGE, call.number("limit", _DEFAULT_PAGE))
    more = len(found) > limit > 0
    return found[:limit], found[limit - 1]["id"] if more else ""


def _visible(call: Call, image: GlanceImage) -> bool:
    wanted = call.query.get("visibility")
    if wanted not in (None, "all", "public", "private", "shared", "community"):
        raise Problem(400, f"Invalid visibility value: {wanted}")
    if wanted is None:
        own = image.owner == call.site.facts.project_id
        return own or image.visibility == "public"
    return wanted in ("all", image.visibility)


def _matches(call: Call, document: Document) -> bool:
    if not set(call.query.getlist("tag")) <= set(document["tags"]):
        return False
    return all(_holds(name, wanted, document) for name, wanted in call.query.multi_items() if name not in _NOT_FILTERS)


def _holds(name: str, wanted: str, document: Document) -> bool:
    if name in ("size_min", "size_max"):
        size = document["size"] or 0
        return bool(size >= int(wanted) if name == "size_min" else size <= int(wanted))
    if name in ("created_at", "updated_at"):
        return _compared(document[name], wanted)
    value = document.get(name)
    if isinstance(value, bool):
        return str(value).lower() == wanted.lower()
    if wanted.startswith("in:"):
        return str(value) in [each.strip('"') for each in wanted[3:].split(",")]
    return value is not None and str(value) == wanted


def _compared(value: str, wanted: str) -> bool:
    found = _MOMENT.match(wanted)
    operator, other = (found[1] or "eq", found[2][:19] + "Z") if found else ("eq", wanted)
    compared: dict[str, Any] = {
        "gt": value > other,
        "gte": value >= other,
        "lt": value < other,
        "lte": value <= other,
        "eq": value == other,
        "neq": value != other,
    }
    return bool(compared[operator])


def _order(call: Call) -> list[tuple[str, str]]:
    """Keys and directions, the most important first; the newest come first if nothing is said."""
    if call.query.get("sort"):
        pairs = [part.partition(":")[::2] for part in call.query["sort"].split(",")]
        order = [(key, direction or "desc") for key, direction in pairs]
    else:
        keys = call.query.getlist("sort_key") or ["created_at"]
        directions = call.query.getlist("sort_dir") or ["desc"]
        directions += directions[-1:] * (len(keys) - len(directions))
        order = list(zip(keys, directions, strict=False))
    for key, direction in order:
        if key not in _SORTABLE or direction not in ("asc", "desc"):
            raise Problem(400, f"Invalid sort key or direction: {key}:{direction}")
    return order
