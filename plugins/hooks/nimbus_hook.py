"""Airflow's connection of a cloud of type `nimbus` → its driver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk.bases.hook import BaseHook

from imagesmith.clouds.connection_fields import check_extra
from imagesmith.clouds.nimbus import NimbusCloud
from imagesmith.clouds.nimbus_words import NimbusCredentials, NimbusSettings
from imagesmith.errors import ImagesmithError
from imagesmith.provider import NIMBUS_CONNECTION

TEXTS = ("certificate", "private_key")
LINES = tuple(name for name in NIMBUS_CONNECTION["conn-fields"] if name not in TEXTS)


class NimbusHook(BaseHook):
    """A connection's certificate and keys behind a Nimbus driver; the connection's id is the cloud's name."""

    conn_name_attr = "cloud_name"
    default_conn_name = "nimbus"
    conn_type = "imagesmith_nimbus"
    hook_name = "Imagesmith: Nimbus"

    def __init__(self, cloud_name: str = default_conn_name, *, connection: Any = None) -> None:
        super().__init__()
        self.cloud_name = cloud_name
        self._connection = connection

    @classmethod
    def from_connection(cls, connection: Any) -> NimbusHook:
        """A hook on an Airflow connection already fetched, so that a trigger can fetch it without blocking."""
        return cls(connection.conn_id, connection=connection)

    def cloud(self, name: str = "", settings: Mapping[str, Any] | None = None) -> NimbusCloud:
        """The driver of this cloud, by include/clouds.yaml, and by the connection where that says nothing."""
        connection = self._connection or self.get_connection(self.cloud_name)
        check_extra(name or self.cloud_name, connection.extra, lines=LINES, texts=TEXTS)
        told = {key: value for key, value in connection.extra_dejson.items() if value not in (None, "")}
        given = {key: value for key, value in (settings or {}).items() if value is not None}
        known = NimbusSettings.from_mapping({**told, **given})
        known.check(name or self.cloud_name)
        credentials = NimbusCredentials.from_fields(connection.extra_dejson)
        credentials.check(name or self.cloud_name)
        return NimbusCloud(name or self.cloud_name, known, credentials)

    def test_connection(self) -> tuple[bool, str]:
        """What Airflow's button shows: whom the cloud takes us for, or why it does not."""
        try:
            return True, self.cloud().identity()
        except ImagesmithError as error:
            return False, str(error)
