"""A Nimbus user's secrets: builds on both sites, then a search for them everywhere but where they may be."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from stat import filemode

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from imagesmith.clouds.nimbus_client import secrets_root
from imagesmith.clouds.nimbus_words import pkcs1
from imagesmith.sandbox.nimbus.sites import SITES

from .airflow_rest import Rest, until
from .conftest import Deployment, file_environment
from .traces import files_under, tables_of, traces

pytestmark = pytest.mark.system

TARGET = {"source_image": "simulated-1", "ssh_username": "root", "instance_type": "512"}
SCRIPTS = {
    "kept-well": "# sandbox: print the packages are in\n",
    "kept-fails": "# sandbox: exit 3\n",
    "kept-long": "# sandbox: take 600\n",
}
DIRECTORIES = "imagesmith-nimbus-*"
# Airflow reads the sandbox's connections from the environment of its own processes, which is their place: that of its
# components, of what these fork, and of the keeper, which starts them again. Where there is a compiler, asyncssh has it
# look for a library as often as it is imported.
AIRFLOW = re.compile(
    r"airflow |\S+ \S+/bin/airflow |\S+ -m imagesmith\.local\.keeper |(\S+/)?(gcc|collect2|ld) .*-l(lib)?oqs\b"
)
# Here the sandbox, which is the cloud, keeps its users' credentials, and a ready configuration for people.
STORE = Path("sandbox") / "nimbus"

Secrets = Mapping[str, str]


@dataclass
class Watch:
    """What was seen at any moment of the builds: in processes, and in the directories that the client is given."""

    factories: tuple[str, ...]
    processes: set[tuple[str, bytes]] = field(default_factory=set)
    of_airflow: set[tuple[str, bytes]] = field(default_factory=set)
    modes: set[tuple[str, str]] = field(default_factory=set)

    def look(self) -> None:
        """One moment."""
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # ended meanwhile, or not ours
                self._process(entry)
        for directory in self.directories():
            with suppress(OSError):
                self.modes.add(("directory", filemode(directory.stat().st_mode)))
                self.modes |= {(path.name, filemode(path.stat().st_mode)) for path in directory.iterdir()}

    def _process(self, entry: Path) -> None:
        line, environment, again = ((entry / what).read_bytes() for what in ("cmdline", "environ", "cmdline"))
        program = line.replace(b"\0", b" ").decode(errors="replace")
        self.processes.add((f"command line {entry.name}", line))
        if line == again:  # else it has just become another program
            seen = self.of_airflow if AIRFLOW.match(program) else self.processes
            seen.add((f"environment {entry.name} of {program[:120]}", environment))

    def directories(self) -> list[Path]:
        """Those of this sandbox's sites: another Imagesmith may run here."""
        return [each for each in secrets_root().glob(DIRECTORIES) if not self._of_others(each)]

    def left(self, *, after_s: float) -> set[Path]:
        """Those that stay. Of a client that another Imagesmith is just beginning nothing tells yet whose it is."""
        before = set(self.directories())
        time.sleep(after_s)
        return before & set(self.directories())

    def _of_others(self, directory: Path) -> bool:
        try:
            text = (directory / "conf").read_text()
        except OSError:
            return not directory.exists()
        return bool(text) and not any(f"vws.factory={factory}\n" in text for factory in self.factories)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Looks again and again."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.25):
                self.look()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def found(secrets: Secrets, places: Iterable[tuple[str, bytes]]) -> list[str]:
    """Which secret was found where."""
    return [
        f"{name} in {trace}"
        for place in places
        for name, secret in secrets.items()
        for trace in traces(secret, [place])
    ]


def in_databases(deployment: Deployment) -> Iterator[tuple[str, bytes]]:
    """Every table of Airflow, XCom's among them, and of the catalog."""
    sourced = file_environment(deployment.sandbox.home)
    for variable in ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "IMAGESMITH_CATALOG_URL"):
        yield from tables_of(sourced[variable])


def in_home(deployment: Deployment) -> Iterator[tuple[str, bytes]]:
    """All logs, the databases' own files, what the driver keeps; but for the sandbox's store and other tests' disks."""
    home = deployment.sandbox.home
    disks = [home / "sandbox" / "disks", *(home / "sandbox" / "sites").glob("*/disks")]
    return files_under(home, without=[home / STORE, *disks])


def in_temporary_places(deployment: Deployment, watch: Watch) -> Iterator[tuple[str, bytes]]:
    """The temporary directory of Airflow and its tasks, and what is kept in memory."""
    yield from files_under(Path(deployment.environment["TMPDIR"]))
    for directory in watch.directories():
        yield from files_under(directory)
    for path in secrets_root().iterdir():
        if path.is_file() and os.access(path, os.R_OK):
            yield str(path), path.read_bytes()


@pytest.fixture(scope="module")
def secrets(deployment: Deployment) -> Secrets:
    """What is searched for: of a PEM text a line from its middle."""
    wanted = {}
    accounts = deployment.sandbox.control("list")["accounts"]
    for site in SITES:
        user = accounts[site]["users"][0]
        given = Path(user["private_key"]).read_text()
        key = load_pem_private_key(given.encode(), password=None)
        pkcs8 = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        for form, text in {"as given": given, "as the client gets it": pkcs1(site, given), "in PKCS#8": pkcs8}.items():
            if _middle(text) not in wanted.values():
                wanted[f"key {form}"] = _middle(text)
        wanted[f"secret key of {site}"] = user["secret_key"]
        wanted[f"configuration of {site}"] = f"vws.repository.s3id={user['access_key']}"
    return wanted


def _middle(pem: str) -> str:
    lines = pem.strip().splitlines()
    return lines[len(lines) // 2]


@pytest.fixture(scope="module")
def rest(deployment: Deployment) -> Iterator[Rest]:
    """Airflow with three generators on both sites."""
    paths = [deployment.include / "generators" / f"{name}.yaml" for name in SCRIPTS]
    for path in paths:
        clouds = dict.fromkeys(SITES, TARGET)
        path.write_text(
            json.dumps(
                {"name": path.stem, "verify": False, "script": f"#!/bin/sh\n{SCRIPTS[path.stem]}", "clouds": clouds}
            )
        )
    rest = Rest(deployment)
    for name in SCRIPTS:
        until(lambda name=name: rest.has_dag(name), f"{name} is there", limit_s=60)
    yield rest
    for path in paths:
        path.unlink()


@pytest.fixture(scope="module")
def watch(deployment: Deployment, rest: Rest) -> Watch:
    """What was seen during three builds on both sites: a successful one, one that fails, one that is cancelled."""
    accounts = deployment.sandbox.control("list")["accounts"]
    watch = Watch(tuple(accounts[site]["factory"] for site in SITES))
    with watch.going_on():
        runs = {}
        for name in SCRIPTS:
            status, run = rest.call("POST", f"/api/v2/dags/{name}/dagRuns", {"logical_date": None, "conf": {}})
            assert status == 200, run
            runs[name] = run["dag_run_id"]
        _cancel_while_the_scripts_run(deployment, rest, runs["kept-long"])
        for name, run_id in runs.items():
            rest.await_end(name, run_id)
    return watch


def _cancel_while_the_scripts_run(deployment: Deployment, rest: Rest, run_id: str) -> None:
    for site in SITES:  # the task has gone to the triggerer, because the script takes its time
        task = f"{site}.customize"
        until(lambda task=task: rest.task_state("kept-long", run_id, task) == "deferred", f"{task} waits")
    build = deployment.catalog.find_build("kept-long", run_id)
    assert build is not None
    deployment.imagesmith("cancel", build.build_id)


def test_the_builds_ended_as_they_should_and_left_no_workspace(deployment: Deployment, watch: Watch) -> None:
    builds = {name: deployment.catalog.builds(generator=name, limit=9) for name in SCRIPTS}
    states = {name: [build.state for build in found] for name, found in builds.items()}
    assert states == {"kept-well": ["successful"], "kept-fails": ["failed"], "kept-long": ["cancelled"]}
    accounts = deployment.sandbox.control("list")["accounts"]
    assert [accounts[site]["workspaces"] for site in SITES] == [[], []]


def test_no_secret_is_left_in_a_database(deployment: Deployment, watch: Watch, secrets: Secrets) -> None:
    assert found(secrets, in_databases(deployment)) == []


def test_no_secret_is_left_in_a_file(deployment: Deployment, watch: Watch, secrets: Secrets) -> None:
    assert found(secrets, in_home(deployment)) == []
    assert found(secrets, in_temporary_places(deployment, watch)) == []


def test_no_directory_of_the_client_is_left(deployment: Deployment, watch: Watch) -> None:
    assert watch.left(after_s=3) == set()
    assert list(Path(deployment.environment["TMPDIR"]).rglob(DIRECTORIES)) == []


def test_no_process_was_given_a_secret(deployment: Deployment, watch: Watch, secrets: Secrets) -> None:
    ours = (b"cloud-client", b"--history-dir", bytes(deployment.sandbox.home))  # another test's client may run beside
    clients = [place for place, data in watch.processes if all(part in data for part in ours)]
    assert clients, "no cloud client was seen, so nothing was shown"
    assert found(secrets, watch.processes) == []


def test_only_their_owner_could_read_what_the_client_was_given(watch: Watch) -> None:
    modes = {name: {mode for each, mode in watch.modes if each == name} for name, _ in watch.modes}
    assert {"directory", "conf", "key.pem", "certificate.pem"} <= set(modes)
    assert modes.pop("directory") == {"drwx------"}
    assert set().union(*modes.values()) == {"-rw-------"}, modes


def test_the_search_finds_the_secrets_where_they_may_be(deployment: Deployment, watch: Watch, secrets: Secrets) -> None:
    told = set(found(secrets, watch.of_airflow)) | set(found(secrets, files_under(deployment.sandbox.home / STORE)))
    for name in secrets.keys() - {"key in PKCS#8"}:  # the sandbox's are in PKCS#1
        assert [each for each in told if each.startswith(f"{name} in ")], name
    assert found({name: text for name, text in secrets.items() if "secret" in name}, watch.of_airflow)


def test_the_search_finds_what_is_planted(deployment: Deployment, rest: Rest, secrets: Secrets, watch: Watch) -> None:
    name, planted = "key in PKCS#8", secrets["key in PKCS#8"]
    status, _ = rest.call("POST", "/api/v2/pools", {"name": "planted-key", "slots": 1, "description": planted})
    assert status == 201
    assert f"{name} in table slot_pool: clear" in found(secrets, in_databases(deployment))
    (deployment.sandbox.home / "nimbus" / "planted").write_text(json.dumps(planted))
    assert [each for each in found(secrets, in_home(deployment)) if "nimbus/planted: clear" in each]
    with tempfile.TemporaryDirectory(prefix="imagesmith-nimbus-", dir=secrets_root()) as directory:
        (Path(directory) / "key.pem").write_text(planted)
        assert f"{name} in {directory}/key.pem: clear" in found(secrets, in_temporary_places(deployment, watch))
        assert Path(directory) in watch.left(after_s=0)


@pytest.mark.parametrize("road", ["command line", "environment"])
def test_the_search_finds_what_is_planted_in_a_process(watch: Watch, secrets: Secrets, road: str) -> None:
    planted = secrets["key as given"]
    argv = [sys.executable, "-c", "print(flush=True); input()", *([planted] if road == "command line" else [])]
    environment = {"AIRFLOW_CONN_SOME": planted} if road == "environment" else {}
    now = Watch(watch.factories)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout and child.stdout.readline()
        now.look()
        child.communicate(b"\n")
    assert [each for each in found(secrets, now.processes) if f" in {road} {child.pid}" in each]
