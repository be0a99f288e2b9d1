"""The web app as a whole, mounted in Airflow under `/imagesmith`: pages, and REST under `/api/v1` beside them."""

from collections.abc import Callable, MutableMapping
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import RedirectResponse

import imagesmith
from imagesmith.catalog.store import Catalog
from imagesmith.web.api import builds, clouds, generators, histories, images, proofs, searches, versions
from imagesmith.web.api.answers import ProblemShown
from imagesmith.web.door import GUARD, Door
from imagesmith.web.host import Host
from imagesmith.web.pages import builds as build_pages
from imagesmith.web.pages import clouds as cloud_pages
from imagesmith.web.pages import events, output, starts
from imagesmith.web.pages import generator as generator_page
from imagesmith.web.pages import generators as generator_pages
from imagesmith.web.pages import images as image_pages
from imagesmith.web.pages.frame import at, is_page, problem_page
from imagesmith.web.pages.static import STATIC, Files
from imagesmith.web.parts import REST, Parts
from imagesmith.web.problems import Problem, answer_with_problems
from imagesmith.web.shelf import Shelf

PREFIX = "/imagesmith"
# One file a resource. What is named later in a path stands before what is named more widely.
ROUTERS = (
    clouds.router,
    versions.router,
    generators.router,
    proofs.router,
    builds.router,
    histories.router,
    images.router,
    searches.router,
)
PAGES = (
    starts.router,
    generator_pages.router,
    generator_page.router,
    events.router,
    output.router,
    build_pages.router,
    image_pages.router,
    cloud_pages.router,
)

_DESCRIPTION = f"""Clouds, generators, builds and images of this deployment.

Send the bearer token of Airflow's `POST /auth/token`, or come with the cookie of Airflow's UI; writes by cookie need
the header `{GUARD.title()}`, of any value. Airflow's auth manager decides what you see and may do. Refusals are problem
documents (RFC 9457). Lists come in pages, with the others in `Link`."""


def create_app(host: Host, *, open_catalog: Callable[[], Catalog] = Catalog) -> Door:
    """The app behind its door; `host` is the Airflow it is mounted in."""
    # Without FastAPI's own pages, which load scripts from elsewhere.
    app = FastAPI(title="Imagesmith", version=imagesmith.__version__, openapi_url=None, docs_url=None, redoc_url=None)
    app.state.parts = Parts(host, Shelf(), open_catalog)
    rest = APIRouter(prefix=REST)
    for router in ROUTERS:
        rest.include_router(router)

    @rest.get("/openapi.json", tags=["document"], include_in_schema=False)
    def read_document(request: Request) -> dict[str, Any]:
        """The OpenAPI document of all this."""
        return {**document_of(app), "servers": [{"url": request.scope.get("root_path") or "/"}]}

    app.include_router(rest)
    _include_pages(app)

    def refuse(scope: MutableMapping[str, Any], problem: Problem) -> Response:
        # At the door the scope still names the app that ours is mounted in.
        return problem_page(Request({**scope, "app": app}), problem) if is_page(scope) else problem.response()

    answer_with_problems(app, refuse)
    return Door(app, host, refuse=refuse)


def _include_pages(app: FastAPI) -> None:
    for router in PAGES:
        app.include_router(router, include_in_schema=False)
    app.mount(f"/{STATIC}", Files())

    @app.get("/", include_in_schema=False)
    def first_page(request: Request) -> Response:
        """The generators: what one comes for."""
        return RedirectResponse(at(request, "generators"))


def document_of(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the app, with the two ways to say who one is."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=_DESCRIPTION,
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    problem = ProblemShown.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= {**problem.pop("$defs", {}), "ProblemShown": problem}
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": "_token"},
    }
    document["security"] = [{"bearer": []}, {"cookie": []}]
    return document
