"""The environment Airflow's components run in: every setting of the one-machine system, with its reason.

Written to `settings.environment_file()` so that people can source it and `imagesmith` finds the way in.
"""

import json
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from imagesmith import settings
from imagesmith.local.keys import Keys
from imagesmith.local.ports import LOOPBACK

ADMIN = "admin"
_OWN = "IMAGESMITH_OWN_SETTINGS"
_SETTABLE = ("AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_", "IMAGESMITH_")

_LATENCY = {
    # A chain of four tasks takes 2.6 s instead of 4.6 s; at 0.1 an idle scheduler takes twice the tenth of a core.
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    # A YAML file dropped into include/generators changes no Python file, so the DAG file is parsed again
    # often; a generator that is gone counts as gone after one missed parse and goes at the next look.
    "DAG_PROCESSOR__REFRESH_INTERVAL": "5",
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
    "DAG_PROCESSOR__STALE_DAG_THRESHOLD": "8",
    "SCHEDULER__PARSING_CLEANUP_INTERVAL": "5",
    "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "5",
}
_RECOVERY = {
    # A task whose worker was killed is missed after eight heartbeats.
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "20",
    # A loaded machine keeps the scheduler from its heartbeat; one that believes itself dead kills what runs.
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "120",
    # An API server that was just restarted takes up to 6 s over its first answer to a task (default: 5).
    "WORKERS__EXECUTION_API_TIMEOUT": "30",
    # A triggerer that was killed loses its triggers to its successor once it is this long silent.
    "TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
}
_SIZE = {
    "CORE__EXECUTOR": "LocalExecutor",
    # Workers are forked all at once; one costs 4 MiB, after its first task 18, and long waits hold none.
    "CORE__PARALLELISM": "6",
    "CORE__MAX_ACTIVE_TASKS_PER_DAG": "128",
    "CORE__MAX_ACTIVE_RUNS_PER_DAG": "64",
    "API__WORKERS": "1",
    "DAG_PROCESSOR__PARSING_PROCESSES": "1",
}
# Each reports several lines at every parse of the DAG files.
_TALKATIVE = (
    "airflow.dag_processing.manager.DagFileProcessorManager",
    "airflow.models.dag",
    "airflow.serialization.definitions.dag",
)
_MANNERS = {
    "CORE__LOAD_EXAMPLES": "False",
    "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "OPERATORS__DEFAULT_DEFERRABLE": "True",
    "USAGE_DATA_COLLECTION__ENABLED": "False",
    "LOGGING__NAMESPACE_LEVELS": " ".join(f"{name}=WARNING" for name in _TALKATIVE),
    "LOGGING__COLORED_CONSOLE_LOG": "False",
    "API__EXPOSE_CONFIG": "False",
}


@dataclass(frozen=True)
class Databases:
    """SQLAlchemy URLs of Airflow's metadata and of the catalog."""

    airflow: str
    catalog: str


def compose(databases: Databases, keys: Keys, *, port: int, connections: Mapping[str, str]) -> dict[str, str]:
    """All variables of the components; `connections` maps a connection's name to its JSON."""
    sections = _LATENCY | _RECOVERY | _SIZE | _MANNERS | _places(port) | _shared_secrets(keys)
    sections["DATABASE__SQL_ALCHEMY_CONN"] = databases.airflow
    return {
        "AIRFLOW_HOME": str(settings.airflow_dir()),
        **{f"AIRFLOW__{name}": value for name, value in sections.items()},
        **{connection_variable(name): text for name, text in connections.items()},
        "IMAGESMITH_HOME": str(settings.home()),
        "IMAGESMITH_INCLUDE": str(settings.include_dir()),
        "IMAGESMITH_CATALOG_URL": databases.catalog,
        "IMAGESMITH_SECRET": keys.deployment_secret,
        "IMAGESMITH_AIRFLOW_URL": f"http://{LOOPBACK}:{port}",
        "IMAGESMITH_AIRFLOW_USER": ADMIN,
        "IMAGESMITH_AIRFLOW_PASSWORD": keys.admin_password,
    }


def with_own_settings(composed: Mapping[str, str], *, recorded: Mapping[str, str]) -> dict[str, str]:
    """The composed variables, where those the user set in the calling shell win.

    A variable that merely comes from sourcing the recorded file is not the user's own, unless it was
    when the file was written; the names of the user's own are recorded for that.
    """
    earlier = recorded.get(_OWN, "").split()
    own = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(_SETTABLE) and (name in earlier or value != recorded.get(name))
    }
    own.pop(_OWN, None)
    return {**composed, **own, _OWN: " ".join(sorted(own))}


def databases_of(variables: Mapping[str, str]) -> Databases:
    """The databases the components get: a catalog that the user named is not the one beside Airflow's."""
    return Databases(variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"], variables["IMAGESMITH_CATALOG_URL"])


def for_process(variables: Mapping[str, str]) -> dict[str, str]:
    """A whole environment: the caller's with the variables on top, and this interpreter's programs first."""
    programs = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", os.defpath)
    return {**os.environ, **variables, "PATH": f"{programs}{os.pathsep}{path}"}


def as_shell(variables: Mapping[str, str]) -> str:
    """The text of a file for `.` in a shell; variables no shell can hold, as those with a hyphen, stay out."""
    head = "# The Airflow of this machine; holds secrets. `imagesmith airflow up` writes it.\n"
    words = [f"{name}={text}" for name, text in variables.items() if name.isidentifier()]
    return head + "".join(f"export {shlex.quote(word)}\n" for word in words)


def connection_variable(name: str) -> str:
    """The environment variable Airflow reads the connection of this name from."""
    return f"AIRFLOW_CONN_{name.upper()}"


def passwords_file() -> Path:
    """Where Airflow's simple auth manager looks for the passwords of its users."""
    return settings.airflow_dir() / "passwords.json"


def passwords_text(keys: Keys) -> str:
    """The content of `passwords_file()`."""
    return json.dumps({ADMIN: keys.admin_password}) + "\n"


def _places(port: int) -> dict[str, str]:
    url = f"http://{LOOPBACK}:{port}"
    return {
        "CORE__DAGS_FOLDER": str(settings.PROJECT_ROOT / "dags"),
        "CORE__PLUGINS_FOLDER": str(settings.PROJECT_ROOT / "plugins"),
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords_file()),
        "API__BASE_URL": url,
        "API__HOST": LOOPBACK,
        "API__PORT": str(port),
    }


def _shared_secrets(keys: Keys) -> dict[str, str]:
    return {
        "CORE__FERNET_KEY": keys.fernet_key,
        "API__SECRET_KEY": keys.api_secret,
        "API_AUTH__JWT_SECRET": keys.jwt_secret,
    }
