"""Limits of a credential and of guessing, through the whole application."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.common.db.database import Database
from libs.common.web.proxies import behind
from tests.integration.ingest.fakes import stage_event
from tests.integration.ingest.limiting import LimitedApi, limited

pytestmark = pytest.mark.postgres
SELF = "/v1/tenants/self"


def wrong(number: int) -> str:
    return f"hw_{number:012d}_{'x' * 43}"


def from_address(api: LimitedApi, address: str, trusted: str = "127.0.0.1") -> httpx.AsyncClient:
    """A client behind the proxy at 127.0.0.1."""
    app = behind(trusted, api.transport.app)
    headers = {"X-Forwarded-For": address}
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://ingest", headers=headers)


async def asked(client: httpx.AsyncClient, key: str) -> httpx.Response:
    return await client.get(SELF, headers={"Authorization": f"Bearer {key}"})


async def test_requests_of_a_credential(database_url: str, tmp_path: Path) -> None:
    common = {"rate_requests": 3}
    async with limited(database_url, tmp_path, "asks", common=common) as api:
        answer = await api.client.get(SELF)
        assert answer.headers["ratelimit-policy"] == '"requests";q=3;w=60'
        assert answer.headers["ratelimit"] == '"requests";r=2;t=60'
        assert (await api.post(stage_event("a"))).headers["ratelimit"] == '"requests";r=1;t=60'
        assert (await api.client.get("/v1/imports/none")).headers["ratelimit"] == (
            '"requests";r=0;t=60'
        )
        over = await api.client.get(SELF)
        assert (over.status_code, over.json()["code"]) == (429, "rate_limited")
        assert over.json()["violated-policies"] == ["requests"]
        assert over.headers["retry-after"] == "60"
        assert over.headers["ratelimit"] == '"requests";r=0;t=60'
        for path in ("/livez", "/readyz", "/metrics"):
            answer = await api.client.get(path)
            assert (answer.is_success, "ratelimit" in answer.headers) == (True, False), path
        other = await api.new_tenant("asks-too")
        assert (await other.get(SELF)).status_code == 200
        api.minute()
        assert (await api.client.get(SELF)).status_code == 200


async def test_guessing_ends_before_the_database(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with limited(database_url, tmp_path, "guessed") as api:
        key = api.client.headers["authorization"].removeprefix("Bearer ")
        assert (await api.client.get(SELF)).status_code == 200
        one, two = from_address(api, "203.0.113.1"), from_address(api, "203.0.113.2")
        bodies = set[tuple[Any, ...]]()
        for n in range(30):
            answer = await asked(one, wrong(n))
            told = answer.json()
            bodies.add((answer.status_code, told["code"], told["detail"]))
        assert bodies == {(401, "unauthorized", "no valid credential was given")}
        with monkeypatch.context() as unasked:
            unasked.delattr(Database, "across_tenants")
            over = await asked(one, wrong(31))
        assert (over.status_code, over.json()["code"]) == (429, "too_many_failures")
        assert over.headers["retry-after"] == "60"
        assert (await asked(one, key)).status_code == 200, "who is known goes on"
        assert (await asked(two, wrong(32))).status_code == 401
        forged = from_address(api, "203.0.113.77, 203.0.113.1")
        assert (await asked(forged, wrong(33))).status_code == 429, "a client adds what it likes"
        api.minute()
        assert (await asked(one, wrong(34))).status_code == 401
