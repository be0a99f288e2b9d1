"""The sandbox's cloud client completes a build on real virtual machines of both Nimbus sites.

It launches Debian, a script runs over SSH as root, the image is saved and a machine is booted from it.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from imagesmith.processes import Daemon
from imagesmith.sandbox.config import Places

from .conftest import Sandbox
from .test_sandbox_clients import MARK, SSH_LIMIT_S, eventually, key_pair, ssh_port

pytestmark = pytest.mark.system


class Client:
    """The cloud client on one site with its ready configuration file."""

    def __init__(self, sandbox: Sandbox, site: str, directory: Path) -> None:
        self._sandbox = sandbox
        self._site = site
        self._directory = directory
        self._key = key_pair(directory)
        self._port = ssh_port(sandbox)

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What an invocation says; it has to end well."""
        told = self.shown()
        argv = [told["cloud_client"], "--conf", told["conf"], "--history-dir", str(self._directory / "history")]
        done = subprocess.run(
            [*argv, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def run(self, image: str) -> str:
        """The address of a new workspace."""
        done = self.call("--run", "--hours", "1", "--name", image, "--ssh-pubkey", f"{self._key}.pub")
        found = re.search(r"IP address: (\S+)", done.stdout)
        assert found, done.stdout
        return found[1]

    def shell(self, address: str, command: str) -> str:
        """What root's command prints; tries until the machine answers. The service has no way to tell the host key."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "ConnectTimeout=20")
        argv = ["ssh", "-q", *(f"-o{option}" for option in options), "-i", str(self._key), "-p", str(self._port)]
        done: list[subprocess.CompletedProcess[str]] = []

        def answers() -> bool:
            argv_of_all = [*argv, f"root@{address}", command]
            done.append(subprocess.run(argv_of_all, capture_output=True, text=True, timeout=60, check=False))
            return done[-1].returncode != 255

        eventually(answers, True, limit_s=SSH_LIMIT_S)
        assert done[-1].returncode == 0, done[-1].stdout + done[-1].stderr
        return done[-1].stdout

    def machine(self, address: str) -> list[str]:
        """The command line of the address's machine."""
        instance = next(each["instance_id"] for each in self.shown()["workspaces"] if each["address"] == address)
        places = Places(self._sandbox.home / "sandbox", self._site)
        process = Daemon("qemu", directory=places.machines / instance).running()
        assert process is not None
        return Path(f"/proc/{process}/cmdline").read_text().split("\0")

    def shown(self) -> Any:
        """Everything on the site."""
        return self._sandbox.control("list")["accounts"][self._site]


@pytest.mark.parametrize(
    ("site", "name"),
    [
        pytest.param("nimbus-hotel-xen", "made.gz", marks=pytest.mark.long),  # test_build.py builds on this site
        pytest.param("nimbus-hotel-kvm", "made", marks=pytest.mark.long),
        ("nimbus-hotel-kvm", "made.gz"),
    ],
)
def test_a_build(sandbox: Sandbox, site: str, name: str, tmp_path: Path) -> None:
    client = Client(sandbox, site, tmp_path)
    proof = booted_by_the_node if client.shown()["hypervisor"] == "xen" else booted_by_its_own_loader
    address = client.run("debian-12.gz")
    proof(client, address)
    client.shell(address, f"echo {site} >{MARK} && sync")
    saved = client.call("--save", "--handle", "vm-001", "--newname", name)
    assert "The image has successfully been transferred to your repository directory." in saved.stderr
    listed = {each["id"].rsplit("/", 1)[-1]: each for each in client.shown()["images"]}
    assert listed[name]["size"] > 0
    again = client.run(name)
    assert client.shell(again, f"cat {MARK} && id -un").split() == [site, "root"]
    proof(client, again)
    client.call("--terminate", "--handle", "vm-002")
    eventually(lambda: client.shown()["workspaces"], [])


def booted_by_the_node(client: Client, address: str) -> None:
    """One file system on the whole device, which only a kernel from outside can boot."""
    assert client.shell(address, "findmnt -no SOURCE,FSTYPE /").split() == ["/dev/vda", "ext4"]
    assert json.loads(client.shell(address, "lsblk -J /dev/vda"))["blockdevices"][0].get("children") is None
    assert "-kernel" in client.machine(address)


def booted_by_its_own_loader(client: Client, address: str) -> None:
    """A boot loader in the first sector, which read its configuration in the partition; QEMU was given no kernel."""
    assert client.shell(address, "findmnt -no SOURCE,FSTYPE /").split() == ["/dev/vda1", "ext4"]
    assert "GRUB" in client.shell(address, "head -c 512 /dev/vda | tr -cd '[:print:]'")
    flags = client.shell(address, "cat /proc/cmdline")
    assert flags.startswith("BOOT_IMAGE=/vmlinuz ")
    assert flags.strip().partition(" ")[2] in client.shell(address, "cat /boot/grub/grub.cfg")
    assert not {"-kernel", "-initrd", "-append"} & set(client.machine(address))


@pytest.mark.long
def test_a_whole_disk_boots_the_kernel_that_is_installed_on_it(sandbox: Sandbox, tmp_path: Path) -> None:
    client = Client(sandbox, "nimbus-hotel-kvm", tmp_path)
    address = client.run("debian-12.gz")
    other = "cp -L /vmlinuz /boot/other && ln -sf boot/other /vmlinuz"
    flagged = "sed -i 's/ quiet / quiet made.by.a.test /' /boot/grub/grub.cfg"
    removed = "rm /boot/vmlinuz-*"
    before = client.shell(address, f"{other} && {flagged} && {removed} && sync && cat /proc/sys/kernel/random/boot_id")
    client.shell(address, "systemctl --no-block reboot")
    eventually(lambda: client.shell(address, "cat /proc/sys/kernel/random/boot_id") != before, wanted=True)
    assert "made.by.a.test" in client.shell(address, "cat /proc/cmdline")
    client.call("--terminate", "--handle", "vm-001")
    eventually(lambda: client.shown()["workspaces"], [])
