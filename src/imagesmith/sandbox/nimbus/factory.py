"""The door of a site's services for workspaces, which its cloud client speaks to.

The paths are those of the real services and an operation has its name there. It is asked for with a JSON object over
TLS with the user's certificate; a fault is `{"fault": text}` with status 500.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from imagesmith.sandbox.nimbus import faults, life, store
from imagesmith.sandbox.nimbus.life import Order, Refused
from imagesmith.sandbox.nimbus.sites import BUCKET, User
from imagesmith.sandbox.nimbus.states import PROPAGATED, SAVING
from imagesmith.sandbox.nimbus.things import Workspace

if TYPE_CHECKING:
    from imagesmith.sandbox.nimbus.site import Site

_NAMESPACE = "http://www.globus.org/2008/06/workspace"
_UNKNOWN = "This workspace is unknown to the service (likely because it was terminated)."
_INITIALS = {"organizationName": "O", "organizationalUnitName": "OU", "commonName": "CN"}


@dataclass
class Call:
    """One operation by one user."""

    site: "Site"
    user: User
    wanted: dict[str, Any]

    @property
    def workspace(self) -> Workspace:
        """The one that is meant; raises Refused."""
        workspace = self.site.state.workspaces.get(str(self.wanted.get("key")))
        if workspace is None:
            raise Refused(_UNKNOWN)
        if workspace.owner_dn != self.user.dn:
            raise Refused(_unauthorized(self.user.dn, str(self.wanted.get("operation"))))
        return workspace


def application(site: "Site") -> Starlette:
    """The services under `/wsrf/services/`."""

    async def answer(request: Request) -> Response:
        wanted = json.loads(await request.body())
        operation = str(wanted.get("operation"))
        handler = _OPERATIONS.get((request.path_params["service"], operation))
        if handler is None:
            return JSONResponse({"fault": f"there is no operation {operation}"}, status_code=404)
        if operation != "behave":
            site.calls[f"factory {operation}"] += 1
        try:
            return JSONResponse(handler(Call(site, _user(site, request, operation), wanted)))
        except Refused as fault:
            return JSONResponse({"fault": str(fault)}, status_code=500)

    return Starlette(routes=[Route("/wsrf/services/{service}", answer, methods=["POST"])])


def _user(site: "Site", request: Request, operation: str) -> User:
    dn = _peer(request)
    user = next((each for each in site.facts.users if each.dn == dn), None)
    if user is None:
        raise Refused(_unauthorized(dn, operation))
    return user


def _unauthorized(dn: str, operation: str) -> str:
    kind = "org.globus.wsrf.impl.security.authorization.exceptions.AuthorizationException"
    return f'{kind}: "{dn}" is not authorized to use operation: {{{_NAMESPACE}}}{operation} on this service'


def _peer(request: Request) -> str:
    """The subject of the caller's certificate in slash form."""
    # ASGI does not tell of certificates, so this reaches for uvicorn's own transport.
    transport = getattr(getattr(request.receive, "__self__", None), "transport", None)
    certificate = transport.get_extra_info("peercert") if transport is not None else None
    subject = (certificate or {}).get("subject", ())
    return "".join(f"/{_INITIALS.get(kind, kind)}={value}" for part in subject for kind, value in part)


def _behave(call: Call) -> dict[str, Any]:
    """How the cloud client is to do one of its actions."""
    fault = faults.take(call.site.faults, str(call.wanted.get("action")), *faults.CLIENT_KINDS)
    planned = {"kind": fault.kind, "text": fault.text, "seconds": fault.seconds} if fault else {}
    return {"noise": call.site.settings.noise, **planned}


def _create(call: Call) -> dict[str, Any]:
    wanted = call.wanted
    order = Order(
        source=_key_of(wanted["image_url"]),
        mount_as=str(wanted["mount_as"]),
        minutes=int(wanted["minutes"]),
        memory_mb=int(wanted["memory_mb"]),
        public_key=str(wanted["public_key"]),
    )
    return _described(life.create(call.site, call.user, order))


def _look(call: Call) -> dict[str, Any]:
    return _described(call.workspace)


def _save(call: Call) -> dict[str, Any]:
    workspace = call.workspace
    refusal = faults.take(call.site.faults, "save", "refuse")
    if refusal:
        raise Refused(refusal.text)
    target = str(call.wanted.get("target") or "")
    key = _key_of(target) if target else store.own_key(call.user, workspace.source.rsplit("/", 1)[-1])
    life.save(call.site, workspace, key, call.user)
    return _described(workspace)


def _destroy(call: Call) -> dict[str, Any]:
    workspace = call.workspace
    refusal = faults.take(call.site.faults, "terminate", "refuse")
    if refusal:
        raise Refused(refusal.text)
    life.destroy(call.site, workspace)
    return {}


def _query(call: Call) -> dict[str, Any]:
    refusal = faults.take(call.site.faults, "status", "refuse")
    if refusal:
        raise Refused(refusal.text)
    workspaces = call.site.state.workspaces.values()
    return {"workspaces": [_described(each) for each in workspaces if each.owner_dn == call.user.dn]}


def _described(workspace: Workspace) -> dict[str, Any]:
    return {
        "key": workspace.id,
        "address": workspace.address,
        "hostname": workspace.hostname,
        "state": _visible(workspace.state),
        "problem": workspace.problem,
        "minutes": workspace.minutes,
        "started_at": workspace.started_at,
        "shutdown_at": workspace.shutdown_at,
        "termination_at": workspace.termination_at,
    }


def _visible(state: str) -> str:
    """The WSDL has no word for a workspace that is being saved."""
    return PROPAGATED if state == SAVING else state


def _key_of(url: str) -> str:
    """The object's key in `cumulus://HOST:PORT/BUCKET/KEY`."""
    _, _, key = url.partition(f"/{BUCKET}/")
    if not url.startswith("cumulus://") or not key:
        raise Refused(f"invalid image location: {url}")
    return key


_OPERATIONS: dict[tuple[str, str], Callable[[Call], dict[str, Any]]] = {
    ("WorkspaceFactoryService", "behave"): _behave,
    ("WorkspaceFactoryService", "create"): _create,
    ("WorkspaceService", "currentState"): _look,
    ("WorkspaceService", "shutdownWorkspace"): _save,
    ("WorkspaceService", "Destroy"): _destroy,
    ("WorkspaceStatusService", "queryCurrentWorkspaces"): _query,
}
