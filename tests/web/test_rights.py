"""Every route is closed to whom Airflow does not know, and to each his own rights."""

from __future__ import annotations

import re
from typing import Any

import pytest

from imagesmith.catalog.records import BuildState
from imagesmith.core import TargetState
from imagesmith.web.parts import REST

from .conftest import TOOLS, Web
from .fake_host import STRANGER, VIEWER

# Something that is there for each kind of name in a path.
NAMES = {"cloud": "ec2", "name": "tools", "generator": "tools", "version": "current", "step": "customize"}


def routes(web: Web, **names: str) -> list[tuple[str, str]]:
    """Method and path of each route of REST, those that its document leaves out included."""
    return [(method, path[len(REST) :]) for method, path in _all_routes(web, names) if path.startswith(REST)]


def page_routes(web: Web, **names: str) -> list[tuple[str, str]]:
    """Method and path of each route of the pages."""
    return [(method, path) for method, path in _all_routes(web, names) if not path.startswith(REST)]


def _all_routes(web: Web, names: dict[str, str]) -> list[tuple[str, str]]:
    app: Any = web.client.app
    ours = app.routes[0].app._app
    found = []
    for route in _leaves(ours.routes):
        path = re.sub(r"{(\w+)(:path)?}", lambda match: {**NAMES, **names}[match[1]], route.path)
        image = f"ec2/{names.get('image_id')}"
        path += f"?before={image}&after={image}" if path.endswith(("v1/diff", "/compare")) else ""
        path += "?at=0" if path.endswith("/events") else ""
        path += "?package=openssl" if path.endswith("/search") else ""
        path += "?old=current" if path.endswith("/diff") else ""
        found += [(method, path) for method in sorted(route.methods - {"HEAD"})]
    return found


def _leaves(routes: Any) -> Any:
    for route in routes:
        below = getattr(route, "routes", None)
        if below:
            yield from _leaves(below)
        elif hasattr(route, "methods"):
            yield route


def everything(web: Web) -> list[tuple[str, str]]:
    """All routes of REST, with names of what is there."""
    return routes(web, **what_is_there(web))


def what_is_there(web: Web) -> dict[str, str]:
    build_id = web.built(state=BuildState.FAILED, ec2=TargetState.SUCCESSFUL, hotel=TargetState.FAILED)
    web.host.tries["ec2.customize"] = 1
    return {"build_id": build_id, "image_id": f"img-ec2-{build_id}", "run_id": "manual__of_0"}


def body_of(method: str, path: str) -> dict[str, Any]:
    """What makes the request one that would do something."""
    if path.endswith("/file") and method == "PUT":
        return {"content": TOOLS.encode(), "headers": {"Content-Type": "application/yaml", "If-Match": "*"}}
    bodies = {
        "/generators": {"name": "new", "yaml": TOOLS.replace("name: tools", "name: new")},
        "/builds": {"generator": "tools"},
        "/clouds/ec2/listings": {"search": "debian"},
    }
    bodies[path] = {} if path.endswith("/rebuild") else bodies.get(path, {"yaml": TOOLS})
    body = {"json": bodies[path]} if method in ("POST", "PUT") else {}
    return {**body, "headers": {"If-Match": "*"}}


def test_the_walk_finds_the_routes(web: Web) -> None:
    found = everything(web)
    assert len(found) >= 20
    assert {("PUT", "/generators/tools"), ("GET", "/openapi.json"), ("POST", "/builds")} <= set(found)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer nobody"}, {"Authorization": "Basic YW5uOmFubg=="}, {"Cookie": "_token=nobody"}],
)
def test_nobody_unknown_gets_through_any_route(web: Web, headers: dict[str, str]) -> None:
    before = web.file("tools").read_bytes()
    for method, path in [*everything(web), ("GET", "/nothing"), ("TRACE", "/builds")]:
        more = body_of(method, path)
        answer = web.ask(method, path, user=None, **{**more, "headers": {**more["headers"], **headers}})
        assert answer.status_code == 401, (method, path)
        assert answer.headers["content-type"] == "application/problem+json"
    assert (web.host.calls, web.file("tools").read_bytes()) == ([], before)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nobody"}, {"Cookie": "_token=nobody"}])
def test_nobody_unknown_gets_any_page_but_the_way_to_the_login(web: Web, headers: dict[str, str]) -> None:
    before = web.file("tools").read_bytes()
    found = page_routes(web, **what_is_there(web))
    assert {("GET", "/"), ("GET", "/generators"), ("GET", "/clouds")} <= set(found)
    for method, path in [*found, ("GET", "/nothing")]:
        answer = web.page(path, method=method, user=None, headers=headers)
        assert answer.status_code == 401, (method, path)
        assert "http://airflow/api/v2/auth/login?next=http%3A%2F%2Fairflow%2Fplugin%2Fimagesmith" in answer.text
        assert "tools" not in answer.text
    assert (web.host.calls, web.file("tools").read_bytes()) == ([], before)


def test_a_viewer_sees_every_page_and_changes_nothing(web: Web) -> None:
    before = web.file("tools").read_bytes()
    for method, path in page_routes(web, **what_is_there(web)):
        answer = web.page(path, method=method, user=VIEWER)
        if path.endswith(("/tests", "/listings")):
            assert answer.status_code == 200  # that he may not start this DAG is for Airflow to say
        elif method == "POST":
            assert answer.status_code == 403, (method, path, answer.text)
        else:
            later = "/tests/" in path or "/listings/" in path
            asked_for = 404 if later else 303 if path.startswith("/runs/") else 307 if path == "/" else 200
            changing = path.endswith(("/_new", "/delete", "/build", "/rebuild"))
            assert answer.status_code == (403 if changing else asked_for), (method, path, answer.text)
    assert web.file("tools").read_bytes() == before
    assert {call[1] for call in web.host.calls if "_cloud/" not in call[2]} <= {"GET"}


def test_who_may_see_nothing_sees_nothing_on_pages(web: Web) -> None:
    for method, path in page_routes(web, **what_is_there(web)):
        answer = web.page(path, method=method, user=STRANGER)
        assert answer.status_code in (200, 307, 403, 404), (method, path, answer.text)
        assert "t3.small" not in answer.text and "apt-get" not in answer.text


def test_a_viewer_reads_everything_and_changes_nothing(web: Web) -> None:
    before = web.file("tools").read_bytes()
    for method, path in everything(web):
        answer = web.ask(method, path, user=VIEWER, **body_of(method, path))
        if method == "GET":
            assert answer.status_code == (404 if "/tests/" in path or "/listings/" in path else 200), (
                method,
                path,
                answer.text,
            )
        elif path.endswith(("/tests", "/listings")):
            # That he may not start this DAG is for Airflow to say.
            assert answer.status_code == 202
        else:
            assert answer.status_code == 403, (method, path, answer.text)
    assert web.file("tools").read_bytes() == before
    assert not web.file("new").exists()
    assert {call[1] for call in web.host.calls if "_cloud/" not in call[2]} <= {"GET"}


def test_who_may_see_nothing_sees_nothing(web: Web) -> None:
    for method, path in everything(web):
        answer = web.ask(method, path, user=STRANGER, **body_of(method, path))
        if path.partition("?")[0] in ("/generators", "/builds", "/images", "/search") and method == "GET":
            assert answer.json() | {"uncompared": []} == {"items": [], "total": 0, "uncompared": []}
        elif path != "/openapi.json":
            assert answer.status_code in (403, 404), (method, path, answer.text)
            assert "t3.small" not in answer.text


def test_a_generator_that_is_not_for_all_is_not_there_for_others(web: Web) -> None:
    secret, open_ = web.built("secret-tools"), web.built()
    image = f"/images/ec2/img-ec2-{secret}"
    for path in ("/generators/secret-tools", f"/builds/{secret}", image, "/runs/secret-tools/manual__of_0"):
        assert web.ask("GET", path).status_code == 200
        problem = web.json(path, user=VIEWER, status=404)
        absent = web.json(path.replace("secret-tools", "absent").replace(secret, "x"), user=VIEWER, status=404)
        assert {**problem, "detail": ""} == {**absent, "detail": ""}
    assert "secret-tools" not in web.ask("GET", f"/builds/{secret}", user=VIEWER).text
    for path in ("/generators", "/builds", "/images"):
        shown = web.ask("GET", path, user=VIEWER)
        assert "secret-tools" not in shown.text
        assert shown.json()["total"] == 1
    assert web.json(f"/builds/{open_}", user=VIEWER)["build_id"] == open_
    assert web.ask("POST", "/builds", user=VIEWER, json={"generator": "secret-tools"}).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Requested-With": "page", "Sec-Fetch-Site": "cross-site"},
        {"X-Requested-With": "page", "Sec-Fetch-Site": "same-site"},
        {"X-Requested-With": "page", "Origin": "https://elsewhere.example"},
        {"X-Requested-With": "page", "Origin": "null"},
    ],
)
def test_another_sites_page_writes_nothing(web: Web, headers: dict[str, str]) -> None:
    by_cookie = {"Cookie": "_token=ann", **headers}
    answer = web.ask("POST", "/builds", user=None, json={"generator": "tools"}, headers=by_cookie)
    assert (answer.status_code, web.host.calls) == (403, [])


@pytest.mark.parametrize("origin", ["http://testserver", "https://airflow.example"])
def test_our_own_page_writes(web: Web, origin: str) -> None:
    headers = {"Cookie": "_token=ann", "X-Requested-With": "page", "Sec-Fetch-Site": "same-origin", "Origin": origin}
    assert web.ask("POST", "/builds", user=None, json={"generator": "tools"}, headers=headers).status_code == 202


def test_a_form_of_our_own_page_needs_no_script(web: Web) -> None:
    by_cookie = {"Cookie": "_token=ann"}
    wanted = {"json": {"generator": "tools"}}
    answer = web.ask("POST", "/builds", user=None, headers={**by_cookie, "Origin": "http://testserver"}, **wanted)
    assert answer.status_code == 202
    foreign = {**by_cookie, "Origin": "http://testserver", "Sec-Fetch-Site": "cross-site"}
    assert web.ask("POST", "/builds", user=None, headers=foreign, **wanted).status_code == 403
    assert web.ask("POST", "/builds", user=None, headers={**by_cookie, "Origin": ""}, **wanted).status_code == 403
