"""The proxy that the environment names for the world outside, which knows no program of this machine."""

from collections.abc import MutableMapping

_LOOPBACK = ("127.0.0.1", "localhost")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
# Some programs read the one, some the other.
_EXCEPTIONS = ("no_proxy", "NO_PROXY")


def leave_out_loopback(environment: MutableMapping[str, str]) -> None:
    """Where a proxy is named, makes whatever runs in that environment reach this machine itself without it."""
    if not any(environment.get(name) or environment.get(name.upper()) for name in _PROXIES):
        return
    named = next((environment[name] for name in _EXCEPTIONS if environment.get(name)), "")
    if named.strip() == "*":
        return
    known = [part.strip() for part in named.split(",") if part.strip()]
    left_out = ",".join([*known, *(name for name in _LOOPBACK if name not in known)])
    environment.update(dict.fromkeys(_EXCEPTIONS, left_out))
