"""Who really asks, where a proxy that is known says so."""

from typing import cast

from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware


def behind(trusted: str, app: ASGIApp) -> ASGIApp:
    """`app`, told the address of the last hop that is none of the `trusted` proxies.

    From anybody else `X-Forwarded-For` and `X-Forwarded-Proto` are what a client claims.
    """
    return cast(ASGIApp, ProxyHeadersMiddleware(app, trusted))  # type: ignore[arg-type]
