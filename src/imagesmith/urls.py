"""Addresses as people write them into settings and connections."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_SHAPE = re.compile(r"https?://[\w.:\[\]-]+(/[^\s?#@]*)?")


def is_plain_url(text: str) -> bool:
    """Whether it is an http(s) URL of a host that can be, without a user, a password, a query or a fragment."""
    if not _SHAPE.fullmatch(text) or not text.isprintable():
        return False
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port beyond 65535, a bracket without its partner
        return False


def is_host_and_port(text: str) -> bool:
    """Whether it is `host:port` with a port that can be."""
    found = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*:([0-9]{1,5})", text)
    return found is not None and 1 <= int(found[1]) <= 65535
