"""The sandbox's OpenStack sites as a test of whole builds sees and upsets them, past the driver."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from imagesmith.sandbox.openstack import sites

HOTEL, INDIA, SIERRA = sites.SITES
QUICK = {"boot_s": 0.05, "script_s": 0.05, "stop_s": 0.02, "image_s": 0.05}
ENTRIES: Mapping[str, dict[str, Any]] = {
    HOTEL: {"password": "ask", "network": "private", "floating_ip_network": "public"},
    INDIA: {"identity_version": 2, "floating_ip_network": "public"},
    SIERRA: {"network": "private", "floating_ip_network": "public"},
}
LASTING = ("images", "volume_snapshots")


class Sites:
    """The three sites, emptied, as clouds of the deployment with a connection each; the hotel's has no password."""

    def __init__(self, deployment: Any) -> None:
        self.deployment = deployment
        for name, facts in sites.SITES.items():
            deployment.site.control("reset", {"account": name})
            self.settings(name, **QUICK)
            self.connection(name, password="" if name == HOTEL else sites.PASSWORD, auth_url=self.auth_url(facts))
        self.clouds(**ENTRIES)

    def auth_url(self, facts: sites.Facts) -> str:
        return facts.auth_url(self.deployment.site.endpoint)

    def clouds(self, **entries: Mapping[str, Any]) -> None:
        """The clouds of include/clouds.yaml."""
        document = {name: {"type": "openstack", **entry} for name, entry in entries.items()}
        (self.deployment.include / "clouds.yaml").write_text(yaml.safe_dump(document))

    def connection(self, cloud: str, *, password: str, auth_url: str) -> None:
        extra = {"auth_url": auth_url, "project": sites.PROJECT, "region": sites.REGION}
        document = {
            "conn_type": "imagesmith_openstack",
            "login": sites.USER,
            "password": password,
            "extra": extra,
        }
        self.deployment.patch.setenv(f"AIRFLOW_CONN_{cloud.upper()}", json.dumps(document))

    def generator(self, *clouds: str, **keys: Any) -> None:
        """A generator named tools on these clouds."""
        entry = {"source_image": "simulated-1", "ssh_username": "admin", "instance_type": "m1.small"}
        self.deployment.generator(clouds=dict.fromkeys(clouds, entry), **keys)

    def settings(self, site: str, **changes: Any) -> None:
        self.deployment.site.control("settings", {"account": site, **changes})

    def shown(self, site: str) -> dict[str, Any]:
        """All that is on the site."""
        listed: dict[str, Any] = self.deployment.site.control("list", method="GET")["accounts"][site]
        return listed

    def images(self, site: str) -> list[str]:
        """The names of the project's own images."""
        own = sites.SITES[site].project_id
        return [image["name"] for image in self.shown(site)["images"] if image["owner"] == own]

    def left(self, site: str) -> dict[str, Any]:
        """What a build should not leave, the credential it worked with included."""
        kinds = ("servers", "key_pairs", "security_groups", "floating_ips", "volumes", "application_credentials")
        shown = self.shown(site)
        return {kind: found for kind in kinds if (found := [one for one in shown[kind] if one != "default"])}

    def sealed(self, cloud: str = HOTEL, generator: str = "tools", *, password: str = sites.PASSWORD) -> dict[str, str]:
        """The conf of a run whose password the API server has exchanged."""
        from hooks.password_desk import AirflowDesk

        return {f"password_{cloud}": AirflowDesk().exchange(generator, cloud, password)}
