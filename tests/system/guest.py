"""A virtual machine booted from a built image with a key of our own: what is in the image, seen over SSH."""

from __future__ import annotations

import re
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path

import asyncssh

from .airflow_rest import until


class Guest(ABC):
    """A machine that has `public_key`; `run` is a command's output over SSH."""

    def __init__(self, key: Path, *, username: str) -> None:
        private = asyncssh.generate_private_key("ssh-ed25519")
        private.write_private_key(str(key))
        key.chmod(0o600)
        self.key, self.name, self.username = key, f"look-{time.time_ns()}", username
        self.public_key = private.export_public_key().decode().strip()

    @abstractmethod
    def address(self) -> str:
        """Where SSH will answer, "" as long as there is no address."""

    @abstractmethod
    def end(self) -> None:
        """Nothing of it is left."""

    def run(self, command: str) -> str:
        """What the command prints."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=20")
        ssh = ["ssh", "-q", *(f"-o{option}" for option in options), "-i", str(self.key)]

        def look() -> subprocess.CompletedProcess[str] | None:
            if not (address := self.address()):
                return None
            argv = [*ssh, f"{self.username}@{address}", command]
            done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
            return None if done.returncode == 255 else done

        return str(until(look, f"SSH of {self.name}").stdout)


def assert_dstat_and_nothing_of_the_build(guest: Guest) -> None:
    """The image runs dstat and holds no key, history, work directory, package cache or host key of its build."""
    printed = guest.run("dstat --version")
    assert re.search(r"[Dd]stat", printed), printed
    # Seen from the machine booted now: whatever it made itself at this boot is newer than its image. Some images give
    # root the key too, behind a command that says who to be instead.
    lines = guest.run("sudo find / -xdev -name 'authorized_keys*' -exec cat {} +").splitlines()
    own = guest.public_key.split()[1]
    assert lines and all(own in line for line in lines), lines
    for left in (
        "sudo find / -xdev -name '.*_history'; ls -d /home/*/.imagesmith /root/.imagesmith",
        "sudo find /var/lib/apt/lists /var/cache/apt/archives -type f ! -name lock",
    ):
        assert not (found := guest.run(left)), found
    host_keys = guest.run("stat -c %Y /etc/ssh/ssh_host_*_key; stat -c %Y /proc/1").split()
    assert all(int(made) >= int(host_keys[-1]) - 60 for made in host_keys[:-1]), host_keys
