"""One small document from an address that the operator has set: no redirects, no proxies."""

import asyncio
import ssl
from functools import cache

import httpx

from libs.common.settings import secure_url

MAX_BYTES = 64 * 1024
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}


class NotFetched(Exception):
    """The document could not be had; the message says why."""


async def fetched(url: str, seconds: float) -> bytes:
    """The body of a 200, at most `MAX_BYTES`, all within `seconds`; else `NotFetched`."""
    try:
        secure_url(url)
        async with asyncio.timeout(seconds):
            return await _body(url, seconds)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:  # and timeouts
        raise NotFetched(f"{url}: {error!r}") from error


async def _body(url: str, seconds: float) -> bytes:
    body = bytearray()
    async with (
        httpx.AsyncClient(
            verify=await asyncio.to_thread(_certificates), trust_env=False, timeout=seconds
        ) as http,
        http.stream("GET", url, headers=_HEADERS, follow_redirects=False) as answer,
    ):
        if answer.status_code != httpx.codes.OK:
            raise NotFetched(f"{url} answered {answer.status_code}")
        async for piece in answer.aiter_raw():
            body += piece
            if len(body) > MAX_BYTES:
                raise NotFetched(f"{url} answered more than {MAX_BYTES} bytes")
    return bytes(body)


@cache
def _certificates() -> ssl.SSLContext:
    """The machine's roots, so that an organisation's own count, and those that httpx brings."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context
