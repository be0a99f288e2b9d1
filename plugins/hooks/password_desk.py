"""Where the API server exchanges passwords and seals values: Airflow's users and connections, the clouds' exchange."""

from __future__ import annotations

import uuid
from collections.abc import MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Any

from imagesmith import settings
from imagesmith.cloud_settings import CloudSettings, read_clouds
from imagesmith.clouds.connection_fields import check_extra, check_line
from imagesmith.clouds.openstack_login import LINES, Credentials
from imagesmith.clouds.openstack_password import exchange, revoke
from imagesmith.clouds.openstack_words import OpenStackSettings
from imagesmith.errors import SetupError, Transient
from imagesmith.generator import Generator, load_all
from imagesmith.keys import parse_secret
from imagesmith.plan import time_limits_s
from imagesmith.sealing import seal, seal_value, unseal
from imagesmith.secret_parameters import secret_names

# After a build's deadline and the time its teardown may take.
MARGIN_S = 1800


class AirflowDesk:
    """The desk of the password gate (imagesmith.web.passwords) inside Airflow's API server."""

    def asking(self) -> frozenset[str] | None:
        """Clouds with `password: ask`, and those whose entry can't be read; None when none can."""
        try:
            read = read_clouds(settings.include_dir())
        except OSError:
            return None
        return read.broken | {name for name, cloud in read.clouds.items() if cloud.asks_password}

    def clouds_of(self, generator: str) -> tuple[str, ...]:
        """The generator's clouds, none for a DAG that is no generator."""
        found = self._generator(generator)
        return tuple(found[0].clouds) if found else ()

    def secrets_of(self, generator: str | None) -> frozenset[str] | None:
        """Its secret parameters, of None those of all generators; None when that can't be known."""
        try:
            return secret_names(settings.include_dir(), only=generator)
        except OSError:
            return None

    async def admits(self, scope: MutableMapping[str, Any], generator: str) -> bool:
        """Whether the caller may start runs of the DAG, as Airflow itself would judge."""
        from airflow.api_fastapi.app import get_auth_manager
        from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
        from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
        from airflow.api_fastapi.core_api.security import resolve_user_from_token
        from fastapi import HTTPException, Request

        request = Request(scope)
        kind, _, bearer = request.headers.get("authorization", "").partition(" ")
        token = bearer if kind.lower() == "bearer" else request.cookies.get(COOKIE_NAME_JWT_TOKEN)
        try:
            user = await resolve_user_from_token(token)
        except HTTPException:
            return False
        return get_auth_manager().is_authorized_dag(
            method="POST", access_entity=DagAccessEntity.RUN, details=DagDetails(id=generator), user=user
        )

    def exchange(self, generator: str, cloud: str, password: str) -> str:
        """A sealed credential for one build of the generator on the cloud."""
        known, cloud_settings = self._generator_and_cloud(generator, cloud)
        lifetime_s = known.time_limit_s + time_limits_s(known, cloud)["terminate"] + MARGIN_S
        exchanged = exchange(
            cloud,
            OpenStackSettings.from_mapping(cloud_settings.driver_settings()),
            self._credentials(cloud, password),
            name=f"imagesmith-{generator}-{uuid.uuid4().hex[:12]}",
            lifetime_s=lifetime_s,
        )
        return seal(self._secret(), exchanged.content, generator=generator, cloud=cloud, expires=exchanged.expires)

    def seal(self, generator: str, parameter: str, value: str) -> str:
        """The value of a secret parameter sealed for one build of the generator."""
        known = self._generator(generator)
        if known is None:
            raise SetupError(f"{generator}: the generator can't be read; run `imagesmith validate`")
        expires = datetime.now(UTC) + timedelta(seconds=known[0].time_limit_s + MARGIN_S)
        return seal_value(self._secret(), value, generator=generator, parameter=parameter, expires=expires)

    def revoke(self, generator: str, cloud: str, sealed: str) -> None:
        """Take back what `exchange` gave; what can't be reached ends by itself."""
        _, cloud_settings = self._generator_and_cloud(generator, cloud)
        content = unseal(self._secret(), sealed, generator=generator, cloud=cloud)
        known = OpenStackSettings.from_mapping(cloud_settings.driver_settings())
        try:
            revoke(cloud, known, self._credentials(cloud, ""), content)
        except Transient:
            return

    def _generator(self, name: str) -> tuple[Generator, dict[str, CloudSettings]] | None:
        loaded = load_all(settings.include_dir(), only=name)
        found = loaded.generators.get(name)
        return (found, dict(loaded.clouds)) if found else None

    def _generator_and_cloud(self, name: str, cloud: str) -> tuple[Generator, CloudSettings]:
        found = self._generator(name)
        if found is None:
            raise SetupError(f"{name}: the generator can't be read; run `imagesmith validate`")
        return found[0], found[1][cloud]

    def _credentials(self, cloud: str, password: str) -> Credentials:
        from airflow.models.connection import Connection
        from airflow.sdk.exceptions import AirflowNotFoundException

        try:
            connection = Connection.get_connection_from_secrets(cloud)
        except AirflowNotFoundException as error:
            raise SetupError(
                f"{cloud}: there is no Airflow connection named {cloud}; add it under Admin > Connections with the "
                "type “Imagesmith: OpenStack”, with user and project and without a password"
            ) from error
        check_extra(cloud, connection.extra, lines=LINES)
        check_line(cloud, "login", connection.login)
        return Credentials.from_fields(login=connection.login or "", password=password, extra=connection.extra_dejson)

    def _secret(self) -> bytes:
        return parse_secret(settings.secret_text())
