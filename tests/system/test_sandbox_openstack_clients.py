"""OpenStack's own clients complete a build on real VMs: openstacksdk (also as Havana's), `openstack`, Packer.

Each launches Debian, runs a small script over a floating IP and saves an image. A machine is booted from it once for
each way an image is saved: from a server's own disk, and from a volume.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from imagesmith.sandbox.openstack import sites

from .conftest import Sandbox
from .test_sandbox_clients import MARK, Shell, eventually, host_key_on_console, key_pair, known_hosts, ssh_port

pytestmark = pytest.mark.system

FLAVOR = "m1.small"
WAIT_S = 180


class Stack:
    """openstacksdk on one site, with what the builds of a test share."""

    def __init__(self, sandbox: Sandbox, name: str, directory: Path) -> None:
        openstack = pytest.importorskip("openstack", reason="needs openstacksdk")
        self.sandbox = sandbox
        self.directory = directory
        self.facts = sites.SITES[name]
        auth = {"auth_url": self.facts.auth_url(sandbox.endpoint), "username": sites.USER, "password": sites.PASSWORD}
        if self.facts.havana:
            era = {"auth_type": "v2password", "floating_ip_source": "nova", "secgroup_source": "nova"}
            auth |= {"tenant_name": sites.PROJECT}
        else:
            era = {"auth_type": "password"}
            auth |= {"project_name": sites.PROJECT, "user_domain_name": "Default", "project_domain_name": "Default"}
        self.sdk: Any = openstack.connect(
            load_yaml_config=False, load_envvars=False, auth=auth, region_name=sites.REGION, **era
        )
        self.key = key_pair(directory)

    @property
    def environment(self) -> dict[str, str]:
        """The site as the command line finds it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
        return {**kept, **self.facts.environment(self.sandbox.endpoint)}

    def prepare(self) -> None:
        """A key pair, and a group that lets this machine in."""
        self.sdk.create_keypair("build", Path(f"{self.key}.pub").read_text().strip())
        group = self.sdk.create_security_group("build", "port 22")
        rule = {"port_range_min": 22, "port_range_max": 22, "protocol": "tcp", "remote_ip_prefix": "127.0.0.1/32"}
        self.sdk.create_security_group_rule(group["id"], **rule)

    def launch(self, name: str, image: str) -> Any:
        """An active server with a floating IP."""
        network = {} if self.facts.havana else {"network": "private"}
        return self.sdk.create_server(
            name,
            image=image,
            flavor=FLAVOR,
            key_name="build",
            security_groups=["build"],
            auto_ip=True,
            wait=True,
            timeout=WAIT_S,
            **network,
        )

    def shell(self, server: Any) -> Shell:
        """SSH to the server with the host key from its console."""
        address = self.sdk.get_server(server["id"])["public_v4"]
        port = ssh_port(self.sandbox)
        host_key = host_key_on_console(lambda: self.sdk.get_server_console(server["id"]))
        return Shell(address, port, key=self.key, known_hosts=known_hosts(self.directory, address, port, host_key))

    def becomes(self, server: Any, status: str) -> None:
        """Returns when the server has the status."""
        eventually(lambda: self.sdk.get_server(server["id"])["status"], status)

    def delete(self, server: Any) -> None:
        """The server and its floating IP are gone."""
        assert self.sdk.delete_server(server["id"], wait=True, timeout=WAIT_S, delete_ips=True)

    def check(self, image_id: str) -> None:
        """Boots the image, finds what the script left, and removes server and image."""
        server = self.launch("check", image_id)
        assert self.shell(server).run(f"ls {MARK}").strip() == MARK
        self.delete(server)
        assert self.sdk.delete_image(image_id, wait=True)

    def clean_up(self) -> None:
        """Removes what `prepare` made, and finds nothing else."""
        for server in self.sdk.list_servers():
            self.sdk.delete_server(server["id"], wait=True, delete_ips=True)
        self.sdk.delete_keypair("build")
        self.sdk.delete_security_group("build")
        assert self.sdk.list_floating_ips() == []
        assert [group["name"] for group in self.sdk.list_security_groups()] == ["default"]


@contextmanager
def prepared(sandbox: Sandbox, name: str, directory: Path) -> Iterator[Stack]:
    stack = Stack(sandbox, name, directory)
    stack.prepare()
    yield stack
    stack.clean_up()


@pytest.mark.long  # the openstack command is the same client
@pytest.mark.parametrize("name", ["openstack-sierra", "openstack-india"])
def test_openstacksdk(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    with prepared(sandbox, name, tmp_path) as stack:
        server = stack.launch("by-sdk", "debian-12")
        shell = stack.shell(server)
        shell.run(f"sudo touch {MARK} && sync")
        shell.power_off()
        stack.becomes(server, "SHUTOFF")
        image = stack.sdk.create_image_snapshot("by-sdk", server["id"], wait=True, timeout=WAIT_S, generator="dstat")
        stack.becomes(server, "SHUTOFF")
        stack.delete(server)
        assert stack.sdk.get_image(image["id"])["status"] == "active"
        assert stack.sdk.delete_image(image["id"], wait=True)


def test_the_openstack_command(sandbox: Sandbox, tmp_path: Path) -> None:
    program = shutil.which("openstack", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        pytest.skip("needs the openstack command (python-openstackclient)")
    with prepared(sandbox, "openstack-hotel", tmp_path) as stack:

        def ask(*words: str) -> Any:
            argv = [program, *words]
            done = subprocess.run(argv, env=stack.environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            return json.loads(done.stdout) if "json" in words else done.stdout

        json_out = ("-f", "json")
        launch = ("--image", "debian-12", "--flavor", FLAVOR, "--network", "private", "--key-name", "build")
        made = ask("server", "create", *launch, "--security-group", "build", "--wait", *json_out, "by-command")
        address = ask("floating", "ip", "create", *json_out, "public")["floating_ip_address"]
        ask("server", "add", "floating", "ip", made["id"], address)
        shell = stack.shell(made)
        shell.run(f"sudo touch {MARK} && sync")
        ask("server", "stop", made["id"])
        stack.becomes(made, "SHUTOFF")
        image = ask("server", "image", "create", "--name", "by-command", "--wait", *json_out, made["id"])
        ask("server", "delete", "--wait", made["id"])
        ask("floating", "ip", "delete", address)
        ask("image", "set", "--property", "team=tests", "--tag", "built", image["id"])
        shown = ask("image", "show", *json_out, image["id"])
        assert (shown["status"], shown["properties"]["team"], shown["tags"]) == ("active", "tests", ["built"])
        assert image["id"] in [each["ID"] for each in ask("image", "list", "--private", *json_out)]
        stack.check(image["id"])


@pytest.mark.long
@pytest.mark.parametrize("on_volume", [False, True], ids=["image", "volume"])
def test_packer(sandbox: Sandbox, tmp_path: Path, on_volume: bool) -> None:
    if shutil.which("packer") is None:
        pytest.skip("needs packer (Debian's package packer)")
    with prepared(sandbox, "openstack-hotel", tmp_path) as stack:
        template = tmp_path / "template.json"
        template.write_text(json.dumps(packer_template(stack, on_volume=on_volume)))
        argv = ["packer", "build", "-color=false", "-machine-readable", str(template)]
        environment = {**stack.environment, "CHECKPOINT_DISABLE": "1"}
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        image = stack.sdk.get_image("by-packer")
        assert (image["status"], image["properties"]["team"]) == ("active", "tests")
        assert [each["name"] for each in stack.sdk.list_keypairs()] == ["build"]
        assert list(stack.sdk.list_servers()) == []
        assert list(stack.sdk.list_volumes()) == []
        if on_volume:
            stack.check(image["id"])
        else:
            assert stack.sdk.delete_image(image["id"], wait=True)


def packer_template(stack: Stack, *, on_volume: bool) -> dict[str, Any]:
    builder = {
        "type": "openstack",
        "identity_endpoint": stack.facts.auth_url(stack.sandbox.endpoint),
        "username": sites.USER,
        "password": sites.PASSWORD,
        "domain_name": "Default",
        "tenant_name": sites.PROJECT,
        "region": sites.REGION,
        "source_image_name": "debian-12",
        "image_name": "by-packer",
        "metadata": {"team": "tests"},
        "flavor": FLAVOR,
        "networks": [stack.sdk.network.find_network("private").id],
        "security_groups": ["build"],
        "floating_ip_network": "public",
        "use_blockstorage_volume": on_volume,
        "ssh_username": "admin",
        "ssh_port": ssh_port(stack.sandbox),
    }
    if on_volume:
        builder |= {"volume_size": 8, "image_disk_format": "qcow2"}
    return {
        "builders": [builder],
        "provisioners": [{"type": "shell", "inline": [f"sudo touch {MARK}", "sync"]}],
    }
