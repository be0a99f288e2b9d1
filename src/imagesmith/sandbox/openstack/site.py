"""One site: an account of its own with what a test has set for it."""

import logging
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from imagesmith.sandbox import config
from imagesmith.sandbox.account import account
from imagesmith.sandbox.host import Host
from imagesmith.sandbox.machines import Timings
from imagesmith.sandbox.openstack import addresses, images, life
from imagesmith.sandbox.openstack.faults import Fault
from imagesmith.sandbox.openstack.forwarding import Forwarder
from imagesmith.sandbox.openstack.sites import PASSWORD, Facts
from imagesmith.sandbox.openstack.things import SiteState
from imagesmith.sandbox.unreliable.trouble import Trouble

log = logging.getLogger(__name__)


@dataclass
class Settings:
    """How the site behaves beside its machines; times in seconds, -1 for no limit.

    image_late_s: an image stays `saving` so long after the server's task state is clear.
    task_late_s: the task state stays `image_uploading` so long after the image is active.
    password: the one user's.
    public_shared: servers may be put on the public network, where their fixed address is reachable.
    """

    token_s: float
    floating_ips: int = 10
    instances: int = 10
    image_late_s: float = 0.0
    task_late_s: float = 0.0
    public_shared: bool = False
    password: str = PASSWORD


class Site:
    """A cloud with the state that OpenStack's doors add to it."""

    def __init__(self, facts: Facts, root: Path, *, host: Host, accelerator: str, endpoint: str) -> None:
        self.facts = facts
        self.endpoint = endpoint
        self.url = f"{endpoint}/{facts.name}"
        self.timings = Timings()
        self.settings = Settings(facts.token_s)
        self.calls: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self.dooms: list[str] = []
        self.trouble = Trouble()
        self.forwarders: dict[str, Forwarder] = {}
        self.places = config.Places(root, facts.name)
        self.state = SiteState(self.places.state)
        self.cloud = account(
            self.state, self.places, self.timings, host=host, accelerator=accelerator, endpoint=endpoint
        )
        self.cloud.on_change = lambda instance: life.changed(self, instance)
        images.list_base_images(self)

    async def open(self) -> None:
        """Adopts what lives on, and settles what a killed server left half done."""
        addresses.reopen(self)
        await self.cloud.open()
        life.settle(self)
        images.settle(self)

    async def close(self) -> None:
        """Ends every machine; all that was made stays."""
        self._close_forwarders()
        await self.cloud.close()
        self.state.close()

    async def reset(self) -> None:
        """Removes everything clients have made, and all settings of a test."""
        self._close_forwarders()
        for floating in self.state.floating_ips.values():
            self.cloud.host.addresses.give_back(floating.address)
        await self.cloud.reset()
        images.list_base_images(self)
        self.faults.clear()
        self.dooms.clear()
        self.calls.clear()
        self.settings = Settings(self.facts.token_s)
        for name, value in asdict(Timings()).items():
            setattr(self.timings, name, value)

    def shown(self) -> dict[str, Any]:
        """Everything on the site, for the control door."""
        state = self.state
        return {
            "launched": list(self.cloud.state.instances),
            "auth_url": self.facts.auth_url(self.endpoint),
            "environment": self.facts.environment(self.endpoint),
            "servers": [
                {**asdict(each), "status": life.view(self, each).status, "address": life.address_of(self, each)}
                for each in state.servers.values()
            ],
            "images": [asdict(each) for each in state.glance_images.values()],
            "floating_ips": [asdict(each) for each in state.floating_ips.values()],
            "key_pairs": [each.name for each in state.key_pairs.values()],
            "security_groups": [each.name for each in state.security_groups.values()],
            "volumes": [asdict(each) for each in state.block_volumes.values()],
            "volume_snapshots": [asdict(each) for each in state.block_snapshots.values()],
            "application_credentials": [each.name for each in state.credentials.values()],
        }

    def _close_forwarders(self) -> None:
        for forwarder in self.forwarders.values():
            forwarder.close()
        self.forwarders.clear()
