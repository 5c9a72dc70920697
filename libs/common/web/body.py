"""Request bodies: counted while they are read, decoded without surprises."""

import asyncio
import json
import re
from typing import Any, NoReturn

import orjson
from fastapi import Request
from starlette.requests import ClientDisconnect

from libs.common.contracts.values import MAX_DEPTH
from libs.common.web.bodies import KEY, Holding
from libs.common.web.errors import BadRequest, TooLarge, UnsupportedMedia

_OPENING = re.compile(rb"[\[{]")


async def read_body(request: Request, limit: int, *, idle: float = 30) -> bytes:
    """The whole body, at most `limit` bytes, with at most `idle` seconds between its parts.

    It counts among the bodies that the process holds until the request is answered; raises
    `Unavailable`, if it can before anything is read, where there is no room for it."""
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise UnsupportedMedia(f"Content-Encoding {encoding} is not taken here")
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isascii() and declared.isdigit() else 0
    if size > limit:
        raise _too_large(limit)
    holding: Holding | None = request.scope.get(KEY)
    if holding is not None:
        holding.expect(size)
    return await _read(request, limit, idle, holding)


async def _read(request: Request, limit: int, idle: float, holding: Holding | None) -> bytes:
    body = bytearray()
    clock = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(idle) as patience:  # costs no task, as waiting for each would
            async for part in request.stream():
                patience.reschedule(clock.time() + idle)
                if len(body) + len(part) > limit:
                    raise _too_large(limit)
                if holding is not None:
                    holding.add(len(part))
                body += part
    except TimeoutError:
        raise BadRequest(f"nothing came for {idle:g} s", code="body_timeout") from None
    except ClientDisconnect:
        raise BadRequest("the client left", code="client_disconnected") from None
    return bytes(body)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"a body may have at most {limit} bytes")


def decode_json(body: bytes) -> Any:
    """Decoded JSON (RFC 8259); refuses NaN, lone surrogates, and what would exhaust a reader."""
    if len(_OPENING.findall(body)) > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        raise BadRequest(f"the body nests deeper than {MAX_DEPTH} levels", code="too_deep")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        _explain(body, error)
    return value


def _depth(body: bytes) -> int:
    """Greatest nesting, brackets inside strings left out."""
    depth = deepest = 0
    quoted = escaped = False
    for byte in body:
        if quoted:
            quoted, escaped = escaped or byte != 0x22, not escaped and byte == 0x5C
        elif byte == 0x22:
            quoted = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _explain(body: bytes, error: orjson.JSONDecodeError) -> NoReturn:
    """orjson is strict but terse: say where, and name the usual culprits."""
    try:
        json.loads(body, parse_constant=_constant)
    except json.JSONDecodeError as found:
        detail = f"not JSON: {found.msg} (line {found.lineno}, column {found.colno})"
    except ValueError as found:
        detail = f"not JSON: {found}"
    else:
        detail = f"not JSON: {error.msg}"
    raise BadRequest(detail, code="invalid_json") from None


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
