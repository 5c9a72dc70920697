"""What a credential may ask for, and what guessing meets; without a database."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import Request
from prometheus_client import REGISTRY

from libs.common.clock import FakeClock
from libs.common.settings import CommonSettings
from libs.common.web.errors import AppError, Unauthorized, Unavailable
from libs.common.web.limits import Limits, limits_of, no_limits
from libs.common.web.quota_headers import told

MINUTE = timedelta(seconds=60)


@dataclass(frozen=True)
class Who:
    tenant_id: str
    actor: str


def key(number: int, ending: str = "right") -> str:
    return f"Bearer hw_{number:012d}_{ending}"


class Door:
    """Limits before a look-up that counts how often it is asked."""

    def __init__(self, **settings: Any) -> None:
        self.clock = FakeClock(datetime(2026, 3, 2, tzinfo=UTC))
        self.limits: Limits = limits_of(CommonSettings(**settings), self.clock)
        self.looked_up = 0
        self.down = False

    async def _authenticate(self, given: str | None) -> Who:
        self.looked_up += 1
        if self.down:
            raise Unavailable("away", retry_after=2)
        if given is None or not given.endswith("_right"):
            raise Unauthorized
        return Who("acme", given)

    async def ask(self, given: str | None, address: str = "203.0.113.9") -> tuple[int, Any]:
        headers = [] if given is None else [(b"authorization", given.encode())]
        scope = {"type": "http", "headers": headers, "client": (address, 1)}
        try:
            await self.limits.proven(Request(scope), self._authenticate)
        except AppError as error:
            return error.status, error.headers
        return 200, dict(told(scope))

    async def status(self, given: str | None, address: str = "203.0.113.9") -> int:
        return (await self.ask(given, address))[0]


def counted(limit: str) -> float:
    labels = {"limit": limit, "outcome": "refused"}
    return REGISTRY.get_sample_value("headway_limited_total", labels) or 0


async def test_guessing_from_one_address_ends_before_the_database() -> None:
    door, before = Door(), counted("failed_address")
    assert [await door.status(key(n, "wrong")) for n in range(30)] == [401] * 30
    for given in (key(99, "wrong"), key(98), "Bearer nonsense"):
        status, headers = await door.ask(given)
        assert (status, headers["Retry-After"]) == (429, "60")
        assert headers["RateLimit"] == '"failed-credentials";r=0;t=60'
        assert headers["RateLimit-Policy"] == '"failed-credentials";q=30;w=60'
    assert (door.looked_up, counted("failed_address")) == (30, before + 3)
    assert await door.status(key(99, "wrong"), "203.0.113.10") == 401, "addresses are apart"
    door.clock.advance(MINUTE)
    assert await door.status(key(98)) == 200


async def test_guessing_one_key_from_many_addresses_ends_too() -> None:
    door, before = Door(), counted("failed_key_id")
    for n in range(30):
        assert await door.status(key(7, f"wrong{n}"), f"198.51.100.{n}") == 401
    assert await door.status(key(7, "wrong"), "192.0.2.1") == 429
    assert counted("failed_key_id") == before + 1
    assert await door.status(key(8), "192.0.2.1") == 200, "key ids are apart"


async def test_who_has_proven_himself_goes_on_beside_somebody_who_guesses() -> None:
    door = Door()
    assert await door.status(key(7)) == 200
    for n in range(40):
        await door.status(key(7, f"wrong{n}"))
    assert await door.status(key(7)) == 200
    assert await door.status(key(8)) == 429, "a new one behind that address waits"
    assert await door.status(key(8), "192.0.2.1") == 200


async def test_a_credential_that_is_no_longer_good_counts_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    door = Door()
    assert await door.status(key(7)) == 200

    async def revoked(_: str | None) -> Who:
        raise Unauthorized

    monkeypatch.setattr(door, "_authenticate", revoked)
    statuses = [await door.status(key(7)) for _ in range(31)]
    assert statuses == [401] * 30 + [429]


async def test_none_at_all_and_a_database_that_is_away_are_no_guesses() -> None:
    door = Door()
    assert [await door.status(None) for _ in range(40)] == [401] * 40
    door.down = True
    assert [await door.status(key(n)) for n in range(40)] == [503] * 40
    door.down = False
    assert await door.status(key(1)) == 200


async def test_neither_addresses_nor_keys_fill_the_memory() -> None:
    door = Door()
    for n in range(12_000):
        await door.status(key(n, "wrong"), f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")
        await door.status(key(n), f"11.{n >> 16}.{n >> 8 & 255}.{n & 255}")
    kept = door.limits.failures
    held = [len(windows) for windows in kept._failing.values()] + [len(kept._proven)]
    assert held == [10_000] * 3


async def test_requests_of_a_credential_are_counted_and_told() -> None:
    door, before = Door(rate_requests=2), counted("requests")
    door.clock.advance(timedelta(seconds=0.5))
    assert await door.ask(key(1)) == (
        200,
        {"RateLimit-Policy": '"requests";q=2;w=60', "RateLimit": '"requests";r=1;t=60'},
    )
    door.clock.advance(timedelta(seconds=20))
    assert (await door.ask(key(1)))[1]["RateLimit"] == '"requests";r=0;t=40'
    status, headers = await door.ask(key(1))
    assert (status, headers["Retry-After"], headers["RateLimit"]) == (
        429, "40", '"requests";r=0;t=40',
    )  # fmt: skip
    assert counted("requests") == before + 1
    assert await door.status(key(2)) == 200, "credentials are apart"
    door.clock.advance(timedelta(seconds=40))
    assert await door.status(key(1)) == 200


async def test_limits_that_are_off_tell_and_refuse_nothing() -> None:
    door = Door(rate_failures=0)
    assert [await door.status(key(1, "wrong")) for _ in range(40)] == [401] * 40
    assert await door.ask(key(1)) == (200, {})
    door.limits = no_limits(door.clock)
    assert [await door.status(key(1, "wrong")) for _ in range(40)] == [401] * 40
