"""What every page has: its frame with the navigation, its headers, and the words of its templates."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from imagesmith.web.ansi import as_html
from imagesmith.web.door import CALLER
from imagesmith.web.host import Caller
from imagesmith.web.pages import words
from imagesmith.web.pages.static import STATIC, version_of
from imagesmith.web.problems import Problem, shown

TEMPLATES = Path(__file__).parent.parent / "templates"
# Name and path of each entry of the navigation; only what there is.
NAVIGATION = (("Generators", "generators"), ("Builds", "builds"), ("Images", "images"), ("Clouds", "clouds"))
# In Airflow's navigation, and in the path of its page there.
TITLE, ROUTE = "Image generators", "imagesmith"
# What stands in the address after a change, and what the page then says.
DONE = {
    "added": "Added.",
    "saved": "Saved.",
    "deleted": "Deleted; its builds and images stay.",
    "cancelled": "Cancelled; what it made on its clouds is being deleted.",
    "retried": "Begun again on the clouds where it failed.",
}

_environment = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {"ago": words.ago, "utc": words.utc, "lasted": words.lasted, "as_json": json.dumps}
_environment.filters |= {"coloured": as_html}
_environment.globals |= {"badge_colour": words.badge_colour}


def page(request: Request, template: str, *, status: int = 200, **about: Any) -> HTMLResponse:
    """The page of that template. Templates find `at(…)`, `static(…)`, `caller` and `navigation` beside `about`."""
    nonce = secrets.token_urlsafe(16)
    return HTMLResponse(render(request, template, nonce=nonce, **about), status, headers=_headers(nonce))


def render(request: Request, template: str, **about: Any) -> str:
    """The text of that template, which may be a part of a page."""
    caller: Caller | None = getattr(request.state, CALLER, None)

    def static(name: str) -> str:
        return f"{at(request, STATIC, *name.split('/'))}?v={version_of(name)}"

    return _environment.get_template(template).render(
        at=lambda *segments, **query: at(request, *segments, **query),
        static=static,
        caller=caller,
        navigation=NAVIGATION,
        here=_inner_path(request.scope).strip("/").partition("/")[0],
        done=DONE.get(request.query_params.get("done", ""), ""),
        airflow=request.app.state.parts.host.page,
        **about,
    )


def at(request: Request, *segments: str, **query: object) -> str:
    """The address of one of our pages; queries that are None or "" are left out."""
    path = "/".join(quote(segment, safe="") for segment in segments)
    asked = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{request.scope.get('root_path', '')}/{path}" + (f"?{urlencode(asked)}" if asked else "")


def go_to(request: Request, *segments: str, **query: object) -> Response:
    """Sends the browser on to a page of ours after a change."""
    target = at(request, *segments, **query)
    if "hx-request" in request.headers:
        return Response(headers={"HX-Redirect": target})
    return RedirectResponse(target, HTTPStatus.SEE_OTHER)


def is_page(scope: Mapping[str, Any]) -> bool:
    """Whether a person asks, and not a program: all that is not REST."""
    return not _inner_path(scope).startswith("/api/")


def problem_page(request: Request, problem: Problem) -> HTMLResponse:
    """The refusal as a person may read it; whom Airflow does not know finds the way to its login."""
    answer = page(
        request,
        "problem.html",
        status=problem.status,
        title=HTTPStatus(problem.status).phrase,
        detail=shown(problem.detail),
        errors=[dict(error) for error in problem.errors],
        login=_login(request) if problem.status == HTTPStatus.UNAUTHORIZED else "",
    )
    answer.headers.update(problem.headers)
    return answer


def _login(request: Request) -> str:
    """Airflow's login, from which one comes back."""
    page_of = request.app.state.parts.host.page
    back = page_of(f"/plugin/{ROUTE}")
    return str(page_of(f"/api/v2/auth/login?{urlencode({'next': back})}"))


def _inner_path(scope: Mapping[str, Any]) -> str:
    """The path below the prefix that the app is mounted under."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def _headers(nonce: str) -> dict[str, str]:
    """Scripts are files of ours only; the editor makes its style sheets itself, which the nonce allows."""
    rules = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": f"'self' 'nonce-{nonce}'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'self'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in rules.items()),
        "Referrer-Policy": "same-origin",
    }
