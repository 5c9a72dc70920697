"""A23: tokens of the trusted issuer come in at every service, forged ones at none."""

from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from libs.common.web.principal import OPERATOR
from tests.integration.oidc.conftest import SERVICES, World
from tests.integration.oidc.forged import FORGED
from tests.integration.oidc.minting import KIDS, minted

pytestmark = pytest.mark.postgres
IN = [200, 200, 200, 422]
"""What `SERVICES` answer whom they let in: there is no such pipeline."""


def told(answer: Any) -> dict[str, Any]:
    """A problem without what differs in each answer."""
    body = dict(answer.json())
    del body["trace_id"], body["instance"]
    return body | {"challenge": answer.headers.get("WWW-Authenticate")}


@pytest.mark.parametrize("alg", KIDS)
async def test_a_token_comes_in_at_every_service(world: World, alg: str) -> None:
    assert await world.statuses(minted(alg)) == IN
    assert await world.statuses(world.api_key) == IN
    self = (await world.call(minted(alg), "/v1/tenants/self")).json()
    assert self["id"] == "acme"


async def test_what_issuers_write_differently_is_understood(world: World) -> None:
    good = (
        minted(aud=["other", "headway"]),
        minted(head={"typ": "at+jwt"}),
        minted(head={"typ": "application/at+jwt"}),
        minted(head={"typ": "jwt"}),
        minted(head={"typ": None}),
        minted(head={"jku": "https://example.org", "x5u": "https://example.org", "x5t": "x"}),
        minted(nbf=None, iat=None),
        minted(scope=None, scp=["admin"]),
        minted(scope=None, scp="admin more"),
        minted(sub="auth0|5f7c|Ünï"),
        minted(exp=10**30),
    )
    assert [await world.statuses(token) for token in good] == [IN] * len(good)


async def test_clocks_may_differ_by_a_minute(world: World) -> None:
    now = int(world.clock.now().timestamp())
    assert await world.statuses(minted(exp=now - 30, iat=now - 300)) == IN
    assert await world.statuses(minted(nbf=now + 30, iat=now + 30)) == IN


async def test_no_forged_token_comes_in_and_all_are_told_the_same(world: World) -> None:
    assert await world.statuses(minted()) == IN
    expected = told(await world.call("hw_AAAAAAAAAAAA_" + "x" * 43, "/v1/tenants/self"))
    assert (expected["status"], expected["code"]) == (401, "unauthorized")
    paths = list(SERVICES.values())
    wrong = {}
    for n, (name, make) in enumerate(FORGED.items()):
        answer = await world.call(make(), paths[n % len(paths)])
        if told(answer) != expected:
            wrong[name] = answer.text
    assert wrong == {}
    assert len(FORGED) > 100
    assert set(world.issuer.asked) == {"/jwks"}


async def test_scopes_are_those_of_the_token_and_none_makes_an_operator(world: World) -> None:
    reader = minted(scope="deals:read openid profile")
    assert await world.statuses(reader) == [200, 200, 403, 403]
    for nothing in ("", "openid", None, 5, {"admin": True}, ["admin:all"], [["admin"]]):
        assert await world.statuses(minted(scope=nothing, scp=None)) == [200, 403, 403, 403]
    operator = minted(scope=f"{OPERATOR} admin")
    body = {"id": "another"}
    made = await world.call(operator, "/v1/tenants", method="POST", json=body)
    assert made.status_code == 403
    assert await world.statuses(minted(scope=OPERATOR)) == [200, 403, 403, 403]


async def test_a_user_is_named_in_the_audit_trail_and_in_no_log(
    world: World, database_url: str
) -> None:
    token, body = minted(sub="secret-subject"), {"name": "by a user", "scopes": ["deals:read"]}
    with capture_logs() as lines:
        made = await world.call(token, "/v1/api-keys", method="POST", json=body)
        await world.call(token[:-4] + "AAAA", "/v1/api-keys")
    assert made.status_code == 201
    assert "secret-subject" not in str(lines)
    assert token.rpartition(".")[2] not in str(lines)
    connection = await asyncpg.connect(database_url)
    actors = await connection.fetch(
        "SELECT actor FROM ingest.audit WHERE object = $1", made.json()["id"]
    )
    await connection.close()
    assert [row["actor"] for row in actors] == ["user:secret-subject"]


async def test_a_token_ends_while_it_is_used(world: World) -> None:
    token = minted()
    assert await world.statuses(token) == IN
    world.clock.by = timedelta(seconds=400)
    assert await world.statuses(token) == [401] * 4
