"""The deployment's settings: every `IMAGESMITH_*` variable is read here and nowhere else.

Each default works on one machine with the sandbox and nothing set.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[2]


def _path(variable: str, default: Path) -> Path:
    return Path(os.environ.get(variable) or default).expanduser().absolute()


def home() -> Path:
    """Where this machine keeps its state (`IMAGESMITH_HOME`, by default `.imagesmith` in the project)."""
    return _path("IMAGESMITH_HOME", PROJECT_ROOT / ".imagesmith")


def include_dir() -> Path:
    """Where generators, clouds and scripts lie (`IMAGESMITH_INCLUDE`, by default the project's `include`)."""
    return _path("IMAGESMITH_INCLUDE", PROJECT_ROOT / "include")


def catalog_url() -> str:
    """SQLAlchemy URL of the catalog (`IMAGESMITH_CATALOG_URL`), by default SQLite in `home()`."""
    return os.environ.get("IMAGESMITH_CATALOG_URL") or f"sqlite:///{home() / 'catalog.db'}"


@dataclass(frozen=True)
class AirflowApi:
    """Where Airflow's API answers and whom we are there; `password` is None when none is known."""

    url: str
    username: str
    password: str | None
