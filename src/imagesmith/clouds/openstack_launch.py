"""Launching on OpenStack: key pair, security group, server, each adopted if an earlier try made it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imagesmith.clouds.caller_address import caller_cidr
from imagesmith.clouds.openstack_api import Api
from imagesmith.clouds.openstack_errors import status_of
from imagesmith.clouds.openstack_network import Network
from imagesmith.clouds.openstack_words import (
    AUTO,
    OpenStackSettings,
    all_tags,
    choices,
    server_body,
    state_of,
)
from imagesmith.core import InstanceState, LaunchRequest, Ledger, ResourceKind
from imagesmith.errors import DefinitionError, ImagesmithError, InstanceLost

GIB = 1024**3


class Launching:
    """Launches on one cloud."""

    def __init__(self, api: Api, network: Network, settings: OpenStackSettings) -> None:
        self._api = api
        self._network = network
        self._settings = settings

    def run(self, request: LaunchRequest, ledger: Ledger, *, image: Mapping[str, Any]) -> str:
        """The id of the server, which may be an earlier try's; `image` is the source's document.

        What can be wrong with the request is found out before anything is made.
        """
        tags = all_tags(self._api.cloud, request.build_id, name=request.name, tags=request.tags)
        flavor = self._flavor(request.instance_type)
        network_id = self._network.network_id()
        disk_gib = self._volume_gib(request, flavor, image)
        cidr = self._ssh_cidr()
        key_is_new = self._ensure_key_pair(request, ledger)
        ledger.intend(ResourceKind.SECURITY_GROUP, request.name)
        group_id, group, group_is_new = self._network.ensure_group(
            request.name, tags, cidr=cidr, retried=not key_is_new
        )
        ledger.made(ResourceKind.SECURITY_GROUP, request.name, group_id)
        ledger.intend(ResourceKind.INSTANCE, request.name)
        # Something there before us means an earlier try whose answer was lost, maybe with the server made.
        server_id = "" if key_is_new and group_is_new else self._launched(request.name)
        if not server_id:
            body = server_body(
                request,
                self._settings,
                flavor_id=str(flavor["id"]),
                network_id=network_id,
                group=group,
                disk_gib=disk_gib,
                tags=tags,
            )
            tried = f"launch {request.instance_type} from {request.source_image_id} as {request.name}"
            # Not logged, not kept: the answer holds the server's administrator password.
            made = self._api.post(tried, "/servers", {"server": body}, launching=True)
            server_id = str(made.document["server"]["id"])
        ledger.made(ResourceKind.INSTANCE, request.name, server_id)
        return server_id

    def _flavor(self, wanted: str) -> Mapping[str, Any]:
        found = list(self._api.pages("look up flavors", "/flavors/detail", "flavors"))
        for each in found:
            if wanted in (each["name"], str(each["id"])):
                return each
        raise DefinitionError(
            f"{self._api.cloud}: there is no flavor {wanted}; set instance_type of {self._api.cloud} in the generator "
            f"to one of: {choices(found)}"
        )

    def _volume_gib(self, request: LaunchRequest, flavor: Mapping[str, Any], image: Mapping[str, Any]) -> int:
        """The size of the root volume; 0 where the flavor's own disk is the root disk."""
        if not self._settings.boot_from_volume and not request.disk_gib:
            return 0
        least = max(int(image.get("min_disk") or 0), -(-int(image.get("size") or 0) // GIB), 1)
        if request.disk_gib and request.disk_gib < least:
            raise DefinitionError(
                f"{self._api.cloud}: disk_gib {request.disk_gib} is smaller than image {request.source_image_id} "
                f"needs; set disk_gib of {self._api.cloud} in the generator to {least} or more"
            )
        return request.disk_gib or max(least, int(flavor.get("disk") or 0))

    def _ssh_cidr(self) -> str:
        if self._settings.ssh_cidr != AUTO:
            return self._settings.ssh_cidr
        return caller_cidr(self._api.cloud, self._api.auth_url(), ask_url=self._settings.caller_address_url)

    def _ensure_key_pair(self, request: LaunchRequest, ledger: Ledger) -> bool:
        ledger.intend(ResourceKind.KEY_PAIR, request.name)
        is_new = True
        try:
            body = {"keypair": {"name": request.name, "public_key": request.public_key}}
            self._api.post(f"import key pair {request.name}", "/os-keypairs", body)
        except ImagesmithError as error:
            if status_of(error) != 409 or "quota" in str(error).lower():
                raise
            is_new = False
        ledger.made(ResourceKind.KEY_PAIR, request.name, request.name)
        return is_new

    def _launched(self, name: str) -> str:
        """The id of the server of exactly that name, "" if none; raises InstanceLost for one that is on its way out."""
        params = {"name": f"^{name}$"}
        for server in self._api.pages(f"look for a server named {name}", "/servers/detail", "servers", params=params):
            if server.get("name") != name:
                continue
            if state_of(server) is InstanceState.GONE:
                raise InstanceLost(
                    f"{self._api.cloud}: instance {server['id']} is being deleted; start the build again"
                )
            return str(server["id"])
        return ""
