"""The deployment's settings: every `IMAGESMITH_*` variable is read here and nowhere else.

Each default works on one machine with the sandbox and nothing set.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[2]


def _path(variable: str, default: Path) -> Path:
    return Path(os.environ.get(variable) or default).expanduser().absolute()


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
    """What `environment_file()` exports; empty before the first `airflow up`."""
    try:
        lines = environment_file().read_text().splitlines()
    except FileNotFoundError:
        return {}
    words = [shlex.split(line, comments=True) for line in lines]
    exported = [line[1].partition("=") for line in words if line[:1] == ["export"]]
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


def worker_patience_s() -> float:
    """How long a step waits in its worker before it goes to the triggerer (`IMAGESMITH_WORKER_PATIENCE`).

    A move costs two to three seconds and a worker is one process: most scripts end where they began.
    """
    return float(os.environ.get("IMAGESMITH_WORKER_PATIENCE") or 90)


@dataclass(frozen=True)
class AirflowApi:
    """Where Airflow's API answers and whom we are there; `password` is None when none is known."""

    url: str
    username: str
    password: str | None


def airflow_port() -> int:
    """The loopback port of the API server of this machine (`IMAGESMITH_AIRFLOW_PORT`, by default 8080)."""
    return int(os.environ.get("IMAGESMITH_AIRFLOW_PORT") or 8080)


def airflow_api() -> AirflowApi:
    """The Airflow to talk to (`IMAGESMITH_AIRFLOW_URL`, `_USER`, `_PASSWORD`), by default this machine's."""
    return AirflowApi(
        url=_value("IMAGESMITH_AIRFLOW_URL", f"http://127.0.0.1:{airflow_port()}").rstrip("/"),
        username=_value("IMAGESMITH_AIRFLOW_USER", "admin"),
        password=_value("IMAGESMITH_AIRFLOW_PASSWORD") or None,
    )


def sandbox_port() -> int:
    """The loopback port of the sandbox's doors (`IMAGESMITH_SANDBOX_PORT`)."""
    return int(os.environ.get("IMAGESMITH_SANDBOX_PORT") or 4599)
