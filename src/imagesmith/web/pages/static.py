"""Style sheet, scripts and pictures of the pages: kept by browsers for as long as their content is the same."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STATIC = "static"
FOLDER = Path(__file__).parent.parent / "static"
YEAR_S = 365 * 24 * 3600


@cache
def version_of(name: str) -> str:
    """Changes with the file's content."""
    return hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()[:12]


class Files(StaticFiles):
    """The folder's files; one that is asked for in its present version is never asked for again."""

    def __init__(self) -> None:
        super().__init__(directory=FOLDER)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, with how long it may be kept."""
        answer = await super().get_response(path, scope)
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("v", [""])[0]
        known = answer.status_code in (200, 304) and asked == version_of(path)
        answer.headers["Cache-Control"] = f"public, max-age={YEAR_S}, immutable" if known else "no-cache"
        return answer
