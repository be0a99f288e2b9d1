"""`imagesmith airflow up | down | status`: the whole Airflow of this machine, as one thing."""

import hashlib
import importlib.metadata
import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy

from imagesmith import settings
from imagesmith.errors import SetupError
from imagesmith.local import components, environment, health, keeper, keys, ports
from imagesmith.local.environment import Databases
from imagesmith.local.lock import locked
from imagesmith.local.postgres import Postgres

# Longer than it takes the keeper to start anew what is stuck (heartbeats.py).
_HEALTH_LIMIT_S = 300.0
_DATABASE_VARIABLE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
# The cloud of include/clouds.yaml whose password is stored nowhere.
_ASKS = "openstack-hotel"
NIMBUS_SITES = ("nimbus-hotel-xen", "nimbus-hotel-kvm")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Address:
    """Where the Airflow of this machine answers, and where its environment with the password is written."""

    url: str
    username: str
    environment_file: Path


def up(say: Say) -> Address:
    """Leaves Airflow running and well; what already runs is left alone.

    Raises SetupError if the port is occupied, the database does not start, or a component dies.
    """
    airflow_dir = settings.airflow_dir()
    run_dir = components.run_directory(airflow_dir)
    airflow_dir.mkdir(parents=True, exist_ok=True)
    airflow_dir.chmod(0o711)  # PostgreSQL's account passes through, and nobody lists it
    with locked(run_dir):
        own_keys = keys.load_or_make(airflow_dir / "keys.json")
        port = _port(run_dir)
        variables = _write_environment(_databases(own_keys, run_dir, say), own_keys, port)
        _migrate(environment.databases_of(variables), environment.for_process(variables), say)
        _start_missing(run_dir, variables, say)
    url = variables["IMAGESMITH_AIRFLOW_URL"]
    health.await_healthy(run_dir, url=url, limit_s=_HEALTH_LIMIT_S)
    return Address(url, variables["IMAGESMITH_AIRFLOW_USER"], settings.environment_file())


def down(say: Say) -> bool:
    """True if anything was running; no process of it is left afterwards. What was built stays."""
    run_dir = components.run_directory(settings.airflow_dir())
    if not run_dir.exists():
        return False
    with locked(run_dir):
        ended = [keeper.daemon(run_dir).stop(limit_s=5)]
        for component in reversed(components.COMPONENTS):
            ended.append(components.stop(component, run_dir))
            if ended[-1]:
                say(f"ended {component.name}")
        ended.append(_postgres(keys.load_or_make(settings.airflow_dir() / "keys.json"), run_dir).stop())
    return any(ended)


def status() -> dict[str, str]:
    """Each process of the one-machine Airflow and how it is: `well`, or what is the matter."""
    run_dir = components.run_directory(settings.airflow_dir())
    url = settings.recorded_environment().get("IMAGESMITH_AIRFLOW_URL", "")
    found = health.complaints(components.COMPONENTS, run_dir, url=url)
    states = {name: reason or "well" for name, reason in found.items()}
    states["keeper"] = "well" if keeper.daemon(run_dir).running() else "not running"
    return states


def _port(run_dir: Path) -> int:
    """The port of the API server: the running one's, else the wanted one if nobody else has it."""
    server = components.daemon_of(components.API_SERVER, run_dir)
    recorded = settings.recorded_environment().get("IMAGESMITH_AIRFLOW_URL")
    if server.running() is not None and recorded:
        return urlsplit(recorded).port or settings.airflow_port()
    port = settings.airflow_port()
    if not ports.is_free(port):
        raise SetupError(
            f"port {port} of {ports.LOOPBACK} is taken by another program; "
            "end that, or choose another port: IMAGESMITH_AIRFLOW_PORT=8081"
        )
    return port


def _databases(own_keys: keys.Keys, run_dir: Path, say: Say) -> Databases:
    """The user's database where one is named, else those of a server of our own, which is started."""
    named = os.environ.get(_DATABASE_VARIABLE)
    if named and own_keys.database_password not in named:
        return Databases(airflow=named, catalog=settings.catalog_url())
    server = _postgres(own_keys, run_dir)
    if server.daemon.running() is None:
        say("starting PostgreSQL")
    server.start()
    for name in ("airflow", "imagesmith_catalog"):
        server.ensure_database(name)
    return Databases(airflow=server.url("airflow"), catalog=server.url("imagesmith_catalog"))


def _postgres(own_keys: keys.Keys, run_dir: Path) -> Postgres:
    directory = settings.airflow_dir() / "postgres"
    return Postgres(directory, run_directory=run_dir, password=own_keys.database_password)


def _write_environment(databases: Databases, own_keys: keys.Keys, port: int) -> dict[str, str]:
    connections = _sandbox_connections(databases.airflow)
    composed = environment.compose(databases, own_keys, port=port, connections=connections)
    variables = environment.with_own_settings(composed, recorded=settings.recorded_environment())
    keys.write_private(environment.passwords_file(), environment.passwords_text(own_keys))
    keys.write_private(settings.environment_file(), environment.as_shell(variables))
    return variables


def _sandbox_connections(database: str) -> dict[str, str]:
    """Connections of the clouds of include/clouds.yaml to the sandbox, but for names the user has one of."""
    from imagesmith.sandbox import config
    from imagesmith.sandbox.openstack import sites

    if not _answers(config.endpoint()):
        return {}
    connections: dict[str, dict[str, Any]] = {
        "ec2": {
            "conn_type": "imagesmith_ec2",
            "login": config.ACCESS_KEY_ID,
            "password": config.SECRET_ACCESS_KEY,
            "extra": {"endpoint_url": config.endpoint(), "region_name": config.REGION},
        }
    }
    for name, facts in sites.SITES.items():
        connections[name] = {
            "conn_type": "imagesmith_openstack",
            "login": sites.USER,
            "password": "" if name == _ASKS else sites.PASSWORD,
            "extra": {"auth_url": facts.auth_url(config.endpoint()), "project": sites.PROJECT, "region": sites.REGION},
        }
    connections |= _nimbus_connections(config.endpoint())
    known = _known_connections(database)
    return {name: json.dumps(each) for name, each in connections.items() if name not in known}


def _nimbus_connections(endpoint: str) -> dict[str, dict[str, Any]]:
    """As the first user of each of the sandbox's Nimbus sites."""
    with urllib.request.urlopen(f"{endpoint}/_sandbox/list", timeout=30) as answer:
        accounts = json.load(answer)["accounts"]
    connections = {}
    for name in NIMBUS_SITES:
        told = accounts[name]
        user = told["users"][0]
        extra = {key: told[key] for key in ("factory", "repository", "factory_identity")}
        extra["cloud_client"] = str(Path(told["cloud_client"]).parents[1])
        extra |= {key: user[key] for key in ("canonical_id", "access_key", "secret_key")}
        extra |= {key: Path(user[key]).read_text() for key in ("certificate", "private_key")}
        connections[name] = {"conn_type": "imagesmith_nimbus", "extra": extra}
    return connections


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or ports.LOOPBACK, parts.port or 80), timeout=2).close()
    except OSError:
        return False
    return True


def _known_connections(database: str) -> set[str]:
    """The connections in Airflow's database (one from the environment would hide its namesake there)."""
    engine = sqlalchemy.create_engine(database)
    try:
        if not sqlalchemy.inspect(engine).has_table("connection"):
            return set()
        with engine.connect() as session:
            return set(session.scalars(sqlalchemy.text("SELECT conn_id FROM connection")))
    finally:
        engine.dispose()


def _migrate(databases: Databases, env: dict[str, str], say: Say) -> None:
    """Brings both databases to the tables of the installed versions; quick when they have them."""
    from imagesmith.catalog.store import Catalog

    Catalog(databases.catalog).upgrade()
    version = importlib.metadata.version("apache-airflow-core")
    done = hashlib.sha256(f"{version} {databases.airflow}".encode()).hexdigest()
    stamp = settings.airflow_dir() / "migrated"
    if stamp.exists() and stamp.read_text() == done:
        return
    say(f"preparing Airflow's database for version {version}")
    log = components.run_directory(settings.airflow_dir()) / "migrate.log"
    argv = [str(Path(sys.executable).parent / "airflow"), "db", "migrate"]
    with log.open("w") as stream:
        ended = subprocess.run(argv, env=env, stdout=stream, stderr=subprocess.STDOUT, check=False)
    if ended.returncode != 0:
        raise SetupError(f"Airflow's database could not be prepared; the reason is at the end of {log}")
    stamp.write_text(done)


def _start_missing(run_dir: Path, variables: dict[str, str], say: Say) -> None:
    env = environment.for_process(variables)
    for component in components.COMPONENTS:
        if component is components.SCHEDULER:
            health.await_api(run_dir, url=variables["IMAGESMITH_AIRFLOW_URL"], limit_s=_HEALTH_LIMIT_S)
        if components.ensure_running(component, run_dir, env=env):
            say(f"starting {component.name}")
    keeper.daemon(run_dir).start(keeper.command(), env=env, cwd=run_dir)
