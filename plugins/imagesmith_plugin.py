"""Registers Imagesmith with Airflow.

Task processes are forked from the executor's workers, and those from the process that loads this plugin first: what is
imported here is in every task from its first moment, instead of costing each of a build's tasks most of a second.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

# What tasks use. The api-server and the dag-processor run none.
TASK_MODULES = (
    "hooks.ec2_hook",
    "hooks.nimbus_hook",
    "hooks.opening",
    "hooks.openstack_hook",
    "imagesmith.envelope",
    "operators.begin",
    "operators.launch_vm",
    "operators.publish",
    "operators.snapshot_image",
    "operators.verify_image",
    "operators.ssh_customize",
    "operators.terminate",
)
# What Airflow's workers, and tasks on OpenStack, load first; loaded before they are forked, its 29 MiB are there once.
WORKER_MODULES = ("airflow.sdk.execution_time.supervisor", "openstack")
RUNS_TASKS = ("scheduler", "triggerer", "celery")
# The components that answer no requests; whatever else loads this plugin may be an API server, however it is started.
SERVES_NOTHING = (*RUNS_TASKS, "dag-processor")
COMPONENT = sys.argv[1] if len(sys.argv) > 1 else ""

if COMPONENT in RUNS_TASKS:
    for module in TASK_MODULES + WORKER_MODULES:
        importlib.import_module(module)
    importlib.import_module("hooks.ec2_hook").service_models()


def password_gate() -> list[dict[str, Any]]:
    """What stands before the API server and lets no password through; nothing where nothing is served."""
    if COMPONENT in SERVES_NOTHING:
        return []
    gate = importlib.import_module("imagesmith.web.passwords").PasswordGate
    desk = importlib.import_module("hooks.password_desk").AirflowDesk()
    return [{"name": "Imagesmith: passwords", "middleware": gate, "kwargs": {"desk": desk}}]


def web_apps() -> list[dict[str, Any]]:
    """Pages and REST under `/imagesmith`; their own door asks Airflow who comes and what he may."""
    if COMPONENT in SERVES_NOTHING:
        return []
    web = importlib.import_module("imagesmith.web.app")
    host = importlib.import_module("hooks.airflow_host").AirflowHost()
    return [{"name": "Imagesmith", "app": web.create_app(host), "url_prefix": web.PREFIX}]


def navigation() -> list[dict[str, Any]]:
    """The entry in Airflow's navigation, which shows our pages in a frame."""
    if COMPONENT in SERVES_NOTHING:
        return []
    web = importlib.import_module("imagesmith.web.app")
    frame = importlib.import_module("imagesmith.web.pages.frame")
    below = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
    return [
        {
            "name": frame.TITLE,
            "href": f"{below}{web.PREFIX}/generators",
            "icon": f"{below}{web.PREFIX}/static/icon.svg",
            "icon_dark_mode": f"{below}{web.PREFIX}/static/icon-dark.svg",
            "destination": "nav",
            "url_route": frame.ROUTE,
            "nav_top_level": True,
        }
    ]


def run_listeners() -> list[Any]:
    """What the scheduler tells of runs; the other components see none end."""
    if COMPONENT != "scheduler":
        return []
    return [importlib.import_module(name) for name in ("listeners.run_ends", "listeners.cloud_pools")]


class ImagesmithPlugin(AirflowPlugin):
    """Imagesmith's name in Airflow's list of plugins."""

    name = "imagesmith"
    fastapi_root_middlewares = password_gate()
    fastapi_apps = web_apps()
    external_views = navigation()
    listeners = run_listeners()
