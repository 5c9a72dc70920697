"""The keys that the issuer signs with now: fetched in the background, kept while it is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import jwt
import structlog

from libs.common import metrics
from libs.common.clock import Clock
from libs.common.oidc.fetching import NotFetched, fetched
from libs.common.oidc.keys import Keys, object_of, parsed_keys
from libs.common.oidc.trusted import IssuerAway, Trusted

FETCH_SECONDS = 5.0
WAIT_SECONDS = 1.0
"""For a request: what follows has to fit into its 4 s too."""
REFRESH_SECONDS = 300.0
ASK_SECONDS = 30.0
"""Between two fetches, however many unknown keys are named meanwhile; also after a failure."""
KEPT_SECONDS = 24 * 3600.0
_log = structlog.get_logger()


class Issuer:
    """Answers keys by their ids. Few requests ever wait: those that name a key not known yet."""

    def __init__(self, trusted: Trusted, clock: Clock) -> None:
        self._trusted, self._clock = trusted, clock
        self._keys: Keys = {}
        self._fetched_at = self._asked_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None
        self._away = True

    @asynccontextmanager
    async def kept_fresh(self) -> AsyncIterator[None]:
        """Fetches now and again until the end."""
        keeping = asyncio.create_task(self._keep(), name="oidc-keys")
        try:
            yield
        finally:
            tasks = [task for task in (keeping, self._asking) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def key(self, kid: str) -> jwt.PyJWK | None:
        """The key of this id, `None` where the issuer has none; else `IssuerAway`."""
        if kid not in self._usable() and self._may_ask():
            await asyncio.wait({self._ask()}, timeout=WAIT_SECONDS)
        found = self._usable().get(kid)
        if found is None and (self._away or self._asking is not None):
            raise IssuerAway
        return found

    def _usable(self) -> Keys:
        fresh = self._clock.monotonic() - self._fetched_at < KEPT_SECONDS
        return self._keys if fresh else {}

    def _may_ask(self) -> bool:
        waited = self._clock.monotonic() - self._asked_at >= ASK_SECONDS
        return waited or self._asking is not None

    def _ask(self) -> asyncio.Task[None]:
        """One fetch at a time; who comes meanwhile waits for the same."""
        if self._asking is None:
            self._asked_at = self._clock.monotonic()
            self._asking = asyncio.create_task(self._refresh(), name="oidc-fetch")
        return self._asking

    async def _keep(self) -> None:
        while True:
            await asyncio.wait({self._ask()})
            await asyncio.sleep(ASK_SECONDS if self._away else REFRESH_SECONDS)

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                self._keys = parsed_keys(await self._document())
            self._fetched_at, self._away = self._clock.monotonic(), False
        except (NotFetched, ValueError, TimeoutError) as error:
            self._away = True
            _log.warning("oidc_keys_not_fetched", error=error, usable=len(self._usable()))
        finally:
            self._asking = None
            metrics.OIDC_FETCHES.labels("failed" if self._away else "fetched").inc()

    async def _document(self) -> bytes:
        """The JWK set, from where the settings or the issuer's own configuration say it is."""
        if self._trusted.jwks_url:
            return await fetched(self._trusted.jwks_url, FETCH_SECONDS)
        place = self._trusted.issuer.rstrip("/") + "/.well-known/openid-configuration"
        told = object_of(await fetched(place, FETCH_SECONDS))
        if told.get("issuer") != self._trusted.issuer:
            raise ValueError("the configuration is of another issuer")
        keys_url = told.get("jwks_uri")
        if not isinstance(keys_url, str):
            raise ValueError("the configuration names no jwks_uri")
        return await fetched(keys_url, FETCH_SECONDS)
