"""An Airflow home for this test process alone, set before anything can import Airflow: that reads it once."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from imagesmith.proxies import leave_out_loopback

from .fake_airflow import airflow  # noqa: F401  # a fixture of several folders
from .real_openstack import empty_image, real_openstack  # noqa: F401  # fixtures of several folders
from .system.side_by_side import pytest_xdist_make_scheduler  # noqa: F401  # asked for before any folder is collected

PROJECT = Path(__file__).parents[1]
leave_out_loopback(os.environ)


def _airflow_home() -> Path:
    home = Path(tempfile.mkdtemp(prefix="imagesmith-tests-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    (home / "airflow.cfg").write_text(
        "[core]\n"
        f"dags_folder = {PROJECT / 'dags'}\n"
        f"plugins_folder = {PROJECT / 'plugins'}\n"
        "load_examples = False\n"
        "[database]\n"
        f"sql_alchemy_conn = sqlite:///{home / 'airflow.db'}\n"
        "[operators]\n"
        "default_deferrable = True\n"
        "[logging]\n"
        "logging_level = WARNING\n"
        "[usage_data_collection]\n"
        "enabled = False\n"
    )
    return home


os.environ["AIRFLOW_HOME"] = str(_airflow_home())
