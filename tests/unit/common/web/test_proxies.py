"""Whose word counts for the address of a client."""

import pytest
from pydantic import ValidationError
from starlette.types import Receive, Scope, Send

from libs.common.settings import CommonSettings
from libs.common.web.failed_credentials import network_of
from libs.common.web.proxies import behind


async def seen(trusted: str, peer: str, *forwarded: str) -> str:
    clients: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        clients.append(scope["client"][0])

    async def nothing(*_: object) -> object: ...

    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    scope = {"type": "http", "client": (peer, 1), "headers": headers}
    await behind(trusted, app)(scope, nothing, nothing)  # type: ignore[arg-type]
    return clients[0]


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        ("127.0.0.1,::1", "203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("127.0.0.1,::1", "127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1,::1", "::1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        ("203.0.113.0/24", "203.0.113.3", ["6.6.6.6", "198.51.100.1, 203.0.113.9"], "198.51.100.1"),
        ("203.0.113.0/24, 192.0.2.7", "203.0.113.3", ["198.51.100.1, 192.0.2.7"], "198.51.100.1"),
        ("", "127.0.0.1", ["198.51.100.1"], "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", [], "127.0.0.1"),
    ],
)
async def test_only_proxies_that_are_named_are_believed(
    trusted: str, peer: str, forwarded: list[str], client: str
) -> None:
    assert await seen(trusted, peer, *forwarded) == client


@pytest.mark.parametrize(
    "wrong", ["gateway", "203.0.113.1/24", "203.0.113.0/33", "*", "203.0.113.0/24;::1"]
)
def test_proxies_that_are_no_networks_stop_the_start(wrong: str) -> None:
    with pytest.raises(ValidationError, match="trusted_proxies"):
        CommonSettings(trusted_proxies=wrong)
    assert CommonSettings(trusted_proxies="203.0.113.0/24, ::1, ").trusted_proxies


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("x" * 10_000, "other"),
        ("", "other"),
    ],
)
def test_what_an_address_counts_as(host: str, network: str) -> None:
    assert network_of(host) == network
