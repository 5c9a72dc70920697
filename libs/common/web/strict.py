"""Unknown query parameters are refused, never ignored."""

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from libs.common.web.errors import ErrorItem, Invalid

_known: dict[int, frozenset[str]] = {}


def known_parameters(route: APIRoute) -> frozenset[str]:
    """Every query parameter that a route or its dependencies declare."""
    if id(route) not in _known:
        _known[id(route)] = frozenset(_names(route.dependant))
    return _known[id(route)]


def _names(dependant: Dependant) -> Iterator[str]:
    for field in dependant.query_params:
        model = getattr(field.field_info.annotation, "model_fields", None)
        if model:  # a model of parameters: each of its fields is one
            yield from (info.alias or name for name, info in model.items())
        else:
            yield field.alias
    for inner in dependant.dependencies:
        yield from _names(inner)


async def refuse_unknown_parameters(request: Request) -> None:
    """A dependency of every route."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    extra = sorted(set(request.query_params) - known_parameters(route))
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
