"""EC2's query protocol: form fields in, XML out, and the errors in EC2's words."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

EC2_VERSION = "2016-11-15"
_EC2_NAMESPACE = f"http://ec2.amazonaws.com/doc/{EC2_VERSION}/"
_STS_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


class EC2Error(Exception):
    """What the client gets instead of an answer."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def nested(body: str) -> dict[str, Any]:
    """Form fields as a tree: `Filter.1.Value.2=x` becomes {"Filter": [{"Value": [..., "x"]}]}."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(body, keep_blank_values=True):
        branch = tree
        *path, leaf = name.split(".")
        for step in path:
            below = branch.setdefault(step, {})
            if not isinstance(below, dict):
                raise EC2Error("InvalidParameterCombination", f"parameter {name} contradicts another")
            branch = below
        branch[leaf] = value
    return {name: _lists(value) for name, value in tree.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if all(key.isdigit() for key in value):
        return [_lists(value[key]) for key in sorted(value, key=int)]
    return {key: _lists(below) for key, below in value.items()}


def answer(action: str, content: Mapping[str, Any], *, request_id: str) -> str:
    """The document of a successful EC2 action."""
    body = xml({"requestId": request_id, **content})
    return f'{_HEAD}<{action}Response xmlns="{_EC2_NAMESPACE}">{body}</{action}Response>'


def failure(error: EC2Error, *, request_id: str) -> str:
    """The document of a failed EC2 action."""
    said = {"Errors": {"Error": {"Code": error.code, "Message": error.message}}, "RequestID": request_id}
    return f"{_HEAD}<Response>{xml(said)}</Response>"


def sts_answer(action: str, content: Mapping[str, Any], *, request_id: str) -> str:
    """The document of a successful STS action."""
    body = xml({f"{action}Result": content, "ResponseMetadata": {"RequestId": request_id}})
    return f'{_HEAD}<{action}Response xmlns="{_STS_NAMESPACE}">{body}</{action}Response>'


def sts_failure(error: EC2Error, *, request_id: str) -> str:
    """The document of a failed STS action."""
    said = {"Type": "Sender", "Code": error.code, "Message": error.message}
    body = xml({"Error": said, "RequestId": request_id})
    return f'{_HEAD}<ErrorResponse xmlns="{_STS_NAMESPACE}">{body}</ErrorResponse>'


def xml(value: Any) -> str:
    """Elements of a mapping; lists become `<item>`s, None is left out."""
    if isinstance(value, Mapping):
        return "".join(f"<{key}>{xml(below)}</{key}>" for key, below in value.items() if below is not None)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "".join(f"<item>{xml(below)}</item>" for below in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(str(value))
