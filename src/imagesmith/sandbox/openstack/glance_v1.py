"""Glance v1, as Havana's clients used it: an image's fields travel in headers."""

from typing import Any

from imagesmith.sandbox.openstack import images
from imagesmith.sandbox.openstack.glance import image_of, own_image, refuse, set_property
from imagesmith.sandbox.openstack.things import GlanceImage
from imagesmith.sandbox.openstack.wire import Call, Document, Problem, Reply, Rule, moment
from imagesmith.sandbox.state import now

_FIELD = "x-image-meta-"
_PROPERTY = "x-image-meta-property-"
_NUMBERS = ("min_disk", "min_ram")
_TRUE = ("true", "1", "yes", "t", "y", "on")


def list_images(call: Call) -> Reply:
    """A few fields of each image."""
    fields = ("id", "name", "size", "checksum", "disk_format", "container_format")
    return Reply({"images": [{name: each[name] for name in fields} for each in _chosen(call)]})


def list_details(call: Call) -> Reply:
    """All fields of each image."""
    return Reply({"images": _chosen(call)})


def show_headers(call: Call) -> Reply:
    """One image in headers; a GET would send its file, too."""
    if call.method != "HEAD":
        return refuse(call)
    return Reply(headers=_headers(_shown(image_of(call))))


def update_image(call: Call) -> Reply:
    """Fields as the headers have them; properties that are not named are removed unless the client says otherwise."""
    image = own_image(call)
    if call.headers.get("x-glance-registry-purge-props", "true").lower() in _TRUE:
        image.properties = {}
    for header, value in call.headers.items():
        if header.startswith(_PROPERTY):
            set_property(image, header.removeprefix(_PROPERTY), value)
        elif header.startswith(_FIELD):
            _set_field(image, header.removeprefix(_FIELD), value)
    image.updated = now()
    call.site.state.save(image)
    return Reply({"image": _shown(image)})


def delete_image(call: Call) -> Reply:
    """Gone."""
    image = own_image(call, verb="delete")
    if image.protected:
        raise Problem(403, f"Image {image.id} is protected and cannot be deleted.")
    images.remove(call.site, image)
    return Reply()


def _set_field(image: GlanceImage, name: str, value: str) -> None:
    if name == "name":
        image.name = value
    elif name == "is_public":
        image.visibility = "public" if value.lower() in _TRUE else "private"
    elif name == "protected":
        image.protected = value.lower() in _TRUE
    elif name in _NUMBERS:
        if not value.isdigit():
            raise Problem(400, f"Cannot convert image {name} '{value}' to an integer")
        setattr(image, name, int(value))


def _chosen(call: Call) -> list[Document]:
    """The project's own and the public ones."""
    own = call.site.facts.project_id
    found = [
        each for each in call.site.state.glance_images.values() if each.owner == own or each.visibility == "public"
    ]
    for name in ("name", "status"):
        if call.query.get(name):
            found = [each for each in found if getattr(each, name) == call.query[name]]
    return [_shown(each) for each in found]


def _shown(image: GlanceImage) -> Document:
    return {
        "id": image.id,
        "name": image.name,
        "status": image.status,
        "size": image.size or 0,
        "is_public": image.visibility == "public",
        "owner": image.owner,
        "protected": image.protected,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "properties": image.properties,
        "disk_format": "qcow2",
        "container_format": "bare",
        "checksum": None,
        "created_at": moment(image.created, zone=""),
        "updated_at": moment(image.updated, zone=""),
        "deleted": False,
        "deleted_at": None,
    }


def _headers(shown: Document) -> dict[str, str]:
    properties: dict[str, Any] = shown.pop("properties")
    named = {f"{_FIELD}{name}": value for name, value in shown.items() if value is not None}
    named |= {f"{_PROPERTY}{name}": value for name, value in properties.items()}
    return {name: str(value) for name, value in named.items()}


RULES = (
    Rule("GET", "/images", list_images),
    Rule("GET", "/images/detail", list_details),
    Rule("POST", "/images", refuse),
    Rule("GET", "/images/{image_id}", show_headers),
    Rule("PUT", "/images/{image_id}", update_image),
    Rule("DELETE", "/images/{image_id}", delete_image),
)
