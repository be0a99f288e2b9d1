"""One image built the way a person with a script would: the cloud's SDK, ssh and scp, tight polling, without any care.

It is what the others are measured against: no retry, no catalog, no check of the host key, no clean-up of the image.
by_hand_ec2.py and by_hand_openstack.py bring the calls of their cloud, and are what is run.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

LOOK_S = 0.3
SSH_LOOK_S = 0.5
STARTED = time.monotonic()


class Build(ABC):
    """The calls of one build on one cloud."""

    def __init__(self, wanted: argparse.Namespace) -> None:
        self.wanted = wanted

    @abstractmethod
    def launch(self) -> str:
        """The private key of the machine that begins to boot."""

    @abstractmethod
    def address(self) -> str:
        """Where the machine's SSH will answer, "" as long as it has no such address."""

    @abstractmethod
    def stop(self) -> None:
        """Begins to power off."""

    @abstractmethod
    def stopped(self) -> bool:
        """True once it is off."""

    @abstractmethod
    def save(self) -> str:
        """The id of the image that begins to be saved."""

    @abstractmethod
    def saved(self) -> bool:
        """True once the image can be used."""

    @abstractmethod
    def remove(self) -> None:
        """Removes everything else."""


def main(begin: Callable[[argparse.Namespace], Build]) -> None:
    """Builds one image; prints one JSON object with the seconds at which each part was over."""
    wanted = _arguments()
    build, reached = begin(wanted), {}
    with tempfile.TemporaryDirectory() as directory:
        options = _ssh_options(_key_file(build.launch(), Path(directory)), wanted.ssh_port)
        login = f"{wanted.user}@{when(build.address)}"
        when(lambda: _answers(options, login), every_s=SSH_LOOK_S)
        reached["ssh"] = _elapsed()
        _run_script(options, login, wanted.script)
        reached["script"] = _elapsed()
    build.stop()
    when(build.stopped)
    reached["stopped"] = _elapsed()
    image_id = build.save()
    when(build.saved)
    reached["image"] = _elapsed()
    build.remove()
    reached["gone"] = _elapsed()
    print(json.dumps({"image_id": image_id, "reached": reached}))


def when(look: Callable[[], Any], *, every_s: float = LOOK_S) -> Any:
    """The first thing seen that is true."""
    while not (found := look()):
        time.sleep(every_s)
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--script", type=Path, required=True)
    parser.add_argument("--source-name", required=True)
    parser.add_argument("--owner", default="")
    parser.add_argument("--user", default="admin")
    parser.add_argument("--ssh-port", type=int, default=22)
    return parser.parse_args()


def _elapsed() -> float:
    return round(time.monotonic() - STARTED, 2)


def _key_file(private_key: str, directory: Path) -> Path:
    key = directory / "key"
    os.close(os.open(key, os.O_CREAT | os.O_WRONLY, 0o600))
    key.write_text(private_key)
    return key


def _ssh_options(key: Path, port: int) -> list[str]:
    options = {
        "IdentityFile": str(key),
        "IdentitiesOnly": "yes",
        "Port": str(port),
        "BatchMode": "yes",
        "ConnectTimeout": "5",
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "LogLevel": "ERROR",
    }
    return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]


def _answers(options: list[str], login: str) -> bool:
    done = subprocess.run(["ssh", *options, login, "true"], capture_output=True, check=False)
    return done.returncode == 0


def _run_script(options: list[str], login: str, script: Path) -> None:
    # -O: machines that answer by the clock take files the older way only.
    subprocess.run(["scp", "-q", "-O", *options, str(script), f"{login}:/tmp/by-hand.sh"], check=True)
    subprocess.run(["ssh", *options, login, "bash /tmp/by-hand.sh"], check=True, stdout=subprocess.DEVNULL)
