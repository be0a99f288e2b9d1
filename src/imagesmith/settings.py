"""The deployment's settings: every `IMAGESMITH_*` variable is read here and nowhere else.

Each default works on one machine with the sandbox and nothing set.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from imagesmith.errors import SetupError

PROJECT_ROOT = Path(__file__).resolve().parents[2]

_LONGEST_PATIENCE_S = 7 * 24 * 3600


def _path(variable: str, default: Path) -> Path:
    text = os.environ.get(variable)
    if not text:
        return default
    cure = f"set it to a folder, or unset it for {default}"
    try:
        path = Path(text).expanduser().absolute()
        is_other = path.exists() and not path.is_dir()
    except (OSError, RuntimeError) as error:  # RuntimeError: the home of a user who does not exist
        reason = getattr(error, "strerror", None) or error
        raise SetupError(f"{variable}: {text!r:.80} is no path: {reason}; {cure}") from error
    if is_other:
        raise SetupError(f"{variable}: {path} is not a folder; {cure}")
    return path


def _number(variable: str, default: float, *, most: float) -> float:
    text = os.environ.get(variable)
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or float(text) > most:
        raise SetupError(f"{variable}: {text!r:.80} is no number from 0 to {most}; set one, or unset it for {default}")
    return float(text)


def _port(variable: str, default: int) -> int:
    text = os.environ.get(variable)
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise SetupError(f"{variable}: {text!r:.80} is no port; set one from 1 to 65535, or unset it for {default}")
    return int(text)


def home() -> Path:
    """Where this machine keeps its state (`IMAGESMITH_HOME`, by default `.imagesmith` in the project)."""
    return _path("IMAGESMITH_HOME", PROJECT_ROOT / ".imagesmith")


def airflow_dir() -> Path:
    """Where the Airflow of this machine keeps its state."""
    return home() / "airflow"


def environment_file() -> Path:
    """The shell file that holds the environment of the Airflow of this machine; `airflow up` writes it."""
    return airflow_dir() / "environment"


def recorded_environment() -> dict[str, str]:
    """What `environment_file()` exports; empty before the first `airflow up`. Raises SetupError if it is damaged."""
    path = environment_file()
    try:
        words = shlex.split(path.read_text(), comments=True)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:  # ValueError: no text, or a quotation without end
        raise SetupError(f"{path}: cannot be read: {error}; remove it, and `make up` writes it anew") from error
    exported = [word.partition("=") for before, word in pairwise(words) if before == "export"]
    return {name: value for name, _, value in exported}


def _value(variable: str, default: str = "") -> str:
    """From the environment, else from what the Airflow of this machine was started with."""
    return os.environ.get(variable) or recorded_environment().get(variable) or default


def include_dir() -> Path:
    """Where generators, clouds and scripts lie (`IMAGESMITH_INCLUDE`, by default the project's `include`)."""
    return _path("IMAGESMITH_INCLUDE", PROJECT_ROOT / "include")


def catalog_url() -> str:
    """SQLAlchemy URL of the catalog (`IMAGESMITH_CATALOG_URL`), by default SQLite in `home()`."""
    return _value("IMAGESMITH_CATALOG_URL", f"sqlite:///{home() / 'catalog.db'}")


def secret_text() -> str:
    """The deployment secret SSH keys are derived from (`IMAGESMITH_SECRET`, URL-safe base64), "" if none."""
    return _value("IMAGESMITH_SECRET")


def crash_points() -> str:
    """The directory by which tests hold steps at named instants (`IMAGESMITH_CRASH_POINTS`), "" where none is."""
    return os.environ.get("IMAGESMITH_CRASH_POINTS", "")


def worker_patience_s() -> float:
    """How long a step waits in its worker before it goes to the triggerer (`IMAGESMITH_WORKER_PATIENCE`).

    A move costs two to three seconds and a worker is one process: most scripts end where they began.
    """
    return _number("IMAGESMITH_WORKER_PATIENCE", 90, most=_LONGEST_PATIENCE_S)


@dataclass(frozen=True)
class AirflowApi:
    """Where Airflow's API answers and whom we are there; `password` is None when none is known."""

    url: str
    username: str
    password: str | None


def airflow_port() -> int:
    """The loopback port of the API server of this machine (`IMAGESMITH_AIRFLOW_PORT`, by default 8080)."""
    return _port("IMAGESMITH_AIRFLOW_PORT", 8080)


def airflow_api() -> AirflowApi:
    """The Airflow to talk to (`IMAGESMITH_AIRFLOW_URL`, `_USER`, `_PASSWORD`), by default this machine's."""
    return AirflowApi(
        url=_value("IMAGESMITH_AIRFLOW_URL", f"http://127.0.0.1:{airflow_port()}").rstrip("/"),
        username=_value("IMAGESMITH_AIRFLOW_USER", "admin"),
        password=_value("IMAGESMITH_AIRFLOW_PASSWORD") or None,
    )


def sandbox_port() -> int:
    """The loopback port of the sandbox's doors (`IMAGESMITH_SANDBOX_PORT`)."""
    return _port("IMAGESMITH_SANDBOX_PORT", 4599)
