"""The sites: fixed facts of each, and what its one user needs to log in. The password opens only this sandbox."""

import uuid
from dataclasses import dataclass

USER = "imagesmith"
PASSWORD = "sandbox-password"
PROJECT = "imagesmith"
DOMAIN_ID = "default"
DOMAIN = "Default"
REGION = "RegionOne"
ZONE = "nova"
_NAMESPACE = uuid.UUID("5a1db0c5-0000-4000-8000-000000000000")


@dataclass(frozen=True)
class Facts:
    """One site. `number` keeps the fixed addresses of the sites apart."""

    name: str
    number: int
    havana: bool = False

    @property
    def user_id(self) -> str:
        """The user's id."""
        return self.id_of("user").replace("-", "")

    @property
    def project_id(self) -> str:
        """The project's id, or the tenant's."""
        return self.id_of("project").replace("-", "")

    @property
    def operator_id(self) -> str:
        """The project that owns the public images and the public network."""
        return self.id_of("operator").replace("-", "")

    @property
    def token_s(self) -> float:
        """How long a token lives unless a test says otherwise: the default of each era."""
        return 86400.0 if self.havana else 3600.0

    def id_of(self, what: str) -> str:
        """The UUID of something that is always there; the same at every start."""
        return str(uuid.uuid5(_NAMESPACE, f"{self.name} {what}"))

    def auth_url(self, endpoint: str) -> str:
        """Where its clients log in."""
        return f"{endpoint}/{self.name}/identity/{'v2.0' if self.havana else 'v3'}"

    def environment(self, endpoint: str) -> dict[str, str]:
        """What OpenStack's own command line needs (an "openrc")."""
        told = {"OS_AUTH_URL": self.auth_url(endpoint), "OS_USERNAME": USER, "OS_PASSWORD": PASSWORD}
        told |= {"OS_REGION_NAME": REGION}
        if self.havana:
            return {**told, "OS_AUTH_TYPE": "v2password", "OS_TENANT_NAME": PROJECT}
        return {
            **told,
            "OS_PROJECT_NAME": PROJECT,
            "OS_USER_DOMAIN_NAME": DOMAIN,
            "OS_PROJECT_DOMAIN_NAME": DOMAIN,
            "OS_IDENTITY_API_VERSION": "3",
        }


SITES = {
    each.name: each
    for each in (
        Facts("openstack-hotel", 1),
        Facts("openstack-india", 2, havana=True),
        Facts("openstack-sierra", 3),
    )
}
