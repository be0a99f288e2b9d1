"""The address from which a cloud sees us: the only one that may reach SSH on an instance under build."""

from __future__ import annotations

import ipaddress
import socket
import urllib.error
import urllib.request
from http.client import HTTPException
from urllib.parse import urlsplit

from imagesmith.errors import CloudBusy, SetupError

_LIMIT_S = 5


def caller_cidr(cloud: str, endpoint_url: str, *, ask_url: str = "") -> str:
    """The CIDR of our own address, for `ssh_cidr: auto`.

    It is what `ask_url` answers, for a caller behind an address translation; without one it is the address of this
    machine on the way to the endpoint, and nobody is asked. Raises CloudBusy, SetupError.
    """
    answer = _asked(cloud, ask_url) if ask_url else _on_the_way_to(cloud, urlsplit(endpoint_url).hostname or "")
    try:
        address = ipaddress.ip_address(answer)
    except ValueError as error:
        raise SetupError(
            f"{cloud}: {ask_url} answered no address; write ssh_cidr of {cloud} in include/clouds.yaml"
        ) from error
    return f"{address}/{address.max_prefixlen}"


def _asked(cloud: str, url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=_LIMIT_S) as reply:
            answer: bytes = reply.read(64)
    except (urllib.error.URLError, TimeoutError, ConnectionError, HTTPException) as error:
        raise CloudBusy(
            f"{cloud}: our own address could not be asked at {url}: {error}; it is tried again; if it stays, "
            f"write ssh_cidr of {cloud} in include/clouds.yaml"
        ) from error
    return answer.decode("ascii", errors="replace").strip()


def _on_the_way_to(cloud: str, host: str) -> str:
    try:
        family, _, _, _, target = socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(target)  # picks the route; a datagram socket sends nothing here
            return str(probe.getsockname()[0])
    except OSError as error:
        raise CloudBusy(
            f"{cloud}: no way to the endpoint's host {host}: {error}; it is tried again; if it stays, "
            f"check the endpoint URL in the Airflow connection {cloud}"
        ) from error
