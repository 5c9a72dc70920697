"""Query parameters that are unknown, no text, or given twice where one counts: refused."""

from collections.abc import Iterator
from typing import Any, get_args, get_origin
from urllib.parse import unquote_to_bytes

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from libs.common.web.errors import ErrorItem, Invalid

_known: dict[int, dict[str, bool]] = {}


class AnyParameters(APIRoute):
    """A route that others call as they like, such as a CRM: its query is read, never judged."""


def known_parameters(route: APIRoute) -> dict[str, bool]:
    """Every query parameter of a route or its dependencies; whether it may be repeated."""
    if id(route) not in _known:
        _known[id(route)] = dict(_parameters(route.dependant))
    return _known[id(route)]


def _parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    for field in dependant.query_params:
        annotation = field.field_info.annotation
        model = getattr(annotation, "model_fields", None)
        if model:  # a model of parameters: each of its fields is one
            for name, info in model.items():
                yield info.alias or name, _is_list(info.annotation)
        else:
            yield field.alias, _is_list(annotation)
    for inner in dependant.dependencies:
        yield from _parameters(inner)


def _is_list(annotation: Any) -> bool:
    return any(get_origin(part) is list for part in (annotation, *get_args(annotation)))


async def refuse_unknown_parameters(request: Request) -> None:
    """A dependency of every route."""
    if not request.scope["query_string"]:
        return
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or isinstance(route, AnyParameters):
        return
    _refuse_no_text(request)
    _refuse_repeated(request, route)
    extra = sorted(request.query_params.keys() - known_parameters(route).keys())
    if extra:
        known = ", ".join(sorted(known_parameters(route))) or "none"
        raise Invalid(
            f"unknown query parameters: {', '.join(extra)}",
            code="unknown_parameter",
            errors=[
                ErrorItem(f"this path takes {known}", "unknown_parameter", parameter=name)
                for name in extra
            ],
        )


def _refuse_no_text(request: Request) -> None:
    """Read with replacement characters, different questions would be one."""
    try:
        unquote_to_bytes(request.scope["query_string"]).decode()
    except UnicodeDecodeError:
        raise Invalid("the query must be UTF-8, percent-encoded", code="invalid_encoding") from None


def _refuse_repeated(request: Request, route: APIRoute) -> None:
    single = [name for name, many in known_parameters(route).items() if not many]
    for name in single:
        if len(request.query_params.getlist(name)) > 1:
            code = "repeated_parameter"
            item = ErrorItem("may be given once", code, parameter=name)
            raise Invalid(f"{name} may be given once", code=code, errors=[item])
