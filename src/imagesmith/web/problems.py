"""What a request is refused with: problem documents (RFC 9457), each naming the thing and the cure.

No input is echoed but what is needed to name a thing, and that on one line, with all that could act written as escapes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from imagesmith.errors import BuildStateError, DefinitionError, ImagesmithError, QuestionRefused, SetupError, Transient
from imagesmith.findings import Finding, on_one_line

MEDIA_TYPE = "application/problem+json"
LONGEST_DETAIL = 2_000
MOST_MISTAKES = 100
log = logging.getLogger(__name__)


class Problem(Exception):
    """A refusal. `errors` are mistakes, each with its field; `extra` are further members of the document."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.errors, self.extra, self.headers = errors, extra or {}, headers or {}

    def document(self) -> dict[str, Any]:
        """The problem as JSON shows it."""
        document: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": shown(self.detail),
            **self.extra,
        }
        if self.errors:
            document["errors"] = [dict(error) for error in self.errors[:MOST_MISTAKES]]
        return document

    def response(self) -> JSONResponse:
        """The same as an answer."""
        return JSONResponse(self.document(), self.status, headers=dict(self.headers), media_type=MEDIA_TYPE)


# How a refusal of the request in that scope is answered.
Refuse = Callable[[MutableMapping[str, Any], Problem], Response]


def shown(text: str) -> str:
    """The text as it may be shown: line by line, without what a terminal would act on, and not without end."""
    lines = "\n".join(on_one_line(line) for line in text.split("\n"))
    return lines if len(lines) <= LONGEST_DETAIL else f"{lines[:LONGEST_DETAIL]}…"


def mistake(field: str, message: str, cure: str = "") -> dict[str, Any]:
    """One mistake in a request; `field` is dotted."""
    return {"field": shown(field), "message": shown(message), "cure": shown(cure)}


def refused_field(status: int, field: str, message: str, cure: str) -> Problem:
    """A refusal because of one field."""
    return Problem(status, f"{field}: {message}; {cure}", errors=[mistake(field, message, cure)])


def of_finding(finding: Finding) -> dict[str, Any]:
    """A mistake in a generator's file, with its place there."""
    return {"file": finding.file, "line": finding.line, **mistake(finding.key, finding.message, finding.cure)}


def not_found(what: str) -> Problem:
    """The answer for what is not there, and for what the caller may not see."""
    return Problem(404, f"there is no {what}, or none that you may see")


def forbidden(what: str) -> Problem:
    """The answer for what Airflow's auth manager does not allow."""
    return Problem(403, f"Airflow does not let you {what}; ask its administrator for the right")


_STATUS: Sequence[tuple[type[ImagesmithError], int]] = (
    (DefinitionError, 422),
    (QuestionRefused, 422),
    (BuildStateError, 409),
    (SetupError, 503),
    (Transient, 503),
)


def of_error(error: ImagesmithError) -> Problem:
    """Our own errors as an answer: whose message names thing and cure already."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return Problem(status, str(error), headers={"Retry-After": "5"} if isinstance(error, Transient) else None)


def answer_with_problems(app: FastAPI, refuse: Refuse) -> None:
    """Every refusal of the app, and every fault of ours, answered by `refuse`."""

    @app.exception_handler(Problem)
    def refused(request: Request, error: Problem) -> Response:
        return refuse(request.scope, error)

    @app.exception_handler(ImagesmithError)
    def ours(request: Request, error: ImagesmithError) -> Response:
        return refuse(request.scope, of_error(error))

    @app.exception_handler(HTTPException)
    def plain(request: Request, error: HTTPException) -> Response:
        return refuse(request.scope, Problem(error.status_code, str(error.detail), headers=error.headers))

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        errors = [mistake(_field(each), each["msg"]) for each in error.errors()[:MOST_MISTAKES]]
        said = "; ".join(f"{each['field']}: {each['message']}" for each in errors[:5])
        return refuse(request.scope, Problem(422, said, errors=errors))

    @app.exception_handler(Exception)
    def fault(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, on_one_line(request.url.path), exc_info=error)
        said = "this is a fault of Imagesmith's; the API server's log has the details"
        return refuse(request.scope, Problem(500, said))


def _field(error: Mapping[str, Any]) -> str:
    loc = error["loc"]
    if error["type"] == "json_invalid":  # then its second part is a position
        return str(loc[0])
    # Without the part of the request, but for the body as a whole.
    return ".".join(map(str, loc[1:])) or str(loc[0])
