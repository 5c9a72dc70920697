"""Commands under an `Idempotency-Key`: sent again within 24 h, they answer as they did.

Kept per tenant and service with a hash of method, path and body. Only successes are: what failed
changed nothing, and is tried anew.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.clock import Clock
from libs.common.db.idempotency import Answer, Idempotency, InProgress, KeyReused
from libs.common.web.auth import Principal
from libs.common.web.commands import HEADER, ModelT, command_body, documented, parsed_command
from libs.common.web.errors import Conflict, ErrorItem, Invalid

_PRINTABLE = re.compile(r"[!-~](?:[ -~]{0,198}[!-~])?")
_IN_PROGRESS = "a command with this Idempotency-Key is being carried out; send it again"
_REUSED = "this Idempotency-Key was used for another request within the last 24 h"
_PARAMETER = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Up to 200 printable ASCII characters. The same request under the same key has"
    " one effect and one answer for 24 h (`Idempotency-Replayed: true`); another request under it"
    " is 422 `idempotency_key_reused`, one that comes meanwhile 409 `in_progress`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
}


@dataclass(frozen=True, slots=True)
class Once:
    """A command's effect at most once; without a key, as often as it is sent."""

    clock: Clock
    held: Idempotency | None

    async def replay(self, tx: AsyncConnection) -> Response | None:
        """First thing in the command's transaction: the answer that was given already."""
        if self.held is None:
            return None
        try:
            told = await self.held.begin(tx, self.clock.now())
        except InProgress:
            raise Conflict(_IN_PROGRESS, code="in_progress", headers={"Retry-After": "1"}) from None
        except KeyReused:
            raise _bad_key(_REUSED, "idempotency_key_reused") from None
        if told is None:
            return None
        headers = {"Idempotency-Replayed": "true"}
        return Response(told.body, told.status, headers, media_type="application/json")

    async def keep(self, tx: AsyncConnection, answer: Response) -> Response:
        """Last thing in it: keep a success, and give it."""
        if self.held is not None:
            told = Answer(answer.status_code, bytes(answer.body))
            await self.held.end(tx, told, self.clock.now())
        return answer


async def command_once(
    request: Request, model: type[ModelT], schema: str, principal: Principal
) -> tuple[ModelT, Once]:
    """The command in a request's body, and what makes it happen once; `schema` is the service's."""
    key = _key(request)
    body = await command_body(request)
    wanted, clock = parsed_command(body, model), request.app.state.clock
    if key is None:
        return wanted, Once(clock, None)
    return wanted, Once(clock, Idempotency(schema, principal.tenant_id, key, _hash(request, body)))


def documented_once(model: type[BaseModel]) -> dict[str, Any]:
    """OpenAPI of a command that takes the key."""
    return documented(model) | {"parameters": [_PARAMETER]}


def _key(request: Request) -> str | None:
    given = request.headers.getlist(HEADER)
    if not given:
        return None
    if len(given) > 1 or not _PRINTABLE.fullmatch(given[0]):
        raise _bad_key("must be one value of 1 to 200 printable ASCII characters")
    return given[0]


def _hash(request: Request, body: bytes) -> bytes:
    line = f"{request.method} {request.url.path}\n".encode("utf-8", "surrogateescape")
    return hashlib.sha256(line + body).digest()


def _bad_key(detail: str, code: str = "invalid_parameter") -> Invalid:
    return Invalid(detail, code=code, errors=[ErrorItem(detail, code, parameter=HEADER)])
