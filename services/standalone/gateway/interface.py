"""`/openapi.json` and `/docs` of the installation: what one process with everything answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from libs.common.web.errors import AppError, Unavailable
from libs.common.web.factory import PRODUCT
from libs.common.web.problems import response
from services.standalone.gateway.asked import Told, ask_all, refusal
from services.standalone.gateway.fleet import Fleet
from services.standalone.gateway.forward import RETRY_AFTER, Forwarder

DOCUMENT = "/openapi.json"


class Interface:
    """Joins what the services that run say of themselves: whole, or not at all."""

    def __init__(self, fleet: Fleet, forwarder: Forwarder) -> None:
        self._fleet, self._forwarder = fleet, forwarder

    async def document(self, request: Request) -> Response:
        answers = await ask_all(self._fleet, self._forwarder, request)
        if refused := refusal(answers):
            return refused
        if silent := [name for name, told in answers.items() if isinstance(told, AppError)]:
            detail = f"no process answers for a part of the document: {', '.join(silent)}"
            return response(request, Unavailable(detail, retry_after=RETRY_AFTER))
        return JSONResponse(joined([told for told in answers.values() if isinstance(told, dict)]))

    async def page(self, request: Request) -> HTMLResponse:
        return get_swagger_ui_html(openapi_url=DOCUMENT, title=f"{PRODUCT} - Swagger UI")


def joined(told: Sequence[Told]) -> dict[str, Any]:
    """One document of several. A schema's name means the same in each; a test holds that."""
    info = {**told[0]["info"], "title": PRODUCT}
    components = [one.get("components", {}) for one in told]
    kinds = dict.fromkeys(kind for one in components for kind in one)
    return {
        **told[0],
        "info": info,
        "paths": _union(one["paths"] for one in told),
        "components": {kind: _union(one.get(kind, {}) for one in components) for kind in kinds},
    }


def _union(parts: Any) -> Mapping[str, Any]:
    return {name: value for part in parts for name, value in part.items()}
