"""The Nimbus driver on the sandbox's sites, whose machines answer by the clock, through the sandbox's cloud client."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import requests

from imagesmith.clouds.cumulus import Cumulus
from imagesmith.clouds.nimbus import NimbusCloud
from imagesmith.clouds.nimbus_words import NimbusCredentials, NimbusSettings
from imagesmith.core import Cloud, Image, ImageQuery, ImageState, ResourceKind

from .site import Site

NO_NODE = "no node would take it"
# The client's action whose answer is lost, for each of the driver's methods.
ACTIONS = {"launch": "run", "save": "save", "delete": "terminate"}


class NimbusSite(Site):
    """One site as the first of its users; what the driver keeps lies below `home`."""

    instance_type = "512"
    source = ImageQuery(id="VMS/common/simulated-1")
    by_name = ImageQuery(name="simulated-*")
    newest_id = "VMS/common/simulated-1"
    says_too_many = False
    unknown_id = ImageQuery(id="no-such-image")
    unknown_name = ImageQuery(name="no-such-*")
    unknown_instance = "imagesmith-unknown-1#999999"
    other_owner = ImageQuery(name="simulated-*", owner="self")
    strangers = ImageQuery(name="private-of-somebody-*")
    kinds_of_a_launch = frozenset({ResourceKind.INSTANCE})
    kinds_of_an_image = frozenset({ResourceKind.IMAGE})
    only_a_save_stops = True

    def __init__(self, endpoint: str, name: str, home: Path) -> None:
        super().__init__()
        self.name = name
        self._endpoint = endpoint
        self.home = home
        self._control("reset", {})
        self._control("settings", {"boot_s": 0.05, "stop_s": 0.05, "image_s": 0.1, "propagate_s": 0.05})
        shown = self._shown()
        self._users = [_credentials(user) for user in shown["users"]]
        self._credentials = self._users[0]
        self._settings = NimbusSettings(
            factory=shown["factory"],
            repository=shown["repository"],
            factory_identity=shown["factory_identity"],
            hypervisor=name.rpartition("-")[2],
            cloud_client=shown["cloud_client"],
        )

    def _control(self, path: str, wanted: dict[str, Any]) -> None:
        requests.post(f"{self._endpoint}/_sandbox/{path}", json={"account": self.name, **wanted}, timeout=10)

    def _shown(self) -> Any:
        with urllib.request.urlopen(f"{self._endpoint}/_sandbox/list", timeout=10) as answer:
            return json.load(answer)["accounts"][self.name]

    def cloud(self, *, home: Path | None = None, user: int = 0) -> NimbusCloud:
        return NimbusCloud(self.name, self._settings, self._users[user], home=home or self.home)

    def stranger(self) -> Cloud:
        wrong = replace(self._credentials, secret_key="wrong")
        return NimbusCloud(self.name, self._settings, wrong, home=self.home)

    def losing(self, method: str) -> Cloud:
        self._control("settings", {"fault": {"action": ACTIONS[method], "kind": "crash_after"}})
        return self.cloud()

    def settings(self, **changes: Any) -> None:
        """Change how the site behaves."""
        self._control("settings", changes)

    def fault(self, action: str, kind: str, **more: Any) -> None:
        """Let something go wrong."""
        self.settings(fault={"action": action, "kind": kind, **more})

    def planned(self) -> list[Any]:
        """What is still to go wrong."""
        answer = requests.post(f"{self._endpoint}/_sandbox/settings", json={"account": self.name}, timeout=10)
        return list(answer.json()["faults"])

    def workspaces(self) -> list[dict[str, Any]]:
        """What runs there, as the service itself sees it."""
        return list(self._shown()["workspaces"])

    def workspace(self, number: str) -> dict[str, Any]:
        """One of them."""
        return next(each for each in self.workspaces() if each["id"] == number)

    def image(self, image_id: str) -> Image:
        """An image as the driver sees it now."""
        return self.cloud().observe_images([image_id])[image_id]

    def image_id(self) -> tuple[str, str]:
        """A saved image, and the instance it was saved from."""
        instance_id = self.running()
        image_id = self.cloud().save(self.save_request(instance_id), self.ledger)
        self.until_image(image_id, ImageState.AVAILABLE)
        return image_id, instance_id

    def stopped(self, *, build_id: str = "") -> str:
        """Nimbus has no stopped instances: a save stops one itself."""
        return self.running(build_id=build_id)

    def pass_time(self) -> None:
        time.sleep(0.02)

    def pass_a_second(self) -> None:
        time.sleep(1.0)

    def be_busy(self) -> None:
        self._control("settings", {"fault": {"action": "any", "kind": "busy"}})

    def doom_next_instance(self) -> str:
        self._control("settings", {"fault": {"action": "run", "kind": "corrupt", "text": NO_NODE}})
        return NO_NODE

    def is_public(self, image_id: str) -> bool:
        store = Cumulus(
            cloud=self.name,
            repository=self._settings.repository,
            canonical_id=self._credentials.canonical_id,
            access_key=self._credentials.access_key,
            secret_key=self._credentials.secret_key,
        )
        return store.is_public(image_id)

    def close(self) -> None:
        for written in self.home.rglob("save.pid"):  # saves run on without their driver
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(int(written.read_text().split()[0]), signal.SIGTERM)
        self._control("reset", {})


def _credentials(user: dict[str, str]) -> NimbusCredentials:
    return NimbusCredentials(
        certificate=Path(user["certificate"]).read_text(),
        private_key=Path(user["private_key"]).read_text(),
        canonical_id=user["canonical_id"],
        access_key=user["access_key"],
        secret_key=user["secret_key"],
    )
