"""The sandbox and the Airflow of one benchmark, with a home and ports of their own; nothing of them is left running."""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from imagesmith import settings
from imagesmith.errors import SetupError
from imagesmith.local import ports
from imagesmith.local.lock import try_locked
from imagesmith.sandbox import config

START_LIMIT_S = 480  # a base image that has to be made first takes up to 3 minutes
# The bench's generators: the worked example, and for each number of targets one on simulated machines.
REAL_GENERATOR = "dstat"
SIMULATED_TIMINGS = {"boot_s": 5.0, "script_s": 10.0, "stop_s": 1.0, "image_s": 5.0}
_FOREIGN = ("AWS_", "AIRFLOW", "IMAGESMITH_", "PACKER_")


@dataclass(frozen=True)
class Machines:
    """The kind of machine that is built on: its source image and the script that is run there."""

    source_name: str
    script: Path


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

    def machines(self, kind: str) -> Machines:
        """`real` or `simulated` machines."""
        pattern = "debian-12-amd64-*" if kind == "real" else "simulated-*"
        return Machines(pattern, self.include / "scripts" / "dstat.sh")

    def fresh(self) -> None:
        """Nothing on the cloud, no call counted, simulated machines as slow as agreed."""
        self.ask("/reset", method="POST")
        self.ask("/settings", method="POST", body=SIMULATED_TIMINGS)

    def calls(self) -> dict[str, int]:
        """How often each action was called since the cloud was fresh."""
        counted: dict[str, int] = self.ask("/calls")["actions"]
        return counted

    def complaints(self, images: int) -> list[str]:
        """What is wrong with the cloud after builds: not that many images, or something left behind."""
        found = self.ask("/list")
        saved = [each for each in found["images"] if each["owner"] == config.OWNER_ID and each["state"] == "available"]
        wrong = [] if len(saved) == images else [f"{len(saved)} images instead of {images}"]
        left = [each["id"] for each in found["instances"] if each["state"] != "terminated"]
        left += found["key_pairs"] + [name for name in found["security_groups"] if name != "default"]
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
def open_stage(target_counts: Sequence[int], extra: Mapping[str, str]) -> Iterator[Stage]:
    """A stage with generators for these numbers of targets; `extra` are settings to try, by variable."""
    home = settings.home() / "bench" / "home"
    with try_locked(home.parent) as alone:
        if not alone:
            raise SetupError("another benchmark runs on this machine, and two would measure each other; wait for it")
        with _opened(home, target_counts, extra) as stage:
            yield stage


@contextmanager
def _opened(home: Path, target_counts: Sequence[int], extra: Mapping[str, str]) -> Iterator[Stage]:
    sandbox_port = ports.any_free()
    endpoint = f"http://{config.HOST}:{sandbox_port}"
    environment = _environment(home, sandbox_port=sandbox_port, most_targets=max(target_counts)) | dict(extra)
    stage = Stage(home, home / "include", endpoint, environment)
    if home.exists():  # a benchmark was killed; what it started is ended by its pid files
        _take_down(stage)
    _lay_out(home)
    try:
        stage.imagesmith("sandbox", "up")
        write_include(stage.include, target_counts, ssh_port=stage.ssh_port)
        stage.imagesmith("airflow", "up")
        stage.rest_the_janitor()
        yield stage
    finally:
        _take_down(stage)


def write_include(include: Path, target_counts: Sequence[int], *, ssh_port: int) -> None:
    """The project's scripts and worked example, and a generator of simulated machines per number of targets."""
    shutil.copytree(settings.PROJECT_ROOT / "include", include)
    names = ["ec2", *cloud_names(max(target_counts))]
    cloud = {"type": "ec2", "region": config.REGION, "ssh_port": ssh_port}
    (include / "clouds.yaml").write_text(yaml.safe_dump({name: dict(cloud) for name in names}))
    for count in {1, *target_counts}:  # builds at once are of the generator with one target
        name = generator_name(count)
        document = {"name": name, "script": "dstat.sh", "clouds": {each: _entry(each) for each in cloud_names(count)}}
        (include / "generators" / f"{name}.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


def generator_name(count: int) -> str:
    """The generator that builds on so many clouds at once."""
    return f"simulated-{count}"


def cloud_names(count: int) -> list[str]:
    """So many clouds; all are the one sandbox, each with a connection of its own."""
    return [f"sim{number:02}" for number in range(1, count + 1)]


def _entry(cloud: str) -> dict[str, Any]:
    return {
        "image_name": f"{{generator}}-{{build_id}}-{cloud}",  # all clouds are one account, where names are unique
        "source_image": {"name": "simulated-*", "owner": config.BASE_OWNER_ID},
        "ssh_username": config.DEFAULT_USER,
        "instance_type": "t3.small",
    }


def _environment(home: Path, *, sandbox_port: int, most_targets: int) -> dict[str, str]:
    """The caller's environment without the settings of another deployment, in which all find this stage."""
    endpoint = f"http://{config.HOST}:{sandbox_port}"
    connection = json.dumps(
        {
            "conn_type": "imagesmith_ec2",
            "login": config.ACCESS_KEY_ID,
            "password": config.SECRET_ACCESS_KEY,
            "extra": {"endpoint_url": endpoint, "region_name": config.REGION},
        }
    )
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)},
        **{f"AIRFLOW_CONN_{name.upper()}": connection for name in cloud_names(most_targets)},
        "IMAGESMITH_HOME": str(home),
        "IMAGESMITH_INCLUDE": str(home / "include"),
        "IMAGESMITH_SANDBOX_PORT": str(sandbox_port),
        "IMAGESMITH_AIRFLOW_PORT": str(ports.any_free()),
        "AWS_ENDPOINT_URL_EC2": endpoint,
        "AWS_ACCESS_KEY_ID": config.ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": config.SECRET_ACCESS_KEY,
        "AWS_DEFAULT_REGION": config.REGION,
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
