"""The sandbox's Nimbus sites as a test of whole builds sees and upsets them, past the driver."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from imagesmith.clouds.cumulus import Cumulus

XEN, KVM = "nimbus-hotel-xen", "nimbus-hotel-kvm"
QUICK = {"boot_s": 0.05, "script_s": 0.05, "stop_s": 0.02, "image_s": 0.05, "propagate_s": 0.02}


class NimbusSites:
    """Both sites, emptied, as clouds of the deployment with a connection each."""

    def __init__(self, deployment: Any) -> None:
        self.deployment = deployment
        clouds = {}
        for name in (XEN, KVM):
            deployment.site.control("reset", {"account": name})
            self.settings(name, **QUICK)
            told = self.shown(name)
            clouds[name] = {
                "type": "nimbus",
                "hypervisor": told["hypervisor"],
                "factory": told["factory"],
                "repository": told["repository"],
                "factory_identity": told["factory_identity"],
                "cloud_client": told["cloud_client"],
            }
            self.connection(name)
        (deployment.include / "clouds.yaml").write_text(yaml.safe_dump(clouds))

    def connection(self, cloud: str, *, user: int = 0, **changes: str) -> None:
        """The Airflow connection of a cloud, as one of its users."""
        told = self.shown(cloud)["users"][user]
        extra = {key: told[key] for key in ("canonical_id", "access_key", "secret_key")}
        extra |= {key: Path(told[key]).read_text() for key in ("certificate", "private_key")}
        document = {"conn_type": "imagesmith_nimbus", "extra": {**extra, **changes}}
        self.deployment.patch.setenv(f"AIRFLOW_CONN_{cloud.upper()}", json.dumps(document))

    def generator(self, *clouds: str, **keys: Any) -> None:
        """A generator named tools on these clouds."""
        entry = {"source_image": "simulated-1", "ssh_username": "root", "instance_type": "512"}
        self.deployment.generator(clouds=dict.fromkeys(clouds, entry), **keys)

    def settings(self, site: str, **changes: Any) -> None:
        self.deployment.site.control("settings", {"account": site, **changes})

    def plan(self, site: str, action: str, kind: str, **more: Any) -> None:
        """Let something go wrong."""
        self.settings(site, fault={"action": action, "kind": kind, **more})

    def make_private(self, site: str, key: str) -> None:
        """As one whose image was saved into common, and who has not let the others launch it."""
        self._store(site)._ask("PUT", key, sub_resource="acl", amz={"x-amz-acl": "private"})

    def remove(self, site: str, key: str) -> None:
        """As the user who removes an image by hand."""
        self._store(site).delete(key)

    def _store(self, site: str) -> Cumulus:
        told = self.shown(site)
        user = told["users"][0]
        keys = {name: user[name] for name in ("canonical_id", "access_key", "secret_key")}
        return Cumulus(cloud=site, repository=told["repository"], **keys)

    def shown(self, site: str) -> dict[str, Any]:
        """All that is on the site."""
        listed: dict[str, Any] = self.deployment.site.control("list", method="GET")["accounts"][site]
        return listed

    def images(self, site: str) -> list[str]:
        """The names of the images that builds have saved."""
        names = [str(image["id"]).rpartition("/")[2] for image in self.shown(site)["images"]]
        return sorted(name for name in names if name != "simulated-1")

    def workspaces(self, site: str) -> list[Any]:
        """What runs there."""
        return list(self.shown(site)["workspaces"])
