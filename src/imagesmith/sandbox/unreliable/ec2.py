"""EC2's query API behind the layer. Everything EC2 has just made may be unknown to its next calls for a while."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qs
from xml.etree import ElementTree

from imagesmith.sandbox import ec2_wire
from imagesmith.sandbox.ec2_wire import EC2Error
from imagesmith.sandbox.unreliable.layer import Answered, Asked
from imagesmith.sandbox.unreliable.trouble import Kind

_ID = re.compile(rb"\b(?:i|ami|vol|snap|sg|key)-[0-9a-f]{8,17}\b")
_WORDS = {
    Kind.THROTTLED: EC2Error("RequestLimitExceeded", "Request limit exceeded.", status=503),
    Kind.ERROR: EC2Error("InternalError", "An internal error has occurred", status=500),
    Kind.UNAVAILABLE: EC2Error("Unavailable", "The server is overloaded and can't handle the request.", status=503),
}
# What a call says that names things by their ids, of which one is unknown.
_UNKNOWN = {
    "InstanceId": "InvalidInstanceID.NotFound",
    "ImageId": "InvalidAMIID.NotFound",
    "GroupId": "InvalidGroup.NotFound",
    "SecurityGroupId": "InvalidGroup.NotFound",
    "KeyPairId": "InvalidKeyPair.NotFound",
    "VolumeId": "InvalidVolume.NotFound",
    "SnapshotId": "InvalidSnapshot.NotFound",
}


class EC2Dialect:
    """EC2."""

    kinds = frozenset(Kind)

    def reads(self, asked: Asked) -> bool:
        """Whether the action only describes."""
        return _action(asked).startswith(("Describe", "Get"))

    def refusal(self, kind: Kind, asked: Asked) -> Answered:
        """An error document."""
        return _error(_WORDS[kind])

    def made(self, answered: Answered) -> set[str]:
        """Every id in the answer."""
        return {found.decode() for found in _ID.findall(answered.body)}

    def unknown(self, asked: Asked, new: frozenset[str]) -> Answered | None:
        """EC2's word for an id it does not know."""
        for name, values in parse_qs(asked.body.decode(errors="replace")).items():
            code = _UNKNOWN.get(name.partition(".")[0])
            if code and new & set(values):
                return _error(EC2Error(code, f"The ID '{values[0]}' does not exist"))
        return None

    def without(self, answered: Answered, new: frozenset[str]) -> Answered:
        """The lists without the new things."""
        root = _root(answered)
        for parent, item in _items(root):
            if any(each in new for each in _ids_below(item)):
                parent.remove(item)
        return _same(answered, root)

    def doubled(self, answered: Answered) -> Answered:
        """Each item of the outermost lists twice."""
        root = _root(answered)
        for parent, item in _items(root):
            parent.append(item)
        return _same(answered, root)


def _action(asked: Asked) -> str:
    return parse_qs(asked.body.decode(errors="replace")).get("Action", [""])[0]


def _error(error: EC2Error) -> Answered:
    text = ec2_wire.failure(error, request_id="unreliable")
    return Answered(error.status, [(b"content-type", b"text/xml")], text.encode())


def _root(answered: Answered) -> ElementTree.Element:
    root = ElementTree.fromstring(answered.body)
    if root.tag.startswith("{"):  # the namespace goes where it was: on the outermost element only
        space, _, _ = root.tag[1:].partition("}")
        ElementTree.register_namespace("", space)
    return root


def _items(root: ElementTree.Element) -> Iterator[tuple[ElementTree.Element, ElementTree.Element]]:
    """The items of the answer's own lists, each with its list: instances, not the reservations they stand in."""
    lists = [child for child in root if len(child)]
    for each in lists:
        for item in list(each):
            inner = next((below for below in item if below.tag.endswith("}instancesSet")), None)
            if inner is None:
                yield each, item
            else:
                yield from ((inner, instance) for instance in list(inner))


def _ids_below(item: ElementTree.Element) -> Iterator[str]:
    return (each.text for each in item.iter() if each.text and _ID.fullmatch(each.text.encode()))


def _same(answered: Answered, root: ElementTree.Element) -> Answered:
    return Answered(answered.status, answered.headers, ElementTree.tostring(root, encoding="utf-8"))
