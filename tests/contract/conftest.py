"""The places the contract of a driver is tested on: `site` is one after the other."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError

from imagesmith.clouds.ec2 import CLIENT_CONFIG, Ec2Cloud
from imagesmith.clouds.memory import MemoryCloud
from imagesmith.clouds.memory_world import Fault, Timing
from imagesmith.clouds.openstack import OpenStackCloud
from imagesmith.clouds.openstack_login import Credentials, connect
from imagesmith.clouds.openstack_words import OpenStackSettings
from imagesmith.core import Cloud, ImageQuery, ResourceKind
from imagesmith.sandbox import base_image, config
from imagesmith.sandbox.config import ACCESS_KEY_ID, BASE_OWNER_ID, SECRET_ACCESS_KEY
from imagesmith.sandbox.openstack import sites
from imagesmith.sandbox.openstack.sites import Facts

from .databases import catalog, clock, empty_url, postgresql, url  # noqa: F401 (fixtures of the catalog's tests)
from .nimbus_site import NimbusSite
from .real_openstack_site import OPENSTACK_EFFECTS, RealOpenStackSite
from .site import Site

NO_ROOM = "no room on the host"


class MemorySite(Site):
    """The reference: a file and a clock that goes a second a look."""

    name = "memory-1"
    source = ImageQuery(id="image-base-1")
    by_name = ImageQuery(name="base-*", owner="vendor")
    newest_id = "image-base-2"
    other_owner = ImageQuery(name="base-*", owner="nobody")
    unknown_id = ImageQuery(id="image-unknown")
    unknown_name = ImageQuery(name="no-such-*", owner="vendor")
    unknown_instance = "instance-unknown"
    strangers = ImageQuery(name="base-*")

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._path = directory / "memory.json"
        self._seconds = itertools.count(1_000_000)
        self._now = float(next(self._seconds))
        self._memory().set_timing(Timing(boot_s=3, stop_s=2, end_s=2, image_s=3))

    def _memory(self, *, accepted: bool = True) -> MemoryCloud:
        return MemoryCloud(self.name, self._path, accepted=accepted, clock=lambda: self._now)

    def cloud(self) -> Cloud:
        return self._memory()

    def stranger(self) -> Cloud:
        return self._memory(accepted=False)

    def losing(self, method: str) -> Cloud:
        self._memory().set_fault(Fault(method, message="the connection broke", after_effect=True))
        return self._memory()

    def pass_time(self) -> None:
        self._now = float(next(self._seconds))

    def be_busy(self) -> None:
        self._memory().set_fault(Fault("*"))

    def doom_next_instance(self) -> str:
        self._memory().doom(ResourceKind.INSTANCE, NO_ROOM)
        return NO_ROOM

    def is_public(self, image_id: str) -> bool:
        with self._memory().world() as world:
            return world.things[image_id].public

    def close(self) -> None:
        self._path.unlink()


# The call whose answer is lost, for each of the driver's methods.
EFFECTS = {"launch": "RunInstances", "save": "CreateImage", "delete": "TerminateInstances"}


class Ec2Site(Site):
    """The EC2 driver on the sandbox's machines that answer by the clock."""

    name = "ec2-sandbox"
    kinds_of_a_launch = frozenset({ResourceKind.INSTANCE, ResourceKind.VOLUME})
    kinds_shared = frozenset({ResourceKind.SECURITY_GROUP})
    other_owner = ImageQuery(name="simulated-*", owner="999999999999")
    unknown_id = ImageQuery(id="ami-0123456789abcdef0")
    unknown_name = ImageQuery(name="no-such-*", owner=BASE_OWNER_ID)
    unknown_instance = "i-0123456789abcdef0"

    def __init__(self, endpoint: str, *, source_name: str = "simulated-*", look_every_s: float = 0.02) -> None:
        super().__init__()
        self._endpoint = endpoint
        self._look_every_s = look_every_s
        self.by_name = ImageQuery(name=source_name, owner=BASE_OWNER_ID)
        self.strangers = ImageQuery(name=source_name)
        _control(endpoint, "/_sandbox/reset", {})
        _control(endpoint, "/_sandbox/settings", {"boot_s": 0.1, "stop_s": 0.05, "image_s": 0.1})
        images = self.client("ec2").describe_images(Filters=[{"Name": "name", "Values": [source_name]}])
        self.newest_id = images["Images"][0]["ImageId"]
        self.source = ImageQuery(id=self.newest_id)

    def client(self, service: str, *, secret: str = SECRET_ACCESS_KEY) -> Any:
        key = (self._endpoint, service, secret)
        if key not in _CLIENTS:  # parsing EC2's description takes longer than most tests
            session = boto3.session.Session(ACCESS_KEY_ID, secret, region_name="us-east-1")
            _CLIENTS[key] = session.client(service, endpoint_url=self._endpoint, config=Config(**CLIENT_CONFIG))
        return _CLIENTS[key]

    def cloud(self) -> Cloud:
        return Ec2Cloud(self.name, self.client)

    def stranger(self) -> Cloud:
        return Ec2Cloud(self.name, partial(self.client, secret="wrong"))

    def losing(self, method: str) -> Cloud:
        session = boto3.session.Session(ACCESS_KEY_ID, SECRET_ACCESS_KEY, region_name="us-east-1")
        client = session.client("ec2", endpoint_url=self._endpoint, config=Config(**CLIENT_CONFIG))

        def lose(**_: Any) -> None:
            raise ConnectionClosedError(endpoint_url=self._endpoint)

        client.meta.events.register(f"after-call.ec2.{EFFECTS[method]}", lose)
        return Ec2Cloud(self.name, lambda service: client)

    def pass_time(self) -> None:
        time.sleep(self._look_every_s)

    def pass_a_second(self) -> None:
        time.sleep(1.0)

    def be_busy(self) -> None:
        busy = {"code": "RequestLimitExceeded", "status": 503, "count": 1}
        _control(self._endpoint, "/_sandbox/settings", {"api_error": busy})

    def doom_next_instance(self) -> str:
        pytest.skip("needs an instance that fails while it starts; the sandbox has none")

    def is_public(self, image_id: str) -> bool:
        reply = self.client("ec2").describe_image_attribute(ImageId=image_id, Attribute="launchPermission")
        return {"Group": "all"} in reply["LaunchPermissions"]

    def close(self) -> None:
        _control(self._endpoint, "/_sandbox/reset", {})


class OpenStackSite(Site):
    """The OpenStack driver on one of the sandbox's sites, whose machines answer by the clock."""

    instance_type = "m1.small"
    unknown_id = ImageQuery(id="6e5959e9-f349-420f-b77c-5485306fdc25")
    unknown_name = ImageQuery(name="no-such-*")
    unknown_instance = "0f0f0f0f-f349-420f-b77c-5485306fdc25"
    other_owner = ImageQuery(name="simulated-*", owner="0" * 32)
    strangers = ImageQuery(name="community-*")
    kinds_of_a_launch = frozenset({ResourceKind.INSTANCE, ResourceKind.KEY_PAIR, ResourceKind.SECURITY_GROUP})
    kinds_of_an_image = frozenset({ResourceKind.IMAGE})
    remembers_the_ended = False

    def __init__(self, endpoint: str, facts: Facts) -> None:
        super().__init__()
        self.name = facts.name
        self._facts = facts
        self._endpoint = endpoint
        self.by_name = ImageQuery(name="simulated-*")
        self._reset()
        self._control({"boot_s": 0.1, "stop_s": 0.05, "image_s": 0.1})
        self.newest_id = self.cloud().find_source_image(self.by_name).id
        self.source = ImageQuery(id=self.newest_id)

    def _control(self, wanted: dict[str, Any]) -> None:
        _control(self._endpoint, "/_sandbox/settings", {"account": self.name, **wanted})

    def _reset(self) -> None:
        _control(self._endpoint, "/_sandbox/reset", {"account": self.name})

    def _driver(self, password: str) -> OpenStackCloud:
        settings = OpenStackSettings(
            auth_url=self._facts.auth_url(self._endpoint),
            identity_version=2 if self._facts.havana else 3,
            region=sites.REGION,
            network="private",
        )
        known = Credentials(username=sites.USER, password=password, project=sites.PROJECT)
        return OpenStackCloud(self.name, partial(connect, self.name, settings, known), settings)

    def cloud(self) -> Cloud:
        return self._driver(sites.PASSWORD)

    def stranger(self) -> Cloud:
        return self._driver("wrong")

    def losing(self, method: str) -> Cloud:
        verb, path = OPENSTACK_EFFECTS[method]
        fault = {"service": "compute", "method": verb, "path": path, "status": 0, "after_effect": True}
        self._control({"fault": fault})
        return self.cloud()

    def pass_time(self) -> None:
        time.sleep(0.02)

    def pass_a_second(self) -> None:
        time.sleep(1.0)

    def be_busy(self) -> None:
        self._control({"fault": {"status": 429, "message": "Too many requests"}})

    def doom_next_instance(self) -> str:
        self._control({"doom": NO_ROOM})
        return NO_ROOM

    def is_public(self, image_id: str) -> bool:
        login = Credentials(username=sites.USER, password=sites.PASSWORD, project=sites.PROJECT)
        settings = OpenStackSettings(
            auth_url=self._facts.auth_url(self._endpoint), identity_version=2 if self._facts.havana else 3
        )
        connection = connect(self.name, settings, login)
        return bool(connection.image.get(f"/images/{image_id}").json()["visibility"] == "public")

    def close(self) -> None:
        self._reset()


_CLIENTS: dict[tuple[str, str, str], Any] = {}


def _control(endpoint: str, path: str, document: dict[str, Any]) -> None:
    request = urllib.request.Request(
        endpoint + path, json.dumps(document).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()


@contextmanager
def _sandbox(home: Path) -> Iterator[str]:
    """The endpoint of a sandbox of our own, with its state in `home`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "IMAGESMITH_HOME": str(home), "IMAGESMITH_SANDBOX_PORT": str(port)}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2] / "src")
    log = home / "server.log"
    with log.open("w") as output:
        command = [sys.executable, "-m", "imagesmith.sandbox.server"]
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    endpoint = f"http://127.0.0.1:{port}"
    try:
        _until_healthy(endpoint, server, log)
        yield endpoint
    finally:
        server.terminate()
        server.wait(timeout=60)


@pytest.fixture(scope="session")
def sandbox_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox without a base image: its machines answer by the clock."""
    with _sandbox(tmp_path_factory.mktemp("sandbox")) as endpoint:
        yield endpoint


@contextmanager
def _ec2_on_virtual_machines(home: Path) -> Iterator[Site]:
    """The EC2 driver on a real virtual machine, from the base image of this machine's own sandbox."""
    places = config.places()
    base_image.ensure(places.base, announce=print)
    (home / "sandbox").mkdir()
    (home / "sandbox" / "base").symlink_to(places.base)
    probed = places.root / "acceleration.json"  # finding it out takes 15 s
    if probed.exists():
        (home / "sandbox" / probed.name).write_text(probed.read_text())
    with _sandbox(home) as endpoint:
        yield Ec2Site(endpoint, source_name="debian-12-amd64-*", look_every_s=1.0)


@pytest.fixture(
    params=[
        pytest.param("ec2", marks=[pytest.mark.system, pytest.mark.long]),
        pytest.param("openstack", marks=pytest.mark.openstack),
    ]
)
def vm_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A site whose instances are whole machines."""
    if request.param == "openstack":
        real = request.getfixturevalue("real_openstack")
        site = RealOpenStackSite(real, image=real.image, flavor=real.flavor)
        yield site
        site.close()
        return
    with _ec2_on_virtual_machines(tmp_path) as site:
        yield site


def _until_healthy(endpoint: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"{endpoint}/_sandbox/health", timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"the sandbox did not start:\n{log.read_text()}")


@pytest.fixture(
    params=[
        *("memory", "ec2", "openstack-hotel", "openstack-india", "nimbus-hotel-xen", "nimbus-hotel-kvm"),
        pytest.param("openstack", marks=pytest.mark.openstack),
    ]
)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """One implementation after the other."""
    if request.param == "memory":
        site: Site = MemorySite(tmp_path)
    elif request.param == "ec2":
        site = Ec2Site(request.getfixturevalue("sandbox_endpoint"))
    elif request.param == "openstack":
        real = request.getfixturevalue("real_openstack")
        site = RealOpenStackSite(real, image=request.getfixturevalue("empty_image"), flavor=real.small_flavor)
    elif request.param.startswith("nimbus-"):
        site = NimbusSite(request.getfixturevalue("sandbox_endpoint"), request.param, tmp_path)
    else:
        site = OpenStackSite(request.getfixturevalue("sandbox_endpoint"), sites.SITES[request.param])
    yield site
    site.close()
