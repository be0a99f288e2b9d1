"""Airflow's connection of a cloud of type `openstack` → its driver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk.bases.hook import BaseHook

from imagesmith.clouds.connection_fields import check_extra, check_line
from imagesmith.clouds.openstack import OpenStackCloud
from imagesmith.clouds.openstack_login import LINES, Credentials
from imagesmith.clouds.openstack_password import open_cloud
from imagesmith.clouds.openstack_words import OpenStackSettings
from imagesmith.errors import ImagesmithError


class OpenStackHook(BaseHook):
    """A connection's credentials behind an OpenStack driver; the connection's id is the cloud's name."""

    conn_name_attr = "cloud_name"
    default_conn_name = "openstack"
    conn_type = "imagesmith_openstack"
    hook_name = "Imagesmith: OpenStack"

    def __init__(self, cloud_name: str = default_conn_name, *, connection: Any = None) -> None:
        super().__init__()
        self.cloud_name = cloud_name
        self._connection = connection

    @classmethod
    def from_connection(cls, connection: Any) -> OpenStackHook:
        """A hook on an Airflow connection already fetched, so that a trigger can fetch it without blocking."""
        return cls(connection.conn_id, connection=connection)

    def credentials(self) -> Credentials:
        """What the connection holds."""
        connection = self._connection or self.get_connection(self.cloud_name)
        check_extra(self.cloud_name, connection.extra, lines=LINES)
        check_line(self.cloud_name, "login", connection.login)
        return Credentials.from_fields(
            login=connection.login or "", password=connection.password or "", extra=connection.extra_dejson
        )

    def cloud(
        self,
        name: str = "",
        settings: Mapping[str, Any] | None = None,
        credential: Mapping[str, str] | None = None,
    ) -> OpenStackCloud:
        """The driver of this cloud, by its settings in include/clouds.yaml; `credential` stands for a password."""
        known = OpenStackSettings.from_mapping(settings or {})
        return open_cloud(name or self.cloud_name, known, self.credentials(), credential)

    def test_connection(self) -> tuple[bool, str]:
        """What Airflow's button shows: whom the cloud takes us for, or why it does not."""
        try:
            return True, self.cloud().identity()
        except ImagesmithError as error:
            return False, str(error)
