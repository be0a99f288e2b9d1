"""A sandbox of its own for the tests with real virtual machines; it leaves nothing running."""

import contextlib
import json
import os
import pty
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import boto3
import pytest

from imagesmith import settings
from imagesmith.catalog.store import Catalog
from imagesmith.errors import SetupError
from imagesmith.sandbox import base_image, config

from .last_will import last_will
from .side_by_side import pytest_collection_modifyitems, pytest_runtest_protocol  # noqa: F401  # hooks

COMMAND = (
    "import argparse, sys; from imagesmith.sandbox import cli; parser = argparse.ArgumentParser(); "
    "cli.add_parser(parser.add_subparsers()); arguments = parser.parse_args(); sys.exit(arguments.func(arguments))"
)


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox, and the environment in which AWS's own clients find it."""

    endpoint: str
    home: Path
    environment: dict[str, str]

    def run(self, *arguments: str) -> str:
        """What `imagesmith sandbox ARGUMENTS` prints."""
        argv = [sys.executable, "-c", COMMAND, "sandbox", *arguments]
        done = subprocess.run(argv, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def control(self, path: str, document: Any = None) -> Any:
        """What the sandbox's own door answers."""
        body = None if document is None else json.dumps(document).encode()
        with urllib.request.urlopen(f"{self.endpoint}/_sandbox/{path}", body, timeout=10) as answer:
            return json.load(answer)


@dataclass(frozen=True)
class Airflow:
    """An Airflow as `make up` starts it, with a home, an include folder and ports of its own."""

    home: Path
    environment: dict[str, str]
    include: Path

    def imagesmith(self, *arguments: str, code: int = 0) -> str:
        """What `imagesmith ARGUMENTS` prints; the exit code has to be `code`."""
        argv = [sys.executable, "-m", "imagesmith.cli", *arguments]
        done = subprocess.run(argv, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def typed(self, *arguments: str, answer: str, question: str = "Password for") -> tuple[int, str]:
        """Exit code and terminal of `imagesmith ARGUMENTS` when somebody answers its question."""
        ours, theirs = pty.openpty()
        argv = [sys.executable, "-m", "imagesmith.cli", *arguments]
        ends = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        child = subprocess.Popen(argv, env=self.environment, start_new_session=True, **ends)
        os.close(theirs)
        shown, answered = "", False
        with contextlib.suppress(OSError):  # how a terminal ends
            while piece := os.read(ours, 65536):
                shown += piece.decode(errors="replace")
                if not answered and question in shown:
                    os.write(ours, f"{answer}\n".encode())
                    answered = True
        os.close(ours)
        return child.wait(timeout=60), shown

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """`imagesmith ARGUMENTS` running."""
        argv = [sys.executable, "-m", "imagesmith.cli", *arguments]
        return subprocess.Popen(argv, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    @property
    def catalog(self) -> Catalog:
        """The deployment's catalog."""
        return _catalog_at(file_environment(self.home)["IMAGESMITH_CATALOG_URL"])

    def pid(self, component: str) -> int:
        """The process id of an Airflow component."""
        return int(next((self.home / "airflow").rglob(f"{component}.pid")).read_text().split()[0])


@dataclass(frozen=True)
class Deployment(Airflow):
    """Sandbox and Airflow together."""

    sandbox: Sandbox

    def ec2(self) -> Any:
        """A boto3 client of the sandbox's EC2 door."""
        return boto3.client(
            "ec2",
            endpoint_url=self.sandbox.endpoint,
            region_name=config.REGION,
            aws_access_key_id=config.ACCESS_KEY_ID,
            aws_secret_access_key=config.SECRET_ACCESS_KEY,
        )


@cache
def _catalog_at(url: str) -> Catalog:
    """One for all who ask: each has connections of its own, of which a server has not many."""
    return Catalog(url)


def file_environment(home: Path) -> dict[str, str]:
    """What the environment file of the deployment sets, as a shell that sources it sees it."""
    script = f"set -a; . {home}/airflow/environment; env -0"
    bare = {"PATH": os.environ["PATH"]}
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env=bare)
    return dict(line.split("=", 1) for line in done.stdout.split("\0") if "=" in line)


@pytest.fixture(scope="session")
def deployment(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Airflow over the sandbox; everything of it ends with the session."""
    include = own_include(tmp_path_factory)
    environment = {**sandbox.environment, **own_settings(include)}
    with running(Deployment(sandbox.home, environment, include, sandbox)) as started:
        yield started


def own_include(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project's include folder."""
    return Path(shutil.copytree(settings.PROJECT_ROOT / "include", tmp_path_factory.mktemp("work") / "include"))


def own_settings(include: Path) -> dict[str, str]:
    """What sets an Airflow of the tests apart from every other on this machine."""
    temporary, points = include.parent / "tmp", include.parent / "points"
    temporary.mkdir()
    points.mkdir()
    return {
        "IMAGESMITH_INCLUDE": str(include),
        "IMAGESMITH_CRASH_POINTS": str(points),
        "TMPDIR": str(temporary),
        "IMAGESMITH_AIRFLOW_PORT": str(free_port()),
        # Short, so that scripts of these tests are met in the worker as well as in the triggerer.
        "IMAGESMITH_WORKER_PATIENCE": "20",
    }


Started = TypeVar("Started", bound=Airflow)


@contextmanager
def running(airflow: Started) -> Iterator[Started]:
    """The Airflow up, and down at the end."""
    down = [sys.executable, "-m", "imagesmith.cli", "airflow", "down"]
    with last_will(down, environment=airflow.environment):
        try:
            airflow.imagesmith("airflow", "up")
            yield airflow
        finally:
            airflow.imagesmith("airflow", "down")


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The sandbox that the tests of a session share."""
    with own_sandbox(tmp_path_factory) as started:
        yield started


@contextmanager
def own_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Runs on a free port with its own state; the base image is the one of the default home, made there if absent."""
    base = settings.home() / "sandbox" / "base"
    try:
        base_image.ensure(base, announce=print)
    except SetupError as error:
        pytest.skip(f"no virtual machines here: {error}")
    home = tmp_path_factory.mktemp("home")
    (home / "sandbox").mkdir()
    (home / "sandbox" / "base").symlink_to(base)
    port = free_port()
    endpoint = f"http://{config.HOST}:{port}"
    running = Sandbox(endpoint, home, _environment(home, port, endpoint))
    with last_will([sys.executable, "-c", COMMAND, "sandbox", "down"], environment=running.environment):
        try:
            running.run("up")
            yield running
        finally:
            running.run("down")


def _environment(home: Path, port: int, endpoint: str) -> dict[str, str]:
    source = str(Path(settings.__file__).resolve().parents[1])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **kept,
        "PYTHONPATH": source,
        "IMAGESMITH_HOME": str(home),
        "IMAGESMITH_SANDBOX_PORT": str(port),
        "AWS_ENDPOINT_URL_EC2": endpoint,
        "AWS_ENDPOINT_URL_STS": endpoint,
        "AWS_ACCESS_KEY_ID": config.ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": config.SECRET_ACCESS_KEY,
        "AWS_DEFAULT_REGION": config.REGION,
        "AWS_CONFIG_FILE": str(home / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "no-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def free_port() -> int:
    """Of every four one that this worker may have: from a sandbox's port come the addresses of its machines.

    Those are of the network 127.(1 + port % 254) (addresses.py). The kernel gives odd ports only (inet_csk_get_port).
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        with socket.create_server((config.HOST, 0)) as probe:
            port: int = probe.getsockname()[1]
        if port % 254 // 2 % 2 == worker % 2:
            return port
