"""Every failure of a request as a problem document, those of the framework included."""

from collections.abc import Sequence

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from libs.common.db.errors import DatabaseUnavailable, is_transient, sqlstate
from libs.common.web.errors import (
    AppError,
    BadRequest,
    ErrorItem,
    Invalid,
    MethodNotAllowed,
    NotFound,
    Unavailable,
)

log = structlog.get_logger()
_QUERY_CANCELED = "57014"


def install(app: FastAPI) -> None:
    """Register the handlers; what nobody expected is caught by `RequestContext`."""
    app.add_exception_handler(AppError, _app_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(DatabaseUnavailable, unexpected)


def response(request: Request, error: AppError) -> Response:
    """The problem document of `error`."""
    trace_id = getattr(request.state, "trace_id", "")
    body = error.as_json(request.url.path, trace_id)
    return Response(
        orjson.dumps(body), error.status, error.headers, media_type="application/problem+json"
    )


async def _app_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)  # noqa: S101  # by registration
    return response(request, error)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # by registration
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return response(request, BadRequest("the body is not JSON", code="invalid_json"))
    items = [_item(fault["loc"], fault["msg"], fault["type"]) for fault in faults]
    return response(request, Invalid("the request does not fit its contract", errors=items))


_CODES = {"missing": "missing_field", "extra_forbidden": "unknown_field"}


def _item(loc: Sequence[object], message: str, kind: str) -> ErrorItem:
    code = _CODES.get(kind, "invalid_field")
    detail = message.removeprefix("Value error, ")
    if loc and loc[0] == "body":
        pointer = "".join(f"/{_escape(str(part))}" for part in loc[1:])
        return ErrorItem(detail, code, pointer=pointer)
    parameter = str(loc[1]) if len(loc) > 1 else str(loc[0])
    return ErrorItem(detail, code.replace("_field", "_parameter"), parameter=parameter)


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # by registration
    if error.status_code == 404:
        return response(request, NotFound("there is nothing at this path"))
    if error.status_code == 405:
        allow = ", ".join(sorted(allowed_methods(request)))
        problem = MethodNotAllowed(f"this path takes {allow}", headers={"Allow": allow})
        return response(request, problem)
    problem_of = AppError(str(error.detail), code="http_error", headers=error.headers)
    problem_of.status, problem_of.title = error.status_code, str(error.detail)
    return response(request, problem_of)


def allowed_methods(request: Request) -> set[str]:
    """Methods of every route that the path matches, not only of the first one."""
    found: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        path, methods = getattr(route, "path", None), getattr(route, "methods", None)
        if path and methods and compile_path(path)[0].match(request.url.path):
            found |= set(methods)
    return found


async def unexpected(request: Request, error: Exception) -> Response:
    """The problem of a failure that no code foresaw: logged, and told without its details."""
    if sqlstate(error) == _QUERY_CANCELED:
        detail = "the question took too long; ask for less at once"
        return response(request, Unavailable(detail, retry_after=5, code="query_timeout"))
    if is_transient(error):
        log.warning("database_unavailable", error=error)
        detail = "the database does not answer; try again"
        return response(request, Unavailable(detail, retry_after=2, code="database_unavailable"))
    log.error("request_failed", exc_info=error)
    return response(request, AppError("something went wrong on our side; it has been logged"))
