"""The contract's place on a real OpenStack: faults come from this side of the wire, dooms from its administrator."""

from __future__ import annotations

import io
import re
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter

from imagesmith.clouds.openstack import OpenStackCloud
from imagesmith.clouds.openstack_login import Credentials, connect
from imagesmith.clouds.openstack_words import OpenStackSettings
from imagesmith.core import Cloud, ImageQuery, ResourceKind

from .site import LOOKS, Site

if TYPE_CHECKING:
    from tests.real_openstack import RealOpenStack

# The call whose answer is lost, for each of the driver's methods: HTTP method and path.
OPENSTACK_EFFECTS = {
    "launch": ("POST", r"/servers$"),
    "save": ("POST", r"/servers/[^/]+/action$"),
    "delete": ("DELETE", r"/servers/[^/]+$"),
}
# More than any host's disks, which is not what quotas count.
TOO_LARGE_GIB = 1_000_000


class Wire(HTTPAdapter):
    """Loses the answer to one call that fits `lost`, or has the service refuse the next one for being too many."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: tuple[str, str] | None = None
        self.busy = False

    def send(self, request: requests.PreparedRequest, *arguments: Any, **more: Any) -> requests.Response:
        """The service's answer, unless it is this call's turn."""
        if self.busy:
            self.busy = False
            return _too_many(request)
        answer = super().send(request, *arguments, **more)
        if self.lost and request.method == self.lost[0] and re.search(self.lost[1], request.path_url):
            self.lost = None
            raise requests.exceptions.ConnectionError("the connection broke")
        return answer


def _too_many(request: requests.PreparedRequest) -> requests.Response:
    """What a rate limiter in front of a service says."""
    answer = requests.Response()
    answer.status_code, answer.reason, answer.request, answer.url = 429, "Too Many Requests", request, str(request.url)
    answer.headers["Content-Type"] = "application/json"
    answer.raw = io.BytesIO(b'{"overLimit": {"code": 429, "message": "This request was rate-limited."}}')
    return answer


class RealOpenStackSite(Site):
    """The OpenStack driver on real Nova instances."""

    name = "openstack-real"
    unknown_id = ImageQuery(id="6e5959e9-f349-420f-b77c-5485306fdc25")
    unknown_name = ImageQuery(name="no-such-*")
    unknown_instance = "0f0f0f0f-f349-420f-b77c-5485306fdc25"
    kinds_of_a_launch = frozenset({ResourceKind.INSTANCE, ResourceKind.KEY_PAIR, ResourceKind.SECURITY_GROUP})
    kinds_of_an_image = frozenset({ResourceKind.IMAGE})
    console_words = "login:"
    remembers_the_ended = False

    def __init__(self, real: RealOpenStack, *, image: str, flavor: str) -> None:
        """`image` and `flavor` are names."""
        super().__init__()
        self._real = real
        self._wire = Wire()
        self._undo: list[Callable[[], object]] = []
        self.instance_type = flavor
        self.newest_id = real.connection.image.find_image(image, ignore_missing=False).id
        self.source = ImageQuery(id=self.newest_id)
        self.by_name = ImageQuery(name=image)
        self.other_owner = ImageQuery(name=image, owner="0" * 32)

    def _driver(self, credentials: Credentials) -> OpenStackCloud:
        settings = OpenStackSettings(
            auth_url=credentials.auth_url, region=credentials.region, network=self._real.network
        )

        def connect_by_wire() -> Any:
            connection = connect(self.name, settings, credentials)
            for scheme in ("http://", "https://"):
                connection.session.session.mount(scheme, self._wire)
            return connection

        return OpenStackCloud(self.name, connect_by_wire, settings)

    def cloud(self) -> Cloud:
        return self._driver(self._real.credentials())

    def publisher(self) -> Cloud:
        """Publishing is an administrator's right."""
        assert self._real.admin
        return self._driver(self._real.credentials(admin=True))

    def stranger(self) -> Cloud:
        """Not a wrong password: some clouds lock its user out."""
        wrong = {"application_credential_id": uuid.uuid4().hex, "application_credential_secret": "wrong"}
        known = self._real.credentials()
        return self._driver(Credentials(auth_url=known.auth_url, region=known.region, **wrong))

    def losing(self, method: str) -> Cloud:
        self._wire.lost = OPENSTACK_EFFECTS[method]
        return self.cloud()

    def pass_time(self) -> None:
        time.sleep(0.5)

    def pass_a_second(self) -> None:
        time.sleep(1.0)

    def be_busy(self) -> None:
        self._wire.busy = True

    def doom_next_instance(self) -> str:
        flavor = self._real.admin.compute.create_flavor(
            name=self.fresh("too-large"), ram=512, vcpus=1, disk=TOO_LARGE_GIB
        )
        self._undo.append(lambda: self._real.admin.compute.delete_flavor(flavor))
        self.instance_type = flavor.name
        return "No valid host"

    @property
    def strangers(self) -> ImageQuery:
        """Of another project, shared with ours, so that it is in our lists."""
        admin, name = self._real.admin, self.fresh("strangers")
        image = admin.image.create_image(
            name=name, data=b"nothing", disk_format="raw", container_format="bare", visibility="shared", wait=True
        )
        self._undo.append(lambda: admin.image.delete_image(image))
        ours = self._real.connection
        admin.image.add_member(image, member_id=ours.current_project_id)
        ours.image.update_member(ours.current_project_id, image, status="accepted")
        assert [each.id for each in ours.image.images(name=name)] == [image.id], "it is no temptation"
        return ImageQuery(name=name)

    def is_public(self, image_id: str) -> bool:
        return bool(self._real.connection.image.get_image(image_id).visibility == "public")

    def close(self) -> None:
        cloud = self.cloud()
        for undo in self._undo:
            undo()
        for _ in range(LOOKS):
            left = [resource for resource in cloud.find_resources() if resource.build_id in self.builds]
            if not left:
                return
            cloud.delete(left)
            self.pass_time()
        raise AssertionError(f"never gone: {left}")
