"""Airflow's connection of a cloud of type `ec2` → its driver."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper
from airflow.sdk.exceptions import AirflowNotFoundException

from imagesmith.clouds.connection_fields import check_extra, check_key, check_url
from imagesmith.clouds.ec2 import CLIENT_CONFIG, Ec2Cloud
from imagesmith.clouds.ec2_words import Ec2Settings
from imagesmith.errors import ImagesmithError, SetupError
from imagesmith.provider import EC2_CONNECTION

CONNECTION_TYPES = ("imagesmith_ec2", "aws")


@cache
def service_models() -> Any:
    """What describes AWS's services to the SDK, read once in a process and its forked children."""
    from botocore.loaders import create_loader

    loader = create_loader()
    for service in ("ec2", "sts"):
        loader.load_service_model(service, "service-2")
        loader.load_service_model(service, "endpoint-rule-set-1")
    return loader


class Ec2Hook(AwsBaseHook):
    """The amazon provider's session (keys, roles, profiles, endpoint) behind an EC2 driver.

    The connection's id is the cloud's name.
    """

    conn_name_attr = "cloud_name"
    default_conn_name = "ec2"
    conn_type = "imagesmith_ec2"
    hook_name = "Imagesmith: EC2"

    def __init__(self, cloud_name: str = default_conn_name, *, connection: Any = None) -> None:
        self.cloud_name = cloud_name
        self.settings = Ec2Settings()
        self._connection = connection
        super().__init__(aws_conn_id=cloud_name, client_type="ec2")

    @classmethod
    def from_connection(cls, connection: Any) -> Ec2Hook:
        """A hook on an Airflow connection already fetched, so that a trigger can fetch it without blocking."""
        return cls(connection.conn_id, connection=connection)

    @cached_property
    def conn_config(self) -> AwsConnectionWrapper:
        """The connection as the amazon provider reads it; raises SetupError where there is none."""
        connection = self._connection or self._fetch()
        if connection.conn_type not in CONNECTION_TYPES:
            raise SetupError(
                f"{self.cloud_name}: the Airflow connection of that name is of type {connection.conn_type}; "
                f"make it one of {' or '.join(CONNECTION_TYPES)}"
            )
        self._check(connection)
        # Fields left empty in the form arrive as empty text, which the SDK would take for a value.
        extra = {key: value for key, value in connection.extra_dejson.items() if value not in (None, "")}
        check_url(self.cloud_name, "endpoint_url", extra.get("endpoint_url"))
        extra["region_name"] = self.settings.region or extra.get("region_name") or "us-east-1"
        if self.settings.endpoint_url:
            extra["endpoint_url"] = self.settings.endpoint_url
        return AwsConnectionWrapper.from_connection_metadata(
            conn_id=self.cloud_name, login=connection.login, password=connection.password, extra=extra
        )

    def _check(self, connection: Any) -> None:
        check_extra(self.cloud_name, connection.extra, lines=EC2_CONNECTION["conn-fields"])
        check_key(self.cloud_name, "login", connection.login)
        check_key(self.cloud_name, "password", connection.password)

    def _fetch(self) -> Any:
        try:
            return self.get_connection(self.cloud_name)
        except AirflowNotFoundException as error:
            raise missing_connection(self.cloud_name) from error

    @cached_property
    def _session(self) -> Any:
        # One for both clients, so that a role is assumed once.
        session = self.get_session(region_name=self.conn_config.region_name)
        # boto3 has no public way to share the loader; without it each session reads and keeps EC2's 10 MB model again.
        session._session.register_component("data_loader", service_models())
        return session

    def client(self, service: str) -> Any:
        """A boto3 client of the connection, with the driver's time limits and no retries of its own."""
        from botocore.config import Config

        return self._session.client(
            service_name=service,
            endpoint_url=self.conn_config.get_service_endpoint_url(service),
            config=self.config.merge(Config(**CLIENT_CONFIG)),
            verify=self.verify,
        )

    def cloud(self, name: str = "", settings: Mapping[str, Any] | None = None) -> Ec2Cloud:
        """The driver of this cloud, by its settings in include/clouds.yaml; raises SetupError."""
        self.settings = Ec2Settings.from_mapping(settings or {})
        _ = self.conn_config  # a missing connection is told now, not in the middle of a build
        return Ec2Cloud(name or self.cloud_name, self.client, self.settings)

    def test_connection(self) -> tuple[bool, str]:
        """What Airflow's button shows: whom the cloud takes us for, or why it does not."""
        try:
            return True, self.cloud().identity()
        except ImagesmithError as error:
            return False, str(error)


def missing_connection(cloud_name: str) -> SetupError:
    """The error for a cloud that Airflow has no connection for, with both ways to make one."""
    return SetupError(
        f"{cloud_name}: Airflow has no connection of that name; add one in the UI under Admin, Connections "
        f"with the type “Imagesmith: EC2”, or run: airflow connections add {cloud_name} "
        "--conn-type imagesmith_ec2 --conn-login ACCESS_KEY_ID --conn-password SECRET_ACCESS_KEY"
    )
