"""A real OpenStack for the tests marked `openstack`.

With `OS_CLOUD` set it is that cloud of clouds.yaml, found as openstacksdk finds it. Otherwise `up.sh` in the folder
`OPENSTACK_SCRIPTS` (default: `../shared/openstack` beside the checkout) brings one up as root on this machine; what it
brought up goes down at the end unless `OPENSTACK_KEEP` is set, what ran already goes on running. Where a cloud names
things differently: `OPENSTACK_IMAGE`, `_IMAGE_USER`, `_FLAVOR`, `_SMALL_FLAVOR`, `_NETWORK`, `_FLOATING_IP_NETWORK`.
Tests that need an administrator use the cloud of the same name with `-admin` behind it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from imagesmith.clouds.caller_address import caller_cidr
from imagesmith.clouds.openstack_login import Credentials

PROJECT = Path(__file__).parents[1]
UP_LIMIT_S = 1800
# The services and two guests: what the scripts' README says.
NEEDED_GIB = 6


def _named(name: str, default: str) -> str:
    return os.environ.get(f"OPENSTACK_{name}") or default


@dataclass(frozen=True)
class RealOpenStack:
    """A cloud of clouds.yaml with what tests must know of it; `region` is openstacksdk's word for its settings."""

    region: Any
    admin_region: Any = None
    image: str = _named("IMAGE", "debian-12")
    image_user: str = _named("IMAGE_USER", "debian")
    flavor: str = _named("FLAVOR", "m1.small")
    small_flavor: str = _named("SMALL_FLAVOR", "m1.tiny")
    network: str = _named("NETWORK", "private")
    floating_ip_network: str = _named("FLOATING_IP_NETWORK", "public")

    @classmethod
    def of(cls, config: Any, name: str) -> RealOpenStack:
        """The cloud of that name; `config` is what openstacksdk has read."""
        admin = f"{name}-admin"
        return cls(config.get_one(name), config.get_one(admin) if admin in config.get_cloud_names() else None)

    @cached_property
    def connection(self) -> Any:
        """The tests' own way in, past the driver."""
        from openstack.connection import Connection

        return Connection(config=self.region)

    @cached_property
    def admin(self) -> Any:
        """An administrator's way in; skips the test where clouds.yaml has none."""
        from openstack.connection import Connection

        if self.admin_region is None:
            pytest.skip(f"needs an administrator: a cloud {self.region.name}-admin in clouds.yaml")
        return Connection(config=self.admin_region)

    def credentials(self, *, admin: bool = False) -> Credentials:
        """What our driver logs in with."""
        region = self.admin_region if admin else self.region
        auth = region.config["auth"]
        return Credentials(
            auth_url=auth["auth_url"],
            username=auth.get("username", ""),
            password=auth.get("password", ""),
            project=auth.get("project_name", ""),
            project_id=auth.get("project_id", ""),
            domain=auth.get("user_domain_name", ""),
            project_domain=auth.get("project_domain_name", ""),
            region=region.region_name or "",
            application_credential_id=auth.get("application_credential_id", ""),
            application_credential_secret=auth.get("application_credential_secret", ""),
            ca_file=region.config.get("cacert") or "",
            verify=region.config.get("verify", True),
        )

    @cached_property
    def ssh_cidr(self) -> str:
        """Whom instances let in: us, as they see us. A cloud on this very machine sees us on its outer network."""
        if not (urlsplit(self.region.config["auth"]["auth_url"]).hostname or "").startswith(("127.", "localhost")):
            return "auto"
        outer = self.connection.network.find_network(self.floating_ip_network, ignore_missing=False)
        subnet = next(iter(self.connection.network.subnets(network_id=outer.id, ip_version=4)))
        return caller_cidr(self.region.name, f"http://{subnet.gateway_ip}")

    @contextmanager
    def empty_image(self) -> Iterator[str]:
        """The name of an image with nothing on it: what boots from it is a whole instance to Nova, and at once done.

        Nova asks an instance to end by itself before it ends it, here for a second only: nobody is in to hear it.
        """
        name, glance = f"empty-{uuid.uuid4().hex[:12]}", self.connection.image
        image = glance.create_image(
            name=name,
            data=bytes(1024**2),
            disk_format="raw",
            container_format="bare",
            visibility="private",
            os_shutdown_timeout="1",
        )
        try:
            yield name
        finally:
            glance.delete_image(image)


@pytest.fixture(scope="session")
def empty_image(real_openstack: RealOpenStack) -> Iterator[str]:
    """The name of an image with no system on it."""
    with real_openstack.empty_image() as name:
        yield name


@pytest.fixture(scope="session")
def real_openstack(request: pytest.FixtureRequest) -> Iterator[RealOpenStack]:
    """The cloud, left as it was found; skips where there is none to be had."""
    from openstack.config import OpenStackConfig

    if name := os.environ.get("OS_CLOUD"):
        yield RealOpenStack.of(OpenStackConfig(), name)
        return
    lab = Path(os.environ.get("LAB") or Path(tempfile.gettempdir()) / "openstack-lab")
    if _answers(lab / "clouds.yaml"):
        yield _brought_up(lab)
        return
    scripts = PROJECT / (os.environ.get("OPENSTACK_SCRIPTS") or "../shared/openstack")
    if reason := _hindrance(scripts):
        pytest.skip(f"no real OpenStack: OS_CLOUD is not set, and {reason}")
    capture = request.config.pluginmanager.getplugin("capturemanager")
    try:
        _bring_up(scripts, lab, capture.global_and_fixture_disabled())
        yield _brought_up(lab)
    finally:
        if not os.environ.get("OPENSTACK_KEEP"):
            subprocess.run([*_as_root(lab), str(scripts / "down.sh")], check=False)


def _brought_up(lab: Path) -> RealOpenStack:
    from openstack.config import OpenStackConfig

    return RealOpenStack.of(OpenStackConfig([str(lab / "clouds.yaml")], load_envvars=False), "oslab")


def _hindrance(scripts: Path) -> str:
    """Why the scripts can't bring a cloud up here, "" if nothing is known against it."""
    if not (scripts / "up.sh").exists():
        return f"{scripts} has no up.sh (OPENSTACK_SCRIPTS names the folder)"
    if not shutil.which("apt-get"):
        return "up.sh needs Debian's apt-get"
    if os.geteuid() != 0 and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode != 0:
        return "up.sh needs root"
    free = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
    if int(free.split()[1]) < NEEDED_GIB * 1024**2:
        return f"up.sh needs {NEEDED_GIB} GiB of free memory"
    return ""


def _as_root(lab: Path) -> list[str]:
    return [*([] if os.geteuid() == 0 else ["sudo", "-n"]), "env", f"LAB={lab}"]


def _answers(clouds_yaml: Path) -> bool:
    """Whether a cloud that was brought up earlier runs."""
    from openstack.config import OpenStackConfig

    if not clouds_yaml.exists():
        return False
    region = OpenStackConfig([str(clouds_yaml)], load_envvars=False).get_one("oslab")
    try:
        urllib.request.urlopen(region.config["auth"]["auth_url"], timeout=20).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _bring_up(scripts: Path, lab: Path, shown: AbstractContextManager[None]) -> None:
    """Runs up.sh with its lines on the terminal, for it may take minutes; skips with its last one if it fails."""
    said = ""
    with shown:
        argv = [*_as_root(lab), "timeout", "--foreground", str(UP_LIMIT_S), str(scripts / "up.sh")]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                print(line, end="", flush=True)
                said = line.strip() or said
    if process.returncode != 0:
        pytest.skip(f"no real OpenStack: OS_CLOUD is not set, and up.sh ended with {process.returncode}: {said}")
