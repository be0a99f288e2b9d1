"""The sandbox and the Airflow of one benchmark, with a home and ports of their own; nothing of them is left running."""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.clouds import CLOUDS, Cloud
from imagesmith import settings
from imagesmith.errors import SetupError
from imagesmith.local import ports
from imagesmith.local.environment import connection_variable
from imagesmith.local.lock import try_locked
from imagesmith.sandbox import config

START_LIMIT_S = 480  # a base image that has to be made first takes up to 3 minutes
SIMULATED_TIMINGS = {"boot_s": 5.0, "script_s": 10.0, "stop_s": 1.0, "image_s": 5.0}
_FOREIGN = ("AWS_", "OS_", "AIRFLOW", "IMAGESMITH_", "PACKER_")

# By cloud the numbers of targets that are built at once on it.
Counts = Mapping[str, Collection[int]]


@dataclass(frozen=True)
class Stage:
    """A running sandbox with Airflow over it."""

    home: Path
    include: Path
    endpoint: str
    environment: Mapping[str, str]

    @property
    def scratch(self) -> Path:
        """A folder for the templates and outputs of what is measured."""
        return self.home / "scratch"

    @property
    def ssh_port(self) -> int:
        """The port machines of this sandbox answer SSH at."""
        return int(self.ask("/health")["ssh_port"])

    @property
    def script(self) -> Path:
        """The customization script of all builds."""
        return self.include / "scripts" / "dstat.sh"

    def fresh(self, cloud: Cloud) -> None:
        """Nothing in the sandbox, no call counted, simulated machines as slow as agreed."""
        self.ask("/reset", method="POST")
        self.ask("/settings", method="POST", body={**SIMULATED_TIMINGS, **cloud.sandbox_settings})
        cloud.prepare(self.endpoint)
        self.ask("/calls", method="DELETE")

    def calls(self, cloud: Cloud) -> dict[str, int]:
        """How often each action was called since the cloud was fresh."""
        return cloud.calls(self.ask("/calls"))

    def complaints(self, cloud: Cloud, *, images: int) -> list[str]:
        """What is wrong with the cloud after builds: not that many images, or something left behind."""
        found = self.ask("/list")
        saved, left = cloud.images(found), cloud.left_behind(found)
        wrong = [] if len(saved) == images else [f"{len(saved)} images instead of {images}"]
        return [*wrong, f"left behind: {', '.join(left)}"] if left else wrong

    def airflow_pids(self) -> list[int]:
        """The processes that Airflow on this machine consists of: its components, keeper and database."""
        return [int(each.read_text().split()[0]) for each in (self.home / "airflow" / "run").glob("*.pid")]

    def catalog_url(self) -> str:
        """Where the catalog of this stage is."""
        done = self._shell('. "$IMAGESMITH_HOME/airflow/environment"; printf %s "$IMAGESMITH_CATALOG_URL"')
        return done.strip()

    def imagesmith(self, *arguments: str) -> None:
        """Runs `imagesmith ARGUMENTS`; raises SetupError if it fails."""
        self._run([sys.executable, "-m", "imagesmith.cli", *arguments])

    def rest_the_janitor(self) -> None:
        """The janitor looks at the cloud when its time comes; here its calls would be counted as a builder's."""
        program = Path(sys.executable).parent / "airflow"
        self._shell(f'. "$IMAGESMITH_HOME/airflow/environment"; exec "{program}" dags pause -y imagesmith_janitor')

    def ask(self, path: str, *, method: str = "GET", body: object = None) -> dict[str, Any]:
        """The JSON answer of the sandbox's own door."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.endpoint}/_sandbox{path}", data, method=method)
        # Not through a proxy that the environment may name: this is loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            document: dict[str, Any] = json.load(answer)
        return document

    def _shell(self, script: str) -> str:
        return self._run(["sh", "-c", script])

    def _run(self, argv: Sequence[str]) -> str:
        done = subprocess.run(
            argv, env=dict(self.environment), capture_output=True, text=True, check=False, timeout=START_LIMIT_S
        )
        if done.returncode:
            raise SetupError(f"{' '.join(argv[-3:])} failed: {(done.stdout + done.stderr).strip()[-1500:]}")
        return done.stdout


@contextmanager
def open_stage(counts: Counts, extra: Mapping[str, str]) -> Iterator[Stage]:
    """A stage with generators for these numbers of targets; `extra` are settings to try, by variable."""
    home = settings.home() / "bench" / "home"
    with try_locked(home.parent) as alone:
        if not alone:
            raise SetupError("another benchmark runs on this machine, and two would measure each other; wait for it")
        with _opened(home, counts, extra) as stage:
            yield stage


@contextmanager
def _opened(home: Path, counts: Counts, extra: Mapping[str, str]) -> Iterator[Stage]:
    sandbox_port = ports.any_free()
    endpoint = f"http://{config.HOST}:{sandbox_port}"
    environment = _environment(home, counts, sandbox_port=sandbox_port) | dict(extra)
    stage = Stage(home, home / "include", endpoint, environment)
    if home.exists():  # a benchmark was killed; what it started is ended by its pid files
        _take_down(stage)
    _lay_out(home)
    try:
        stage.imagesmith("sandbox", "up")
        write_include(stage.include, counts, ssh_port=stage.ssh_port)
        stage.imagesmith("airflow", "up")
        stage.rest_the_janitor()
        yield stage
    finally:
        _take_down(stage)


def write_include(include: Path, counts: Counts, *, ssh_port: int) -> None:
    """The project's scripts, and for each cloud a generator per kind of machine and number of targets."""
    shutil.copytree(settings.PROJECT_ROOT / "include" / "scripts", include / "scripts")
    (include / "generators").mkdir()
    known = {name: cloud.settings(ssh_port) for name, cloud in named_clouds(counts).items()}
    (include / "clouds.yaml").write_text(yaml.safe_dump(known))
    for key, numbers in counts.items():
        _write_generator(include, key, "real", 1)
        for count in {1, *numbers}:  # builds at once are of the generator with one target
            _write_generator(include, key, "simulated", count)


def _write_generator(include: Path, key: str, machines: str, count: int) -> None:
    # All clouds are one account, where the names of images are unique.
    clouds = {
        name: {"image_name": f"{{generator}}-{{build_id}}-{name}", **CLOUDS[key].entry(machines)}
        for name in cloud_names(key, count)
    }
    # What the others do not do is not measured beside them.
    document = {"name": generator_name(key, machines, count), "script": "dstat.sh", "verify": False, "clouds": clouds}
    path = include / "generators" / f"{document['name']}.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))


def generator_name(key: str, machines: str, count: int) -> str:
    """The generator that builds so many targets at once on the cloud of this key."""
    return f"{key}-{machines}-{count}"


def cloud_names(key: str, count: int) -> list[str]:
    """So many clouds; all are the one account of the sandbox, each with a connection of its own."""
    return [f"{key}-{number:02}" for number in range(1, count + 1)]


def named_clouds(counts: Counts) -> dict[str, Cloud]:
    """Every cloud that the generators name."""
    return {name: CLOUDS[key] for key, numbers in counts.items() for name in cloud_names(key, max(numbers))}


def _environment(home: Path, counts: Counts, *, sandbox_port: int) -> dict[str, str]:
    """The caller's environment without the settings of another deployment, in which all find this stage."""
    endpoint = f"http://{config.HOST}:{sandbox_port}"
    connections = {name: cloud.connection(endpoint) for name, cloud in named_clouds(counts).items()}
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)},
        **{connection_variable(name): json.dumps(each) for name, each in connections.items()},
        "IMAGESMITH_HOME": str(home),
        "IMAGESMITH_INCLUDE": str(home / "include"),
        "IMAGESMITH_SANDBOX_PORT": str(sandbox_port),
        "IMAGESMITH_AIRFLOW_PORT": str(ports.any_free()),
        "AWS_CONFIG_FILE": str(home / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "no-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "CHECKPOINT_DISABLE": "1",  # Packer would ask its maker for news
    }


def _lay_out(home: Path) -> None:
    """A home that shares the base image, and what was found out about acceleration, with the default one."""
    shared = settings.home() / "sandbox"
    (shared / "base").mkdir(parents=True, exist_ok=True)
    for folder in ("sandbox", "scratch"):
        (home / folder).mkdir(parents=True)
    (home / "sandbox" / "base").symlink_to(shared / "base")
    if (shared / "acceleration.json").exists():
        shutil.copy(shared / "acceleration.json", home / "sandbox")


def _take_down(stage: Stage) -> None:
    """Both ended, the second even if the first could not be; the home goes with them."""
    try:
        stage.imagesmith("airflow", "down")
    finally:
        stage.imagesmith("sandbox", "down")
    shutil.rmtree(stage.home, ignore_errors=True)
