"""Glance v2: images listed, shown, changed, tagged, deleted. What is on their disks can't be sent or fetched here."""

from typing import Any
from urllib.parse import urlencode

from imagesmith.sandbox.openstack import images
from imagesmith.sandbox.openstack.glance_query import selected, shown
from imagesmith.sandbox.openstack.things import GlanceImage
from imagesmith.sandbox.openstack.wire import Call, Document, Problem, Reply, Rule
from imagesmith.sandbox.state import now

_PATCH_TYPES = ("application/openstack-images-v2.1-json-patch", "application/openstack-images-v2.0-json-patch")
_CHANGEABLE: dict[str, type[Any]] = {
    "name": str,
    "visibility": str,
    "protected": bool,
    "min_disk": int,
    "min_ram": int,
    "tags": list,
}
_READ_ONLY = {
    "id",
    "status",
    "owner",
    "size",
    "virtual_size",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "os_hidden",
    "container_format",
    "disk_format",
    "created_at",
    "updated_at",
    "self",
    "file",
    "schema",
    "locations",
    "direct_url",
}
_VISIBILITIES = ("public", "private", "shared", "community")


def list_images(call: Call) -> Reply:
    """One page."""
    found, marker = selected(call)
    kept = [(name, value) for name, value in call.query.multi_items() if name != "marker"]
    body: Document = {
        "images": found,
        "schema": "/v2/schemas/images",
        "first": "/v2/images" + (f"?{urlencode(kept)}" if kept else ""),
    }
    if marker:
        body["next"] = f"/v2/images?{urlencode([*kept, ('marker', marker)])}"
    return Reply(body)


def show_image(call: Call) -> Reply:
    """One image."""
    return Reply(shown(image_of(call)))


def update_image(call: Call) -> Reply:
    """All changes of the patch, or none."""
    image = own_image(call)
    if call.headers.get("content-type", "").partition(";")[0].strip() not in _PATCH_TYPES:
        raise Problem(415, "The server could not comply: its Content-Type must be that of a JSON patch of images.")
    changes = call.body
    if not isinstance(changes, list):
        raise Problem(400, "Request body must be a JSON array of operation objects.")
    trial = GlanceImage(**{**vars(image), "properties": dict(image.properties), "tags": dict(image.tags)})
    for change in changes:
        _apply(trial, change)
    for name in ("name", "visibility", "protected", "min_disk", "min_ram", "tags", "properties"):
        setattr(image, name, getattr(trial, name))
    _save(call, image)
    return Reply(shown(image))


def delete_image(call: Call) -> Reply:
    """Gone, also while it is being saved."""
    image = own_image(call, verb="delete")
    if image.protected:
        raise Problem(403, f"Image {image.id} is protected and cannot be deleted.")
    images.remove(call.site, image)
    return Reply(status=204)


def add_tag(call: Call) -> Reply:
    """One more."""
    image = own_image(call)
    image.tags[call.parameters["tag"]] = ""
    _save(call, image)
    return Reply(status=204)


def delete_tag(call: Call) -> Reply:
    """One less."""
    image = own_image(call)
    if image.tags.pop(call.parameters["tag"], None) is None:
        raise Problem(404, "Unable to find the tag")
    _save(call, image)
    return Reply(status=204)


def list_members(call: Call) -> Reply:
    """None: there is no other project to share with."""
    image_of(call)
    return Reply({"members": [], "schema": "/v2/schemas/members"})


def show_schema(call: Call) -> Reply:
    """What an image may say of itself."""
    properties: Document = {name: {"type": "string", "readOnly": True} for name in sorted(_READ_ONLY)}
    for name, kind in _CHANGEABLE.items():
        properties[name] = {"type": {str: "string", bool: "boolean", int: "integer", list: "array"}[kind]}
    properties["visibility"]["enum"] = list(_VISIBILITIES)
    schema: Document = {"name": "image", "properties": properties, "additionalProperties": {"type": "string"}}
    if call.parameters["kind"] == "image":
        return Reply(schema)
    if call.parameters["kind"] == "images":
        return Reply({"name": "images", "properties": {"images": {"type": "array", "items": schema}}})
    raise Problem(404, "The resource could not be found.")


def refuse(call: Call) -> Reply:
    """The sandbox takes and gives no image files: images are saved from servers."""
    raise Problem(501, "The sandbox makes images from servers only; their files can't be sent or fetched.")


def image_of(call: Call) -> GlanceImage:
    """The image of the path; raises Problem 404."""
    image_id = call.parameters["image_id"]
    try:
        return call.site.state.glance_images[image_id]
    except KeyError:
        raise Problem(404, f"No image found with ID {image_id}") from None


def own_image(call: Call, *, verb: str = "modify") -> GlanceImage:
    """The image of the path, if it is the project's own; raises Problem."""
    image = image_of(call)
    if image.owner != call.site.facts.project_id:
        raise Problem(403, f"You are not permitted to {verb} this image.")
    return image


def set_property(image: GlanceImage, name: str, value: Any) -> None:
    """A fixed field or a property; raises Problem for a value it can't have."""
    kind = _CHANGEABLE.get(name, str)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Problem(400, f"Provided object does not match schema 'image': {value!r} is not of type {kind.__name__}")
    if name == "visibility" and value not in _VISIBILITIES:
        raise Problem(400, f"Provided object does not match schema 'image': {value!r} is not one of {_VISIBILITIES}")
    if name == "tags":
        image.tags = dict.fromkeys(value, "")
    elif name in _CHANGEABLE:
        setattr(image, name, value)
    else:
        image.properties[name] = value


def _apply(image: GlanceImage, change: Any) -> None:
    operation = change.get("op") if isinstance(change, dict) else None
    if operation not in ("add", "replace", "remove"):
        raise Problem(400, f"Invalid operation: `{operation}`. It must be one of the following: add, replace, remove.")
    name = str(change.get("path", "")).removeprefix("/").replace("~1", "/").replace("~0", "~")
    if not name or name in _READ_ONLY:
        raise Problem(403, f"Attribute '{name}' is read-only.")
    there = name in _CHANGEABLE or name in image.properties
    if operation in ("replace", "remove") and not there:
        raise Problem(409, f"Property {name} does not exist.")
    if operation == "remove":
        if name in _CHANGEABLE:
            raise Problem(403, f"Property {name} may not be removed.")
        del image.properties[name]
    else:
        set_property(image, name, change.get("value"))


def _save(call: Call, image: GlanceImage) -> None:
    image.updated = now()
    call.site.state.save(image)


_ONE = "/images/{image_id}"
RULES = (
    Rule("GET", "/images", list_images),
    Rule("POST", "/images", refuse),
    Rule("GET", _ONE, show_image),
    Rule("PATCH", _ONE, update_image),
    Rule("DELETE", _ONE, delete_image),
    Rule("PUT", _ONE + "/tags/{tag}", add_tag),
    Rule("DELETE", _ONE + "/tags/{tag}", delete_tag),
    Rule("GET", _ONE + "/members", list_members),
    Rule("GET", _ONE + "/file", refuse),
    Rule("PUT", _ONE + "/file", refuse),
    Rule("GET", "/schemas/{kind}", show_schema),
)
