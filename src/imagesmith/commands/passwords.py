"""The passwords of clouds that ask for one, typed in where nobody sees them and kept in memory only."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Mapping
from typing import Any

from imagesmith import settings
from imagesmith.core import PASSWORD_PREFIX
from imagesmith.errors import DefinitionError


def typed_in(
    name: str, conf: Mapping[str, Any], *, ask: Callable[[str], str] = getpass.getpass, terminal: bool | None = None
) -> dict[str, str]:
    """What to add to the conf of a build of generator `name`; nothing where no chosen cloud asks.

    `terminal` tells whether somebody can be asked. Raises DefinitionError where nobody can.
    """
    asking = _asking(name, conf)
    if asking and not (sys.stdin.isatty() if terminal is None else terminal):
        raise DefinitionError(
            f"{', '.join(asking)} asks for its password at every build, and there is no terminal to ask at; run this "
            "in one, start the build in Airflow's form or over its REST API, or leave the cloud out with --cloud"
        )
    return {PASSWORD_PREFIX + cloud: _asked(cloud, ask) for cloud in asking}


def _asked(cloud: str, ask: Callable[[str], str]) -> str:
    for _ in range(3):
        if password := ask(f"Password for {cloud}: "):
            return password
    raise DefinitionError(f"{cloud}: no password was given, so no build is started")


def _asking(name: str, conf: Mapping[str, Any]) -> list[str]:
    from imagesmith.cloud_settings import FILE_NAME

    path = settings.include_dir() / FILE_NAME
    try:
        content = path.read_bytes() if path.is_file() else b""
    except OSError:
        return []  # Airflow has files of its own, and says what is missing
    if b"ask" not in content:
        return []  # reading generators takes longer than asking Airflow

    from imagesmith.commands.choice import local_generator
    from imagesmith.plan import CLOUDS_PARAM

    found = local_generator(name)
    if found is None:
        return []
    generator, clouds = found
    chosen = conf.get(CLOUDS_PARAM) or list(generator.clouds)
    return [cloud for cloud in generator.clouds if cloud in chosen and clouds[cloud].asks_password]
