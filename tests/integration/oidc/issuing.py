"""An issuer on loopback: its configuration and its keys, or whatever a test has it say instead."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from libs.common.web.serve import listen, listening
from tests.integration.oidc.minting import jwks


@dataclass
class Issuing:
    """`answers` by path: a JSON value, bytes, or a whole response; what is missing is 404."""

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    away: bool = False
    headers: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        self.headers.append(dict(request.headers))
        told = self.answers.get(request.url.path)
        if self.away or told is None:
            return Response(status_code=503 if self.away else 404)
        if isinstance(told, Response):
            return told
        return Response(told if isinstance(told, bytes) else json.dumps(told))


@asynccontextmanager
async def issuing() -> AsyncIterator[Issuing]:
    """Serves `/jwks` and a configuration that leads there."""
    issuer, stop = Issuing(), asyncio.Event()
    app = Starlette(routes=[Route("/{path:path}", issuer.answer)])
    async with listening(app, listen("127.0.0.1", 0), stop) as port:
        issuer.url = f"http://127.0.0.1:{port.number}"
        place = "/.well-known/openid-configuration"
        issuer.answers = {
            "/jwks": jwks(),
            place: {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/jwks"},
        }
        yield issuer
