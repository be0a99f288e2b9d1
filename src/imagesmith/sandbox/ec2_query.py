"""What every Describe action shares: selection by ids and filters, and pages."""

import base64
import binascii
import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from imagesmith.sandbox.ec2_wire import EC2Error
from imagesmith.sandbox.state import Thing

T = TypeVar("T")
# What a filter of this name looks at: the thing's values, as EC2 spells them.
Fields = Mapping[str, Callable[[Any], Iterable[str]]]

_ID_ERRORS = {
    "i": ("InvalidInstanceID.Malformed", "InvalidInstanceID.NotFound"),
    "ami": ("InvalidAMIID.Malformed", "InvalidAMIID.NotFound"),
    "snap": ("InvalidSnapshotID.Malformed", "InvalidSnapshot.NotFound"),
    "vol": ("InvalidVolumeID.Malformed", "InvalidVolume.NotFound"),
    "sg": ("InvalidGroupId.Malformed", "InvalidGroup.NotFound"),
    "key": ("InvalidKeyPair.Malformed", "InvalidKeyPair.NotFound"),
    "subnet": ("InvalidSubnetID.Malformed", "InvalidSubnetID.NotFound"),
    "vpc": ("InvalidVpcID.Malformed", "InvalidVpcID.NotFound"),
}


def listed(value: Any) -> list[Any]:
    """A parameter that may be absent, single or a list, as a list."""
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def flag(value: Any, *, default: bool = False) -> bool:
    """A boolean parameter."""
    return default if value is None else str(value).lower() == "true"


def number(parameters: Mapping[str, Any], name: str, *, default: int) -> int:
    """A whole-number parameter; raises InvalidParameterValue."""
    try:
        return int(parameters.get(name, default))
    except ValueError:
        message = f"Value ({parameters[name]}) for parameter {name} is invalid. It must be a number."
        raise EC2Error("InvalidParameterValue", message) from None


def required(parameters: Mapping[str, Any], name: str) -> Any:
    """A parameter that must be there; raises MissingParameter."""
    value = parameters.get(name)
    if value is None or value in ("", [], {}):
        raise EC2Error("MissingParameter", f"The request must contain the parameter {name}")
    return value


def filtered(things: Iterable[T], filters: Any, fields: Fields) -> list[T]:
    """The things that match every filter; raises InvalidParameterValue for a filter EC2 would not know here."""
    chosen = list(things)
    for one in listed(filters):
        name, patterns = one.get("Name", ""), listed(one.get("Value"))
        look = _look(name, fields)
        chosen = [thing for thing in chosen if any(matches(p, v) for v in look(thing) for p in patterns)]
    return chosen


def _look(name: str, fields: Fields) -> Callable[[Any], Iterable[str]]:
    if name in fields:
        return fields[name]
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        return lambda thing: [thing.tags[key]] if key in thing.tags else []
    if name in ("tag-key", "tag-value"):
        return lambda thing: thing.tags if name == "tag-key" else thing.tags.values()
    raise EC2Error("InvalidParameterValue", f"The filter '{name}' is invalid")


def matches(pattern: str, value: str) -> bool:
    """EC2's wildcards: `*` any run, `?` any one character, a backslash takes the next one literally."""
    return _expression(pattern).fullmatch(value) is not None


@functools.lru_cache(maxsize=4096)
def _expression(pattern: str) -> re.Pattern[str]:
    parts = re.findall(r"\\.|.", pattern, flags=re.DOTALL)
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(part, re.escape(part[-1])) for part in parts), re.DOTALL)


def by_ids(things: Mapping[str, T], ids: Any, *, prefix: str) -> list[T]:
    """The things of these ids, all things if none are given; raises as `by_id`."""
    wanted = listed(ids)
    if not wanted:
        return list(things.values())
    return [by_id(things, each, prefix=prefix) for each in wanted]


def by_id(things: Mapping[str, T], thing_id: str, *, prefix: str) -> T:
    """The thing of this id; raises what EC2 says of a malformed or unknown id of that kind."""
    malformed, not_found = _ID_ERRORS[prefix]
    if not re.fullmatch(rf"{prefix}-([0-9a-f]{{8}}|[0-9a-f]{{17}})", thing_id):
        raise EC2Error(malformed, f'Invalid id: "{thing_id}" (expecting "{prefix}-...")')
    if thing_id not in things:
        raise EC2Error(not_found, f"The ID '{thing_id}' does not exist")
    return things[thing_id]


def page(parameters: Mapping[str, Any], things: list[T], *, least: int = 5) -> tuple[list[T], str | None]:
    """One page of at most MaxResults, and the token of the next."""
    token = parameters.get("NextToken")
    if not parameters.get("MaxResults") and not token:
        return things, None
    size = number(parameters, "MaxResults", default=1000)
    if not least <= size <= 1000:
        message = f"Value ( {size} ) for parameter maxResults is invalid. Expecting {least} to 1000."
        raise EC2Error("InvalidParameterValue", message)
    start = _offset(token) if token else 0
    after = start + size
    following = base64.urlsafe_b64encode(b"from %d" % after).decode() if after < len(things) else None
    return things[start:after], following


def _offset(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token).removeprefix(b"from "))
    except (ValueError, binascii.Error):
        raise EC2Error("InvalidNextToken", f"The token '{token}' is invalid") from None


def tag_set(thing: Thing) -> list[dict[str, str]] | None:
    """The thing's tags as EC2 lists them."""
    return [{"key": key, "value": value} for key, value in thing.tags.items()] or None


def tags_for(parameters: Mapping[str, Any], resource_type: str) -> dict[str, str]:
    """The tags that the request wants on things of this type."""
    tags: dict[str, str] = {}
    for one in listed(parameters.get("TagSpecification")):
        if one.get("ResourceType") == resource_type:
            tags |= tags_in(one.get("Tag"))
    return tags


def tags_in(pairs: Any) -> dict[str, str]:
    """Key-value pairs as a mapping; raises as EC2 does for keys it reserves."""
    tags = {str(pair.get("Key", "")): str(pair.get("Value", "")) for pair in listed(pairs)}
    for key in tags:
        if not key or len(key) > 127 or key.lower().startswith("aws:"):
            raise EC2Error("InvalidParameterValue", f"Tag key '{key}' is empty, too long or reserved")
    return tags
