"""The web app over a deployment, as the folder beside has it."""

from __future__ import annotations

from ..web.conftest import new_catalog, web  # noqa: F401, TID252  # fixtures of two folders
