"""Keystone v3: tokens, and what a user may see of itself."""

import hmac
from collections.abc import Callable
from typing import Any, NamedTuple

from imagesmith.sandbox.openstack import catalog, tokens
from imagesmith.sandbox.openstack.sites import DOMAIN, DOMAIN_ID, PROJECT, USER, Facts
from imagesmith.sandbox.openstack.things import Credential, Token
from imagesmith.sandbox.openstack.wire import Call, Document, Problem, Reply, Rule

ROLES = ("member", "reader")
_REFUSED = "The request you have made requires authentication."
_NO_TOKEN = "Failed to validate token"
MALFORMED = (
    "The server could not comply with the request since it is either malformed or otherwise incorrect. "
    "The client is assumed to be in error."
)


class Proof(NamedTuple):
    """Who has shown to be the user, and how: a token keeps its end, a credential its scope."""

    methods: list[str]
    credential: Credential | None = None
    expires_at: float | None = None


def issue_token(call: Call) -> Reply:
    """POST /auth/tokens."""
    auth = call.document("auth")
    identity = _part(auth, "identity")
    methods = identity.get("methods")
    if not isinstance(methods, list) or len(methods) != 1:
        raise Problem(400, f"Expecting to find methods in identity. {MALFORMED}")
    prove = _METHODS.get(str(methods[0]))
    if prove is None:
        raise Problem(401, "Attempted to authenticate with an unsupported method.")
    proof = prove(call, _part(identity, str(methods[0])))
    scoped = _scoped(call, auth.get("scope"), proof)
    secret, token = tokens.issue(
        call.site, proof.methods, scoped=scoped, credential=proof.credential, expires_at=proof.expires_at
    )
    without_catalog = "nocatalog" in call.query
    return Reply(_shown(call, token, with_catalog=not without_catalog), 201, {"X-Subject-Token": secret})


def show_token(call: Call) -> Reply:
    """GET /auth/tokens."""
    secret, token = _subject(call)
    return Reply(_shown(call, token, with_catalog="nocatalog" not in call.query), 200, {"X-Subject-Token": secret})


def revoke_token(call: Call) -> Reply:
    """DELETE /auth/tokens."""
    tokens.revoke(call.site, _subject(call)[1])
    return Reply(status=204)


def list_projects(call: Call) -> Reply:
    """The one project, for every question that lists the user's own."""
    links = {"self": f"{call.base}/identity/v3/auth/projects", "previous": None, "next": None}
    return Reply({"projects": [_project(call)], "links": links})


def show_catalog(call: Call) -> Reply:
    """GET /auth/catalog."""
    return Reply({"catalog": catalog.v3(call.site), "links": {"self": f"{call.base}/identity/v3/auth/catalog"}})


def show_user(call: Call) -> Reply:
    """The user itself, and nobody else."""
    check_user(call)
    facts = call.site.facts
    user = {
        "id": facts.user_id,
        "name": USER,
        "domain_id": DOMAIN_ID,
        "default_project_id": facts.project_id,
        "enabled": True,
        "password_expires_at": None,
        "options": {},
        "links": {"self": f"{call.base}/identity/v3/users/{facts.user_id}"},
    }
    return Reply({"user": user})


def show_project(call: Call) -> Reply:
    """The user's own project."""
    if call.parameters["project_id"] != call.site.facts.project_id:
        raise forbidden("identity:get_project")
    return Reply({"project": _project(call)})


def forbid(call: Call) -> Reply:
    """What a plain member may not ask."""
    raise forbidden(f"identity:{call.path.rsplit('/', 1)[-1]}")


def forbidden(action: str) -> Problem:
    """A denial by policy."""
    return Problem(403, f"You are not authorized to perform the requested action: {action}.")


def check_user(call: Call) -> None:
    """Raises Problem unless the path's user is the caller."""
    if call.parameters["user_id"] != call.site.facts.user_id:
        raise forbidden("identity:get_user")


def _by_password(call: Call, given: Document) -> Proof:
    user = _part(given, "user")
    if "id" not in user and "domain" not in user:
        raise Problem(400, f"Expecting to find domain in user. {MALFORMED}")
    if not _is_user(user, call.site.facts) or not _same(str(user.get("password", "")), call.site.settings.password):
        raise Problem(401, _REFUSED)
    return Proof(["password"])


def _by_token(call: Call, given: Document) -> Proof:
    before = tokens.find(call.site, str(given.get("id", "")))
    if before is None:
        raise Problem(404, _NO_TOKEN)
    credential = call.site.state.credentials.get(before.credential_id)
    methods = [*before.methods, *(["token"] if "token" not in before.methods else [])]
    return Proof(methods, credential, before.expires_at)


def _by_credential(call: Call, given: Document) -> Proof:
    found = call.site.state.credentials.get(str(given.get("id", "")))
    if "id" in given and found is None:
        raise Problem(404, f"Could not find Application Credential: {given['id']}.")
    if "id" not in given and _is_user(_part(given, "user"), call.site.facts):
        named = [each for each in call.site.state.credentials.values() if each.name == given.get("name")]
        found = named[0] if named else None
    if found is None or found.expired or not _same(tokens.digest(str(given.get("secret", ""))), found.secret_sha256):
        raise Problem(401, _REFUSED)
    return Proof(["application_credential"], found)


_METHODS: dict[str, Callable[[Call, Document], Proof]] = {
    "password": _by_password,
    "token": _by_token,
    "application_credential": _by_credential,
}


def _scoped(call: Call, scope: Any, proof: Proof) -> bool:
    """True if the token is for the project, which is the user's default."""
    if scope is None:
        return True
    if proof.methods == ["application_credential"]:
        raise Problem(401, "Application credentials cannot request a scope.")
    if scope == "unscoped" or (isinstance(scope, dict) and "unscoped" in scope):
        return False
    project = scope.get("project") if isinstance(scope, dict) else None
    if not isinstance(project, dict) or not _is(project, call.site.facts.project_id, PROJECT):
        raise Problem(401, _REFUSED)
    return True


def _is_user(user: Document, facts: Facts) -> bool:
    return _is(user, facts.user_id, USER)


def _is(asked: Document, thing_id: str, name: str) -> bool:
    """True for the id, or for the name in the domain."""
    if "id" in asked:
        return bool(asked["id"] == thing_id)
    domain = asked.get("domain")
    known = isinstance(domain, dict) and (domain.get("id") == DOMAIN_ID or domain.get("name") == DOMAIN)
    return known and asked.get("name") == name


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(), right.encode())


def _part(document: Document, name: str) -> Document:
    found = document.get(name)
    if not isinstance(found, dict):
        raise Problem(400, f"Expecting to find {name} in the request. {MALFORMED}")
    return found


def _subject(call: Call) -> tuple[str, Token]:
    secret = call.headers.get("x-subject-token", "")
    token = tokens.find(call.site, secret)
    if token is None:
        raise Problem(404, _NO_TOKEN)
    return secret, token


def _project(call: Call) -> Document:
    project_id = call.site.facts.project_id
    return {
        "id": project_id,
        "name": PROJECT,
        "domain_id": DOMAIN_ID,
        "parent_id": DOMAIN_ID,
        "description": "",
        "enabled": True,
        "is_domain": False,
        "tags": [],
        "options": {},
        "links": {"self": f"{call.base}/identity/v3/projects/{project_id}"},
    }


def roles_of(facts: Facts) -> list[Document]:
    """The user's roles in its project."""
    return [{"id": facts.id_of(f"role {name}").replace("-", ""), "name": name} for name in ROLES]


def _shown(call: Call, token: Token, *, with_catalog: bool) -> Document:
    facts, domain = call.site.facts, {"id": DOMAIN_ID, "name": DOMAIN}
    shown: Document = {
        "methods": token.methods,
        "user": {"id": facts.user_id, "name": USER, "domain": domain, "password_expires_at": None},
        "audit_ids": [token.id[:22]],
        "issued_at": tokens.written(token.issued_at),
        "expires_at": tokens.written(token.expires_at),
    }
    if token.scoped:
        shown |= {"project": {"id": facts.project_id, "name": PROJECT, "domain": domain}, "is_domain": False}
        shown["roles"] = roles_of(facts)
        if with_catalog:
            shown["catalog"] = catalog.v3(call.site)
    credential = call.site.state.credentials.get(token.credential_id)
    if credential is not None:
        restricted = not credential.unrestricted
        shown["application_credential"] = {"id": credential.id, "name": credential.name, "restricted": restricted}
        if credential.access_rules:
            shown["application_credential"]["access_rules"] = credential.access_rules
    return {"token": shown}


RULES = (
    Rule("POST", "/auth/tokens", issue_token, open=True),
    Rule("GET", "/auth/tokens", show_token),
    Rule("DELETE", "/auth/tokens", revoke_token),
    Rule("GET", "/auth/projects", list_projects),
    Rule("GET", "/auth/catalog", show_catalog),
    Rule("GET", "/users/{user_id}", show_user),
    Rule("GET", "/users/{user_id}/projects", list_projects),
    Rule("GET", "/projects/{project_id}", show_project),
    Rule("GET", "/projects", forbid),
    Rule("GET", "/users", forbid),
    Rule("GET", "/domains", forbid),
    Rule("GET", "/services", forbid),
    Rule("GET", "/endpoints", forbid),
    Rule("GET", "/regions", forbid),
)
