"""One site: an account of its own, its two doors, and what a test has set for it."""

import asyncio
import contextlib
import logging
import ssl
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from imagesmith.sandbox import config
from imagesmith.sandbox.account import account
from imagesmith.sandbox.host import Host
from imagesmith.sandbox.machines import Timings
from imagesmith.sandbox.nimbus import cumulus, factory, installation, life, store
from imagesmith.sandbox.nimbus.faults import Fault
from imagesmith.sandbox.nimbus.listener import Listener
from imagesmith.sandbox.nimbus.sites import FACTORY_PORT, REPOSITORY_PORT, Facts
from imagesmith.sandbox.nimbus.things import NimbusState
from imagesmith.sandbox.unreliable.layer import Layer
from imagesmith.sandbox.unreliable.nimbus import FactoryDialect, RepositoryDialect
from imagesmith.sandbox.unreliable.trouble import Trouble

log = logging.getLogger(__name__)


@dataclass
class Settings:
    """How the site behaves beside its machines; times in seconds.

    propagate_s: how long a workspace is Unpropagated.
    minute_s: how long a minute of a lease takes.
    max_memory_mb, max_minutes: what may be asked for at most.
    factory, repository: whether the door answers; without it a connection is refused.
    noise: the cloud client prints lines of Java's logging among its own.
    """

    propagate_s: float = 0.1
    minute_s: float = 60.0
    max_memory_mb: int = 8192
    max_minutes: int = 43200
    factory: bool = True
    repository: bool = True
    noise: bool = False


class Site:
    """A cloud with the state that Nimbus's doors add to it."""

    def __init__(
        self, facts: Facts, files: installation.Installation, *, host: Host, accelerator: str, endpoint: str
    ) -> None:
        self.facts = facts
        self.files = files
        self.timings = Timings()
        self.settings = Settings()
        self.calls: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self.trouble = Trouble()
        self.places = config.Places(files.root, facts.name)
        self.state = NimbusState(self.places.state)
        self.cloud = account(
            self.state,
            self.places,
            self.timings,
            host=host,
            accelerator=accelerator,
            endpoint=endpoint,
            layout=facts.layout,
        )
        self.cloud.on_change = lambda instance: life.changed(self, instance)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        network = host.addresses.network
        services = Layer(factory.application(self), FactoryDialect(), self.trouble)
        images = Layer(cumulus.application(self), RepositoryDialect(), self.trouble)
        self.factory = Listener(services, network=network, host=facts.number, port=FACTORY_PORT, tls=self._tls)
        self.repository = Listener(images, network=network, host=facts.number, port=REPOSITORY_PORT)
        store.list_base_images(self)

    async def open(self) -> None:
        """Opens both doors, adopts what lives on, and settles what a killed server left half done."""
        await asyncio.to_thread(self.files.credentials.ensure)
        self._prepare_tls()
        await self.cloud.open()
        life.settle(self)
        try:
            await self.set_doors()
        except OSError as error:  # the other clouds of the sandbox work all the same
            log.error("%s: %s", self.facts.name, error)  # noqa: TRY400 - the message says it all
        self.files.write_client(self.facts, factory=self.factory.address, repository=self.repository.address)

    async def set_doors(self) -> None:
        """The doors are open or shut as the settings have it."""
        doors = ((self.factory, self.settings.factory), (self.repository, self.settings.repository))
        for listener, wanted in doors:
            if wanted:
                await listener.open()
            else:
                listener.close()

    async def close(self) -> None:
        """Ends every machine; all that was made stays."""
        self.factory.close()
        self.repository.close()
        await self.cloud.close()
        self.state.close()

    async def reset(self) -> None:
        """Removes everything clients have made, and all settings of a test."""
        for workspace in self.state.workspaces.values():
            life.forget_address(self, workspace)
        await self.cloud.reset()
        store.list_base_images(self)
        self.faults.clear()
        self.calls.clear()
        self.settings = Settings()
        for name, value in asdict(Timings()).items():
            setattr(self.timings, name, value)
        with contextlib.suppress(OSError):
            await self.set_doors()

    def shown(self) -> dict[str, Any]:
        """Everything on the site, for the control door."""
        return {
            "launched": list(self.cloud.state.instances),
            "factory": self.factory.address,
            "factory_identity": self.facts.identity,
            "repository": self.repository.address,
            "hypervisor": self.facts.hypervisor,
            "mount_as": self.facts.mount_as,
            "cloud_client": str(self.files.client),
            "conf": str(self.files.configuration(self.facts)),
            "users": [
                {
                    "name": user.name,
                    "dn": user.dn,
                    "canonical_id": user.canonical_id,
                    "access_key": user.access_key,
                    "secret_key": user.secret_key,
                    "certificate": str(self.files.credentials.certificate(user.name)),
                    "private_key": str(self.files.credentials.key(user.name)),
                }
                for user in self.facts.users
            ],
            "workspaces": [{**asdict(each), "hostname": each.hostname} for each in self.state.workspaces.values()],
            "images": [asdict(each) for each in self.state.stored_images.values()],
        }

    def _prepare_tls(self) -> None:
        """Clients must have a certificate, and learn in the handshake that theirs is not trusted: TLS 1.2 does that."""
        credentials, name = self.files.credentials, self.facts.name
        self._tls.load_cert_chain(credentials.certificate(name), credentials.key(name))
        self._tls.load_verify_locations(credentials.authority)
        self._tls.verify_mode = ssl.CERT_REQUIRED
        self._tls.maximum_version = ssl.TLSVersion.TLSv1_2
