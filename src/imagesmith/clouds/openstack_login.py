"""From settings and credentials to a connection of openstacksdk that reads no file and no environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imagesmith.clouds.connection_fields import check_url
from imagesmith.clouds.openstack_words import OpenStackSettings
from imagesmith.errors import CredentialsRefused, SetupError

API_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Credentials:
    """Who we are on a cloud: an application credential, a token, or a user's password; the first that is there counts.

    `verify` is False to take any certificate; `ca_file` is the path of a bundle to check it with.
    """

    auth_url: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    project: str = ""
    project_id: str = ""
    domain: str = ""
    project_domain: str = ""
    region: str = ""
    application_credential_id: str = ""
    application_credential_secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    ca_file: str = ""
    verify: bool = True

    @classmethod
    def from_fields(cls, *, login: str, password: str, extra: Mapping[str, Any]) -> Credentials:
        """The credentials out of an Airflow connection's fields; empty and unknown ones count for nothing."""
        text = {name: str(value) for name, value in extra.items() if value not in (None, "") and name in LINES}
        verify = str(extra.get("verify", "")).strip().lower() not in ("false", "no", "0", "off")
        return cls(username=login, password=password, verify=verify, **text)


# Of a connection's extra, each one line.
LINES = (
    "auth_url",
    "project",
    "project_id",
    "domain",
    "project_domain",
    "region",
    "application_credential_id",
    "application_credential_secret",
    "ca_file",
)


def connect(cloud: str, settings: OpenStackSettings, credentials: Credentials) -> Any:
    """An `openstack.connection.Connection`, not yet logged in; raises SetupError, CredentialsRefused."""
    import openstack

    auth_type, auth = login_of(cloud, settings, credentials)
    _need_ca_file(cloud, credentials.ca_file)
    return openstack.connect(
        auth_type=auth_type,
        auth=auth,
        region_name=settings.region or credentials.region or None,
        interface=settings.interface,
        cacert=credentials.ca_file or None,
        verify=credentials.verify,
        api_timeout=API_TIMEOUT_S,
        load_yaml_config=False,
        load_envvars=False,
        app_name="imagesmith",
    )


def login_of(cloud: str, settings: OpenStackSettings, credentials: Credentials) -> tuple[str, dict[str, str]]:
    """The way to log in, by the name keystoneauth has for it, and its options.

    https://docs.openstack.org/keystoneauth/latest/authentication-plugins.html
    """
    auth_url = settings.auth_url or credentials.auth_url
    if not auth_url:
        raise SetupError(
            f"{cloud}: no auth URL; write auth_url of {cloud} in include/clouds.yaml, or into the Airflow connection"
        )
    check_url(cloud, "auth_url", auth_url)
    if settings.identity_version == 2:
        return _login_v2(cloud, auth_url, credentials)
    if credentials.application_credential_id:
        return "v3applicationcredential", {
            "auth_url": auth_url,
            "application_credential_id": credentials.application_credential_id,
            "application_credential_secret": credentials.application_credential_secret,
        }
    scope = _project_v3(credentials)
    if credentials.token:
        return "v3token", {"auth_url": auth_url, "token": credentials.token, **scope}
    _need_password(cloud, credentials)
    return "v3password", {
        "auth_url": auth_url,
        "username": credentials.username,
        "password": credentials.password,
        "user_domain_name": credentials.domain or "Default",
        **scope,
    }


def _login_v2(cloud: str, auth_url: str, credentials: Credentials) -> tuple[str, dict[str, str]]:
    if credentials.application_credential_id:
        raise SetupError(
            f"{cloud}: Identity v2.0 knows no application credentials; use a user and a password in the connection"
        )
    scope = {"tenant_id": credentials.project_id} if credentials.project_id else {"tenant_name": credentials.project}
    if credentials.token:
        return "v2token", {"auth_url": auth_url, "token": credentials.token, **scope}
    _need_password(cloud, credentials)
    login = {"username": credentials.username, "password": credentials.password}
    return "v2password", {"auth_url": auth_url, **login, **scope}


def _project_v3(credentials: Credentials) -> dict[str, str]:
    if credentials.project_id:
        return {"project_id": credentials.project_id}
    if not credentials.project:
        return {}
    domain = credentials.project_domain or credentials.domain or "Default"
    return {"project_name": credentials.project, "project_domain_name": domain}


def _need_ca_file(cloud: str, ca_file: str) -> None:
    try:
        if not ca_file or Path(ca_file).is_file():
            return
    except OSError:
        pass  # a path that is too long is no file either
    raise SetupError(
        f"{cloud}: there is no CA file {ca_file[:200]}; put it on every worker, or mend ca_file in the Airflow "
        f"connection {cloud}"
    )


def _need_password(cloud: str, credentials: Credentials) -> None:
    if not credentials.username or not credentials.password:
        raise CredentialsRefused(
            f"{cloud}: neither an application credential nor a user with a password; "
            f"check the Airflow connection {cloud}"
        )
