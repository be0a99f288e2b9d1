"""Keystone v2.0, as Havana had it: tokens and tenants."""

import hmac

from imagesmith.sandbox.openstack import catalog, tokens
from imagesmith.sandbox.openstack.keystone import roles_of
from imagesmith.sandbox.openstack.sites import PROJECT, USER
from imagesmith.sandbox.openstack.things import Token
from imagesmith.sandbox.openstack.wire import Call, Document, Problem, Reply, Rule

_REFUSED = "The request you have made requires authentication."


def issue_token(call: Call) -> Reply:
    """POST /tokens."""
    auth = call.document("auth")
    methods, expires_at = _proof(call, auth)
    wanted = auth.get("tenantId") or auth.get("tenantName")
    if wanted and wanted not in (call.site.facts.project_id, PROJECT):
        raise Problem(401, _REFUSED)
    secret, token = tokens.issue(call.site, methods, scoped=bool(wanted), expires_at=expires_at)
    return Reply(_access(call, secret, token))


def list_tenants(call: Call) -> Reply:
    """GET /tenants."""
    return Reply({"tenants": [_tenant(call)], "tenants_links": []})


def revoke_token(call: Call) -> Reply:
    """DELETE /tokens/{id}: a user may end its own."""
    token = tokens.find(call.site, call.parameters["token_id"])
    if token is None:
        raise Problem(404, "Could not find token.")
    tokens.revoke(call.site, token)
    return Reply(status=204)


def forbid(call: Call) -> Reply:
    """What only administrators may."""
    raise Problem(403, "You are not authorized to perform the requested action, admin_required.")


def list_extensions(call: Call) -> Reply:
    """GET /extensions: none."""
    return Reply({"extensions": {"values": []}})


def _proof(call: Call, auth: Document) -> tuple[list[str], float | None]:
    """How the user has shown to be itself, and when the token must end at the latest."""
    if isinstance(auth.get("token"), dict):
        before = tokens.find(call.site, str(auth["token"].get("id", "")))
        if before is None:
            raise Problem(401, _REFUSED)
        return ["token"], before.expires_at
    given = auth.get("passwordCredentials")
    if not isinstance(given, dict):
        message = "Expecting to find passwordCredentials or token in auth. The server could not comply with the request"
        raise Problem(400, f"{message} since it is either malformed or otherwise incorrect.")
    known = given.get("userId") == call.site.facts.user_id or given.get("username") == USER
    right = call.site.settings.password
    if not known or not hmac.compare_digest(str(given.get("password", "")).encode(), right.encode()):
        raise Problem(401, _REFUSED)
    return ["password"], None


def _tenant(call: Call) -> Document:
    return {"id": call.site.facts.project_id, "name": PROJECT, "description": "", "enabled": True}


def _access(call: Call, secret: str, token: Token) -> Document:
    facts = call.site.facts
    roles = roles_of(facts)
    told: Document = {
        "id": secret,
        "issued_at": tokens.written(token.issued_at, zone=""),
        "expires": tokens.written(token.expires_at)[:19] + "Z",
    }
    if token.scoped:
        told["tenant"] = _tenant(call)
    return {
        "access": {
            "token": told,
            "serviceCatalog": catalog.v2(call.site) if token.scoped else [],
            "user": {
                "id": facts.user_id,
                "name": USER,
                "username": USER,
                "roles_links": [],
                "roles": [{"name": role["name"]} for role in roles] if token.scoped else [],
            },
            "metadata": {"is_admin": 0, "roles": [role["id"] for role in roles] if token.scoped else []},
        }
    }


RULES = (
    Rule("POST", "/tokens", issue_token, open=True),
    Rule("GET", "/tenants", list_tenants),
    Rule("GET", "/tokens/{token_id}", forbid),
    Rule("DELETE", "/tokens/{token_id}", revoke_token),
    Rule("GET", "/users", forbid),
    Rule("GET", "/extensions", list_extensions, open=True),
)
