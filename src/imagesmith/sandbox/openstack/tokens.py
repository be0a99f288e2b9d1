"""Tokens of a site: made, found again, ended. The server keeps digests only, so its files open no door."""

import hashlib
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from imagesmith.sandbox.openstack.things import Credential, Token

if TYPE_CHECKING:
    from imagesmith.sandbox.openstack.site import Site


def digest(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def issue(
    site: "Site",
    methods: list[str],
    *,
    scoped: bool = True,
    credential: Credential | None = None,
    expires_at: float | None = None,
) -> tuple[str, Token]:
    """A new token's text, and what is kept of it. It never outlives the credential that it was made with."""
    _forget_expired(site)
    begin = time.time()
    end = begin + site.settings.token_s if expires_at is None else expires_at
    if credential is not None and credential.expires_at:
        end = min(end, credential.expires_at)
    secret = secrets.token_urlsafe(96)
    token = Token(
        id=digest(secret),
        methods=methods,
        issued_at=begin,
        expires_at=end,
        scoped=scoped,
        credential_id=credential.id if credential else "",
    )
    site.state.save(token)
    return secret, token


def find(site: "Site", secret: str) -> Token | None:
    """The token, if it holds: not expired, not revoked, and its credential still there."""
    token = site.state.tokens.get(digest(secret))
    if token is None or token.expires_at <= time.time():
        return None
    if token.credential_id:
        credential = site.state.credentials.get(token.credential_id)
        if credential is None or credential.expired:
            return None
    return token


def revoke(site: "Site", token: Token) -> None:
    """Ends the token."""
    site.state.remove(token)


def written(seconds: float, *, zone: str = "Z") -> str:
    """A time as Keystone v3 writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + zone


def _forget_expired(site: "Site") -> None:
    now = time.time()
    for token in [each for each in site.state.tokens.values() if each.expires_at <= now]:
        site.state.remove(token)
