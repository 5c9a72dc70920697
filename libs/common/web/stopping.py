"""How an answer that has no end of its own learns that its server is about to stop."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

_KEY = "headway.stopping"


def telling(app: ASGIApp, stop: asyncio.Event) -> ASGIApp:
    """`app`, whose requests can find `stop`."""

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        scope[_KEY] = stop
        await app(scope, receive, send)

    return told


def stopping_of(scope: Scope) -> asyncio.Event:
    """Set once the server takes no more requests and waits for those that are open.

    Without a server that tells, it is never set.
    """
    stop: asyncio.Event = scope.get(_KEY) or asyncio.Event()
    return stop
