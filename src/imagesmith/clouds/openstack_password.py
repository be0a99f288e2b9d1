"""A password exchanged at Keystone for something that ends by itself: what a build keeps of it is this.

Where Keystone has application credentials it is one of those, restricted and for the time of the build, so that a
build may outlast a token; the token goes along, because only its holder may take the credential back. Elsewhere it is
a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from imagesmith.clouds.openstack import OpenStackCloud
from imagesmith.clouds.openstack_errors import Refused, failed, refused, sdk_errors, words_of
from imagesmith.clouds.openstack_login import Credentials, connect
from imagesmith.clouds.openstack_words import OpenStackSettings
from imagesmith.errors import CredentialsRefused

# Clouds that know no application credentials, or whose policy keeps them from users.
_NO_APPLICATION_CREDENTIALS = frozenset({403, 404, 405, 501})


@dataclass(frozen=True)
class Exchanged:
    """What a password was exchanged for: short texts, and when they end."""

    content: dict[str, str] = field(repr=False)
    expires: datetime


def exchange(
    cloud: str, settings: OpenStackSettings, credentials: Credentials, *, name: str, lifetime_s: float
) -> Exchanged:
    """A credential for `lifetime_s` from now, or for as long as a token lives here; `name` is unique to the user.

    Raises CredentialsRefused for a wrong password, CloudBusy when Keystone can't be reached, SetupError.
    """
    # A password typed in counts, whatever else the connection holds.
    asked = replace(credentials, application_credential_id="", token="")
    tried = f"exchange the password of {credentials.username}"
    try:
        session = connect(cloud, settings, asked).session
        access = session.auth.get_access(session)
        token = {"token": access.auth_token, "user_id": access.user_id}
        if settings.identity_version != 3:
            return Exchanged(token, access.expires)
        expires = datetime.now(UTC) + timedelta(seconds=lifetime_s)
        made = _application_credential(cloud, session, access, name=name, expires=expires)
    except sdk_errors() as error:
        told = failed(cloud, tried, error)
        if isinstance(told, CredentialsRefused):
            raise CredentialsRefused(
                f"{cloud}: Keystone does not take this password of user {credentials.username}; give the right one, "
                f"or mend user, project and domain in the Airflow connection {cloud}"
            ) from error
        raise told from error
    if not made:
        return Exchanged(token, access.expires)
    return Exchanged({**token, **made}, expires)


def credentials_of(known: Credentials, content: Mapping[str, str]) -> Credentials:
    """The connection's credentials with what `exchange` gave in the place of a password."""
    return replace(
        known,
        password="",
        token="" if content.get("application_credential_id") else content.get("token", ""),
        application_credential_id=content.get("application_credential_id", ""),
        application_credential_secret=content.get("application_credential_secret", ""),
    )


def open_cloud(
    cloud: str, settings: OpenStackSettings, known: Credentials, content: Mapping[str, str] | None = None
) -> OpenStackCloud:
    """The driver of a cloud; `content`, what `exchange` gave, goes before what the connection holds."""
    if content is None:
        return OpenStackCloud(cloud, partial(connect, cloud, settings, known), settings)
    return OpenStackCloud(
        cloud,
        partial(connect, cloud, settings, credentials_of(known, content)),
        settings,
        end_credential=partial(revoke, cloud, settings, known, content),
    )


def revoke(cloud: str, settings: OpenStackSettings, credentials: Credentials, content: Mapping[str, str]) -> str:
    """Take back what `exchange` gave; "" when it is gone, else why it stays until it ends by itself.

    Raises CloudBusy when Keystone can't be reached.
    """
    token = content.get("token", "")
    by_token = replace(credentials, password="", application_credential_id="", token=token)
    tried = "take back the credential of the build"
    try:
        connection = connect(cloud, settings, by_token)
        session = connection.session
        trouble = ""
        if content.get("application_credential_id"):
            path = f"users/{content['user_id']}/application_credentials/{content['application_credential_id']}"
            trouble = _delete(session, settings, path, headers={"X-Auth-Token": token})
        # The token last: it is what the other was taken back with.
        path = "auth/tokens" if settings.identity_version == 3 else f"tokens/{token}"
        own = {"X-Auth-Token": token, "X-Subject-Token": token}
        return _delete(session, settings, path, headers=own) or trouble
    except sdk_errors() as error:
        told = failed(cloud, tried, error)
        if isinstance(told, CredentialsRefused):
            return "its token has ended already"
        raise told from error


def _application_credential(cloud: str, session: Any, access: Any, *, name: str, expires: datetime) -> dict[str, str]:
    """Id and secret of a new application credential, nothing where the cloud gives none."""
    body = {
        "application_credential": {
            "name": name,
            "description": "Imagesmith: one build, instead of a password",
            # Keystone takes UTC without a zone, and tells the secret in this answer only.
            "expires_at": expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000000"),
            "unrestricted": False,
        }
    }
    url = f"{_base(session.auth.auth_url)}/users/{access.user_id}/application_credentials"
    reply = session.post(url, json=body, headers={"X-Auth-Token": access.auth_token}, raise_exc=False, log=False)
    if reply.status_code in _NO_APPLICATION_CREDENTIALS:
        return {}
    if reply.status_code >= 400:
        cause = Refused(reply.status_code, words_of(reply.content))
        raise refused(cloud, "make an application credential", cause) from cause
    made = reply.json()["application_credential"]
    return {"application_credential_id": made["id"], "application_credential_secret": made["secret"]}


def _delete(session: Any, settings: OpenStackSettings, path: str, *, headers: dict[str, str]) -> str:
    url = f"{_base(session.auth.auth_url, version=settings.identity_version)}/{path}"
    reply = session.delete(url, headers=headers, raise_exc=False, log=False, authenticated=False)
    gone = reply.status_code < 400 or reply.status_code in (401, 404)
    return "" if gone else f"{reply.status_code}: {words_of(reply.content)}"


def _base(auth_url: str, *, version: int = 3) -> str:
    """Where Identity's calls begin: some write the auth URL with its version, some without."""
    base = auth_url.rstrip("/")
    if base.endswith(("/v3", "/v2.0")):
        return base
    return f"{base}/{'v3' if version == 3 else 'v2.0'}"
