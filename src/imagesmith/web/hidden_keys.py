"""Where in a request something lies that Airflow must not see: found by the keys it lies under."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from imagesmith.core import PASSWORD_PREFIX

# Under these Airflow's requests bring what becomes a run's conf.
CONTAINERS = ("conf", "dag_run_conf", "params", "params_input")


def password_keys(value: Any, asking: Collection[str] | None) -> set[str]:
    """Keys anywhere in the document under which a password of an asking cloud would lie; None: of whatever cloud."""
    if isinstance(value, list):
        return {key for item in value for key in password_keys(item, asking)}
    if not isinstance(value, dict):
        return set()
    found = {key for item in value.values() for key in password_keys(item, asking)}
    for key, item in value.items():
        cloud = key.removeprefix(PASSWORD_PREFIX)
        if key.startswith(PASSWORD_PREFIX) and (asking is None or cloud in asking) and item not in ("", None):
            found.add(key)
    return found


def secret_keys(value: Any, names: Collection[str] | None, *, within: bool = False) -> set[str]:
    """Secret parameters in what may become a run's conf, at any depth; None: whatever is there.

    Elsewhere their names are words like others. `within` tells that `value` is such a place.
    """
    if isinstance(value, list):
        return {key for item in value for key in secret_keys(item, names, within=within)}
    if not isinstance(value, dict):
        return set()
    found = {
        key
        for container, item in value.items()
        for key in secret_keys(item, names, within=within or container in CONTAINERS)
    }
    if within:
        found |= {key for key, item in value.items() if (names is None or key in names) and item not in ("", None)}
    return found
