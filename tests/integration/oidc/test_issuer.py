"""Where the issuer's keys come from, and what is never believed or followed."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from libs.common.clock import SystemClock
from libs.common.oidc import issuer as issuer_module
from libs.common.oidc.fetching import MAX_BYTES, NotFetched, fetched
from libs.common.oidc.issuer import Issuer
from libs.common.oidc.keys import parsed_keys
from libs.common.oidc.trusted import IssuerAway, Trusted, trusted_by
from libs.common.settings import CommonSettings
from tests.integration.oidc.issuing import Issuing, issuing
from tests.integration.oidc.minting import KIDS, jwk_of, jwks

PLACE = "/.well-known/openid-configuration"


@pytest.fixture
async def stub() -> AsyncIterator[Issuing]:
    async with issuing() as issuer:
        yield issuer


def by_discovery(stub: Issuing) -> Issuer:
    return Issuer(Trusted(stub.url, "headway"), SystemClock())


async def test_the_configuration_leads_to_the_keys(stub: Issuing) -> None:
    found = await by_discovery(stub).key("rsa-1")
    assert found is not None
    assert (found.algorithm_name, stub.asked) == ("RS256", [PLACE, "/jwks"])


BROKEN: dict[str, Callable[[str], Any]] = {
    "another issuer": lambda url: {"issuer": url + "/", "jwks_uri": url + "/jwks"},
    "no issuer": lambda url: {"jwks_uri": url + "/jwks"},
    "no address": lambda url: {"issuer": url},
    "an address that is a list": lambda url: {"issuer": url, "jwks_uri": [url + "/jwks"]},
    "a plain address elsewhere": lambda url: {"issuer": url, "jwks_uri": "http://example.com/"},
    "a file": lambda url: {"issuer": url, "jwks_uri": "file:///etc/passwd"},
    "a user": lambda url: {"issuer": url, "jwks_uri": url.replace("//", "//u:p@") + "/jwks"},
    "a redirect": lambda _: RedirectResponse("/jwks"),
    "no JSON": lambda _: b"<html>",
    "a list": lambda _: [],
    "brackets": lambda _: b"[" * 50_000,
    "too much": lambda _: b" " * (MAX_BYTES + 1),
    "zipped": lambda _: Response(b"\x1f\x8b", headers={"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_configuration_that_is_none_is_not_believed(stub: Issuing, name: str) -> None:
    stub.answers[PLACE] = BROKEN[name](stub.url)
    with pytest.raises(IssuerAway):
        await by_discovery(stub).key("rsa-1")
    assert stub.asked == [PLACE]


async def test_only_keys_for_signatures_of_the_three_kinds_count() -> None:
    found = parsed_keys(json.dumps(jwks()).encode())
    assert {kid: key.algorithm_name for kid, key in found.items()} == {
        kid: alg for alg, kid in KIDS.items()
    }


@pytest.mark.parametrize(
    "odd",
    [
        {"kid": None}, {"kid": 1}, {"kty": "oct"}, {"kty": ["RSA"]}, {"use": "enc"}, {"n": ""},
        {"n": 5}, {"e": None}, {"alg": "PS256"}, {"alg": "none"}, {"key_ops": ["encrypt"]},
        {"key_ops": "verify"}, {"d": "AQAB"}, {"crv": "P-256"},
    ],
)  # fmt: skip
def test_an_odd_key_is_left_out(odd: dict[str, Any]) -> None:
    document = {"keys": [jwk_of("rsa-1") | odd, jwk_of("ec-1")]}
    assert list(parsed_keys(json.dumps(document).encode())) == ["ec-1"]


@pytest.mark.parametrize("told", [{}, {"keys": {}}, {"keys": []}, {"keys": [1]}, [], "x", 5])
def test_a_set_without_keys_is_none(told: Any) -> None:
    with pytest.raises(ValueError, match="it "):
        parsed_keys(json.dumps(told).encode())


async def test_a_set_without_keys_does_not_replace_one_that_has(
    stub: Issuing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_module, "ASK_SECONDS", 0)
    issuer = by_discovery(stub)
    assert await issuer.key("rsa-1") is not None
    stub.answers["/jwks"] = {"keys": []}
    with pytest.raises(IssuerAway):
        await issuer.key("other")
    assert await issuer.key("rsa-1") is not None


async def test_a_silent_issuer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held.wait()
        writer.close()

    held = asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    monkeypatch.setattr(issuer_module, "WAIT_SECONDS", 0.05)
    issuer = Issuer(Trusted("https://i.example", "a", jwks_url=url), SystemClock())
    async with issuer.kept_fresh(), asyncio.timeout(4):
        for _ in range(5):
            with pytest.raises(IssuerAway):
                await issuer.key("rsa-1")
    held.set()
    server.close()


async def test_keys_are_fetched_again_in_the_background(
    stub: Issuing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_module, "REFRESH_SECONDS", 0.02)
    issuer = by_discovery(stub)
    async with issuer.kept_fresh(), asyncio.timeout(30):
        while stub.asked.count("/jwks") < 2:
            await asyncio.sleep(0.01)
        stub.answers["/jwks"] = {"keys": [jwk_of("ed-1")]}
        while await _known(issuer, "rsa-1"):
            await asyncio.sleep(0.01)
        assert await _known(issuer, "ed-1")


async def _known(issuer: Issuer, kid: str) -> bool:
    try:
        return await issuer.key(kid) is not None
    except IssuerAway:  # a fetch is under way
        return False


async def test_a_fetch_sends_nothing_about_us_and_no_proxy_hears_of_it(
    stub: Issuing, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    stub.answers["/x"] = b"body"
    assert await fetched(stub.url + "/x", 30) == b"body"
    assert not {"authorization", "cookie"} & set(stub.headers[0])


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "http://127.0.0.2/", "ftp://127.0.0.1/", "https://u@example.com/",
        "https://", "//example.com", "", "https://example.com/#x", "https://exa mple.com/",
        "http://localhost.example.com/", "https://example.com/\n",
    ],
)  # fmt: skip
async def test_other_addresses_are_not_asked(url: str) -> None:
    with pytest.raises(NotFetched):
        await fetched(url, 1)
    with pytest.raises(ValidationError):
        CommonSettings(oidc_issuer=url or "x", oidc_audience="a")


def test_half_a_configuration_stops_the_start() -> None:
    for half in (
        {"oidc_issuer": "https://i.example"},
        {"oidc_audience": "a"},
        {"oidc_jwks_url": "https://i.example/jwks"},
    ):
        with pytest.raises(ValidationError):
            CommonSettings(**half)  # type: ignore[arg-type]
    assert trusted_by(CommonSettings()) is None
    told = CommonSettings(oidc_issuer="https://i.example", oidc_audience="a")
    assert trusted_by(told) == Trusted("https://i.example", "a")
