"""The same question to every service, each answered by one of its API processes."""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from libs.common.process.commands import COMMANDS
from libs.common.web.errors import AppError
from services.standalone.gateway.fleet import Fleet
from services.standalone.gateway.forward import Forwarder, GatewayTimeout

ANSWER_SECONDS = 15.0
"""One service that does not answer must not keep what the others have told."""
Told = Mapping[str, Any]
Answer = Told | Response | AppError
"""What a service told; or what it refused, in its words; or why it does not answer."""


async def ask_all(fleet: Fleet, forwarder: Forwarder, request: Request) -> Mapping[str, Answer]:
    """Ask with the credential of who asks."""
    asked = [_ask(fleet, forwarder, request, name) for name in COMMANDS]
    return dict(zip(COMMANDS, await asyncio.gather(*asked), strict=True))


async def _ask(fleet: Fleet, forwarder: Forwarder, request: Request, service: str) -> Answer:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            upstream = await forwarder.ask(request, fleet.apis(service))
            body = await upstream.aread()
    except AppError as error:
        return error
    except TimeoutError:
        return GatewayTimeout(f"no answer within {ANSWER_SECONDS:g} s")
    if upstream.status_code != 200:
        kind = upstream.headers.get("content-type")
        return Response(body, upstream.status_code, media_type=kind)
    told: Told = upstream.json()
    return told


def refusal(answers: Mapping[str, Answer]) -> Response | None:
    """What the first service that refuses says."""
    return next((answer for answer in answers.values() if isinstance(answer, Response)), None)
