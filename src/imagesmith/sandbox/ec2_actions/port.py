"""The shape of an action: the cloud and the request's parameters in, the answer's elements out."""

from collections.abc import Callable, Mapping
from typing import Any

from imagesmith.sandbox.cloud import Cloud

Parameters = Mapping[str, Any]
Answer = Mapping[str, Any]
Action = Callable[[Cloud, Parameters], Answer]

DONE: Answer = {"return": True}
