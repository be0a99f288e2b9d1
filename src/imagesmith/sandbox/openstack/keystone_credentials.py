"""Keystone v3: application credentials. A restricted one can make and delete none."""

import secrets
import time
from datetime import UTC, datetime
from typing import Any

from imagesmith.sandbox.openstack import tokens
from imagesmith.sandbox.openstack.keystone import MALFORMED, check_user, roles_of
from imagesmith.sandbox.openstack.things import Credential
from imagesmith.sandbox.openstack.wire import Call, Document, Problem, Reply, Rule, new_uuid


def create_credential(call: Call) -> Reply:
    """A new credential; its secret is told now and never again."""
    check_user(call)
    _check_may_manage(call)
    wanted = call.document("application_credential")
    name = wanted.get("name")
    if not isinstance(name, str) or not name:
        raise Problem(400, f"Invalid input for field 'name': 'name' is a required property. {MALFORMED}")
    if any(each.name == name for each in call.site.state.credentials.values()):
        message = "Conflict occurred attempting to store application_credential - Duplicate entry found with name "
        raise Problem(409, f"{message}{name} for user {call.site.facts.user_id}.")
    _check_roles(call, wanted.get("roles") or [])
    secret = str(wanted.get("secret") or secrets.token_urlsafe(64))
    credential = Credential(
        id=new_uuid().replace("-", ""),
        name=name,
        secret_sha256=tokens.digest(secret),
        description=str(wanted.get("description") or ""),
        expires_at=_expiry(wanted.get("expires_at")),
        unrestricted=bool(wanted.get("unrestricted", False)),
        access_rules=[_access_rule(each) for each in wanted.get("access_rules") or []],
    )
    call.site.state.save(credential)
    return Reply({"application_credential": {**_shown(call, credential), "secret": secret}}, 201)


def list_credentials(call: Call) -> Reply:
    """The user's credentials, those that have expired among them."""
    check_user(call)
    name = call.query.get("name")
    found = [each for each in call.site.state.credentials.values() if name in (None, each.name)]
    links = {"self": f"{_base(call)}", "previous": None, "next": None}
    return Reply({"application_credentials": [_shown(call, each) for each in found], "links": links})


def show_credential(call: Call) -> Reply:
    """One credential."""
    check_user(call)
    return Reply({"application_credential": _shown(call, _asked_for(call))})


def delete_credential(call: Call) -> Reply:
    """Gone, and every token that was made with it."""
    check_user(call)
    _check_may_manage(call)
    call.site.state.remove(_asked_for(call))
    return Reply(status=204)


def _check_may_manage(call: Call) -> None:
    credential = call.site.state.credentials.get(call.user_token.credential_id)
    if credential is not None and not credential.unrestricted:
        message = "Using method 'application_credential' is not allowed for managing additional application credentials"
        raise Problem(403, f"You are not authorized to perform the requested action: {message}.")


def _check_roles(call: Call, roles: list[Any]) -> None:
    own = roles_of(call.site.facts)
    known = {role["id"] for role in own} | {role["name"] for role in own}
    for role in roles:
        asked = role.get("id") or role.get("name")
        if asked not in known:
            raise Problem(400, f"Invalid application credential: Could not find role assignment with role: {asked}")


def _expiry(text: Any) -> float:
    """Seconds since 1970 of a UTC time with or without its Z; 0 for none."""
    if text is None:
        return 0.0
    try:
        moment = datetime.fromisoformat(str(text).removesuffix("Z")).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise Problem(400, f"Timestamp not in expected format. {MALFORMED}") from None
    if moment <= time.time():
        raise Problem(400, f"The 'expires_at' must not be before now. {MALFORMED}")
    return moment


def _access_rule(wanted: Document) -> dict[str, str]:
    rule = {name: str(wanted.get(name, "")) for name in ("service", "method", "path")}
    if not all(rule.values()):
        raise Problem(400, f"Invalid input for field 'access_rules': service, method and path are needed. {MALFORMED}")
    return {"id": new_uuid().replace("-", ""), **rule}


def _asked_for(call: Call) -> Credential:
    credential_id = call.parameters["credential_id"]
    try:
        return call.site.state.credentials[credential_id]
    except KeyError:
        raise Problem(404, f"Could not find Application Credential: {credential_id}.") from None


def _base(call: Call) -> str:
    return f"{call.base}/identity/v3/users/{call.site.facts.user_id}/application_credentials"


def _shown(call: Call, credential: Credential) -> Document:
    facts = call.site.facts
    return {
        "id": credential.id,
        "name": credential.name,
        "description": credential.description,
        "expires_at": tokens.written(credential.expires_at, zone="") if credential.expires_at else None,
        "project_id": facts.project_id,
        "user_id": facts.user_id,
        "unrestricted": credential.unrestricted,
        "roles": roles_of(facts),
        "access_rules": credential.access_rules,
        "system": None,
        "links": {"self": f"{_base(call)}/{credential.id}"},
    }


_PATH = "/users/{user_id}/application_credentials"
RULES = (
    Rule("POST", _PATH, create_credential),
    Rule("GET", _PATH, list_credentials),
    Rule("GET", _PATH + "/{credential_id}", show_credential),
    Rule("DELETE", _PATH + "/{credential_id}", delete_credential),
)
