"""The address from which a cloud sees us: the only one that may reach SSH on an instance under build."""

from __future__ import annotations

import ipaddress
import socket
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from imagesmith.clouds.ec2_words import Ec2Settings, is_aws
from imagesmith.errors import CloudBusy, DefinitionError, SetupError

_LIMIT_S = 5


def caller_cidr(cloud: str, endpoint_url: str, *, settings: Ec2Settings) -> str:
    """The CIDR of our own address, for `ssh_cidr: auto`.

    On AWS it is what `caller_address_url` answers, by default the service AWS names in its documentation for
    the purpose. Any other endpoint is reached without an address translation we know of: there it is the
    address of this machine on the way to it, and nobody is asked.
    """
    if settings.use_private_address or settings.public_ip is False:
        raise DefinitionError(
            f"{cloud}: ssh_cidr is auto, but instances are reached at private addresses, where the caller's "
            f"address cannot be known; write ssh_cidr of {cloud} in include/clouds.yaml"
        )
    host = urlsplit(endpoint_url).hostname or ""
    answer = _asked(cloud, settings.caller_address_url) if is_aws(host) else _on_the_way_to(cloud, host)
    try:
        address = ipaddress.ip_address(answer)
    except ValueError as error:
        raise SetupError(
            f"{cloud}: {settings.caller_address_url} answered no address; write ssh_cidr of {cloud} "
            "in include/clouds.yaml"
        ) from error
    return f"{address}/{address.max_prefixlen}"


def _asked(cloud: str, url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=_LIMIT_S) as reply:
            answer: bytes = reply.read(64)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
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
