"""Tags on anything that has an id."""

from collections.abc import Callable
from typing import Any

from imagesmith.sandbox.cloud import Cloud
from imagesmith.sandbox.ec2_actions.port import DONE, Action, Answer, Parameters
from imagesmith.sandbox.ec2_query import by_id, filtered, listed, page, required, tags_in
from imagesmith.sandbox.ec2_wire import EC2Error
from imagesmith.sandbox.state import Thing

_TYPES = {
    "i": "instance",
    "ami": "image",
    "snap": "snapshot",
    "vol": "volume",
    "key": "key-pair",
    "sg": "security-group",
}
_FIELDS: dict[str, Callable[[Any], list[str]]] = {
    "resource-id": lambda entry: [entry["resourceId"]],
    "resource-type": lambda entry: [entry["resourceType"]],
    "key": lambda entry: [entry["key"]],
    "value": lambda entry: [entry["value"]],
}


def create_tags(cloud: Cloud, parameters: Parameters) -> Answer:
    """Adds or replaces."""
    things = _asked_for(cloud, parameters)
    tags = tags_in(required(parameters, "Tag"))
    for thing in things:
        thing.tags |= tags
    cloud.state.save(*things)
    return DONE


def delete_tags(cloud: Cloud, parameters: Parameters) -> Answer:
    """Removes tags of these keys (and values, where given), or all."""
    things = _asked_for(cloud, parameters)
    wanted = listed(parameters.get("Tag"))
    for thing in things:
        for tag in wanted:
            if tag.get("Value") in (None, thing.tags.get(tag.get("Key"))):
                thing.tags.pop(tag.get("Key"), None)
        if not wanted:
            thing.tags.clear()
    cloud.state.save(*things)
    return DONE


def describe_tags(cloud: Cloud, parameters: Parameters) -> Answer:
    """Every tag of everything."""
    entries = [
        {"resourceId": thing.id, "resourceType": type_of(thing), "key": key, "value": value}
        for thing in cloud.state.all()
        for key, value in thing.tags.items()
    ]
    filters = listed(parameters.get("Filter"))
    for one in filters:  # here `tag:KEY` asks for the entry itself
        if str(one.get("Name", "")).startswith("tag:"):
            key, values = one["Name"].removeprefix("tag:"), listed(one.get("Value"))
            entries = [entry for entry in entries if entry["key"] == key and entry["value"] in values]
    filters = [one for one in filters if not str(one.get("Name", "")).startswith("tag:")]
    shown, token = page(parameters, filtered(entries, filters, _FIELDS))
    return {"tagSet": shown, "nextToken": token}


def type_of(thing: Thing) -> str:
    """EC2's word for the kind of thing."""
    return _TYPES[thing.id.partition("-")[0]]


def _asked_for(cloud: Cloud, parameters: Parameters) -> list[Thing]:
    state = cloud.state
    tables: dict[str, dict[str, Any]] = {
        "i": state.instances,
        "ami": state.images,
        "snap": state.snapshots,
        "vol": state.volumes,
        "key": state.key_pairs,
        "sg": state.groups,
    }
    things = []
    for thing_id in listed(required(parameters, "ResourceId")):
        prefix = str(thing_id).partition("-")[0]
        if prefix not in tables:
            raise EC2Error("InvalidID", f"The ID '{thing_id}' is not valid")
        things.append(by_id(tables[prefix], thing_id, prefix=prefix))
    return things


ACTIONS: dict[str, Action] = {
    "CreateTags": create_tags,
    "DeleteTags": delete_tags,
    "DescribeTags": describe_tags,
}
