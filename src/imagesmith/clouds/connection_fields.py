"""An Airflow connection's fields as people fill them in: judged before a cloud is called, and never shown.

Every refusal names the connection and the field; the value may be a secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from imagesmith.errors import SetupError
from imagesmith.urls import is_plain_url

MOST_CHARACTERS = 64 * 1024


def check_extra(cloud: str, extra: str | None, *, lines: Iterable[str] = (), texts: Iterable[str] = ()) -> None:
    """Raises SetupError unless `extra` is a JSON object, its fields `lines` single lines, and `texts` text."""
    try:
        fields = json.loads(extra or "{}")
    except (ValueError, RecursionError) as error:
        raise _refusal(cloud, "extra", "is not JSON; write an object such as {}") from error
    if not isinstance(fields, dict):
        raise _refusal(cloud, "extra", "is no object of JSON; write one such as {}")
    for name in texts:
        _check_text(cloud, name, fields.get(name))
    for name in lines:
        check_line(cloud, name, fields.get(name))


def check_line(cloud: str, name: str, value: object) -> None:
    """Raises SetupError unless the field is empty or one line of characters that can be seen."""
    _check_text(cloud, name, value)
    if isinstance(value, str) and not value.isprintable():
        raise _refusal(cloud, name, "holds a line break or another character that cannot be seen; write it anew")


def check_key(cloud: str, name: str, value: object) -> None:
    """Raises SetupError unless the field is empty or could be an access key: letters, digits and signs of ASCII."""
    check_line(cloud, name, value)
    if isinstance(value, str) and (" " in value or not value.isascii()):
        raise _refusal(cloud, name, "holds a blank or a character that no key has; paste the key anew")


def check_url(cloud: str, name: str, value: object) -> None:
    """Raises SetupError unless the field is empty or an http(s) URL."""
    if value and not (isinstance(value, str) and is_plain_url(value)):
        raise _refusal(cloud, name, "is no plain http(s) URL; write https://host:port")


def _check_text(cloud: str, name: str, value: object) -> None:
    if value is not None and not isinstance(value, str | int | float):
        raise _refusal(cloud, name, f"is a {'list' if isinstance(value, list) else 'mapping'}; write text")
    if isinstance(value, str) and len(value) > MOST_CHARACTERS:
        raise _refusal(cloud, name, f"has {len(value)} characters, more than {MOST_CHARACTERS}; check what was pasted")


def _refusal(cloud: str, name: str, problem: str) -> SetupError:
    return SetupError(f"{cloud}: {name} of the Airflow connection {cloud} {problem}")
