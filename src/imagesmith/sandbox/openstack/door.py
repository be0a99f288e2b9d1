"""The door of one site: from a request's path to the service that answers; tokens, faults and counts on the way."""

import contextlib
import fnmatch
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from imagesmith.sandbox.openstack import (
    cinder,
    discovery,
    glance,
    glance_v1,
    keystone,
    keystone_credentials,
    keystone_v2,
    microversions,
    neutron,
    neutron_floating,
    neutron_groups,
    neutron_tags,
    nova_actions,
    nova_flavors,
    nova_key_pairs,
    nova_labels,
    nova_more,
    nova_networks,
    nova_servers,
    tokens,
)
from imagesmith.sandbox.openstack.faults import Fault
from imagesmith.sandbox.openstack.site import Site
from imagesmith.sandbox.openstack.things import Token
from imagesmith.sandbox.openstack.wire import Call, Document, Problem, Reply, Rule, error_body

_NOVA = (
    *nova_servers.RULES,
    *nova_labels.RULES,
    *nova_actions.RULES,
    *nova_flavors.RULES,
    *nova_key_pairs.RULES,
    *nova_more.RULES,
)
_NEUTRON = (*neutron.RULES, *neutron_groups.RULES, *neutron_floating.RULES, *neutron_tags.RULES)
_NEEDS_TOKEN = "The request you have made requires authentication."


@dataclass(frozen=True)
class Service:
    """Rules under one path of the site."""

    name: str
    path: str
    rules: Sequence[Rule]


MODERN = (
    Service("identity", "/identity/v3", (*keystone.RULES, *keystone_credentials.RULES)),
    Service("compute", "/compute/v2.1", _NOVA),
    Service("image", "/image/v2", glance.RULES),
    Service("network", "/network/v2.0", _NEUTRON),
    Service("volume", "/volume/v3/{project}", cinder.RULES),
)
HAVANA = (
    Service("identity", "/identity/v2.0", keystone_v2.RULES),
    Service("compute", "/compute/v2/{project}", (*_NOVA, *nova_networks.RULES)),
    Service("image", "/image/v2", glance.RULES),
    Service("image", "/image/v1", glance_v1.RULES),
)


class Door:
    """All services of one site."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[BaseRoute]:
        """Paths below the site's name."""
        havana = self._site.facts.havana
        services = HAVANA if havana else MODERN
        found: list[BaseRoute] = [
            self._route(service, Rule("GET", f"{path}{slash}", handler, open=True))
            for service, path, handler in discovery.documents(havana=havana)
            for slash in ("", "/")
        ]
        for service in services:
            routes = [self._route(service.name, rule) for rule in service.rules]
            found.append(Mount(service.path, routes=[*routes, self._unknown(service.name)]))
        return found

    def _route(self, service: str, rule: Rule) -> Route:
        async def endpoint(request: Request) -> Response:
            return await self._answer(request, service, rule)

        return Route(rule.path, endpoint, methods=[rule.method])

    def _unknown(self, service: str) -> Route:
        def refuse(call: Call) -> Reply:
            raise Problem(404, "The resource could not be found.")

        rule = Rule("", "/{rest:path}", refuse)

        async def endpoint(request: Request) -> Response:
            return await self._answer(request, service, rule)

        return Route(rule.path, endpoint, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])

    async def _answer(self, request: Request, service: str, rule: Rule) -> Response:
        content = await request.body()
        site, path = self._site, request.url.path.removeprefix(f"/{self._site.facts.name}")
        site.calls[_label(service, request.method, rule.path, content)] += 1
        fault = self._fault(service, request.method, path)
        try:
            if fault is not None and not fault.after_effect:
                return await self._failure(request, service, fault)
            call = self._call(request, service, rule, content)
            reply = rule.handler(call)
        except Problem as problem:
            return self._refusal(service, problem)
        if fault is not None:
            return await self._failure(request, service, fault)
        return _response(reply, microversions.told(call.version) if self._versioned(service) else {})

    def _call(self, request: Request, service: str, rule: Rule, content: bytes) -> Call:
        site, secret = self._site, request.headers.get("x-auth-token", "")
        token = tokens.find(site, secret) if secret else None
        if not rule.open:
            self._check(token, service, request)
        project = request.path_params.get("project", site.facts.project_id)
        if project != site.facts.project_id:
            raise Problem(404 if service == "compute" else 400, f"Malformed request url: no project {project}")
        return Call(
            site,
            service,
            request.method,
            request.url.path,
            request.path_params,
            request.query_params,
            request.headers,
            content,
            site.url,
            secret,
            token,
            microversions.asked(request) if self._versioned(service) else microversions.LEAST,
        )

    def _versioned(self, service: str) -> bool:
        return service == "compute" and not self._site.facts.havana

    def _check(self, token: Token | None, service: str, request: Request) -> None:
        if token is None or (service != "identity" and not token.scoped):
            raise Problem(401, _NEEDS_TOKEN)
        credential = self._site.state.credentials.get(token.credential_id)
        if service == "identity" or credential is None or not credential.access_rules:
            return
        path = request.url.path.removeprefix(f"/{self._site.facts.name}/{service}")
        if not any(_allows(rule, service, request.method, path) for rule in credential.access_rules):
            raise Problem(401, _NEEDS_TOKEN)

    def _fault(self, service: str, method: str, path: str) -> Fault | None:
        for fault in self._site.faults:
            if fault.matches(service, method, path):
                fault.count -= 1
                if fault.count <= 0:
                    self._site.faults.remove(fault)
                return fault
        return None

    async def _failure(self, request: Request, service: str, fault: Fault) -> Response:
        if fault.status:
            return self._refusal(service, Problem(fault.status, fault.message))
        # ASGI has no word for a connection that breaks, so this reaches for uvicorn's own.
        transport = getattr(getattr(request.receive, "__self__", None), "transport", None)
        if transport is None:
            raise ConnectionResetError(fault.message)
        transport.abort()
        return Response(status_code=500)

    def _refusal(self, service: str, problem: Problem) -> Response:
        body = error_body(service, problem, havana=self._site.facts.havana)
        headers = {"x-openstack-request-id": "req-sandbox"}
        if problem.status == 401:
            headers["WWW-Authenticate"] = f'Keystone uri="{self._site.url}/identity"'
        if isinstance(body, str):
            return Response(body, status_code=problem.status, media_type="text/html", headers=headers)
        return JSONResponse(body, status_code=problem.status, headers=headers)


def _label(service: str, method: str, path: str, content: bytes) -> str:
    """How a call is counted: `compute POST /servers/{server_id}/action createImage`."""
    label = f"{service} {method} {path}"
    if path.endswith("/action"):
        with contextlib.suppress(ValueError, TypeError, IndexError):
            label += f" {next(iter(json.loads(content)))}"
    return label


def _response(reply: Reply, headers: dict[str, str]) -> Response:
    headers = {"x-openstack-request-id": "req-sandbox", **headers, **reply.headers}
    if reply.body is None:
        return Response(status_code=reply.status, headers=headers)
    return JSONResponse(reply.body, status_code=reply.status, headers=headers)


def _allows(rule: Document, service: str, method: str, path: str) -> bool:
    """True if an access rule of an application credential lets the call through; `*` is one part of the path."""
    pattern: Any = re.sub(r"\{[^}]*\}", "*", rule["path"])
    same_depth = "**" in pattern or pattern.count("/") == path.count("/")
    return rule["service"] == service and rule["method"] == method and same_depth and fnmatch.fnmatch(path, pattern)
