"""Microversions of Nova: which one a request asks for, and how the answer tells it."""

import re

from starlette.requests import Request

from imagesmith.sandbox.openstack.wire import Problem

LEAST, MOST = (2, 1), (2, 93)


def asked(request: Request) -> tuple[int, int]:
    """The compute microversion that the request asks for; raises Problem."""
    text = request.headers.get("x-openstack-nova-api-version", "")
    for each in request.headers.get("openstack-api-version", "").split(","):
        words = each.split()
        if len(words) == 2 and words[0].lower() == "compute":
            text = words[1]
    if not text:
        return LEAST
    if text == "latest":
        return MOST
    found = re.fullmatch(r"(\d+)\.(\d+)", text)
    if found is None:
        raise Problem(400, f"API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum.")
    version = int(found[1]), int(found[2])
    if not LEAST <= version <= MOST:
        raise Problem(406, f"Version {text} is not supported by the API. Minimum is 2.1 and maximum is 2.93.")
    return version


def told(version: tuple[int, int]) -> dict[str, str]:
    """The headers of the answer."""
    text = f"{version[0]}.{version[1]}"
    return {
        "OpenStack-API-Version": f"compute {text}",
        "X-OpenStack-Nova-API-Version": text,
        "Vary": "OpenStack-API-Version, X-OpenStack-Nova-API-Version",
    }
