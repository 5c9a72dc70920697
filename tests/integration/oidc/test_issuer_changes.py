"""The issuer rotates its keys, and is away: nobody has to restart anything."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.integration.oidc.conftest import World, believing
from tests.integration.oidc.issuing import issuing
from tests.integration.oidc.minting import claims, jwk_of, jwks, key_of, minted
from tests.integration.oidc.test_tokens import IN

pytestmark = pytest.mark.postgres
NEXT = "rsa-next"


def minted_next(**changed: Any) -> str:
    return jwt.encode(claims(**changed), key_of(NEXT), "RS256", headers={"kid": NEXT})


def ahead(world: World, seconds: float) -> None:
    world.clock.by += timedelta(seconds=seconds)


async def test_a_new_key_is_found_without_a_restart_and_an_old_one_ends(world: World) -> None:
    assert await world.statuses(minted()) == IN
    assert await world.statuses(minted_next()) == [401] * 4
    world.issuer.answers["/jwks"] = {"keys": [jwk_of(NEXT)]}
    ahead(world, 31)
    assert await world.statuses(minted_next()) == IN
    assert await world.statuses(minted()) == [401] * 4


async def test_unknown_keys_make_the_issuer_be_asked_once_in_30_s(world: World) -> None:
    assert await world.statuses(minted()) == IN
    ahead(world, 31)
    before = len(world.issuer.asked)
    for n in range(20):
        forged = jwt.encode(claims(), key_of("stranger-rsa"), "RS256", headers={"kid": f"k{n}"})
        assert (await world.call(forged, "/v1/deals")).status_code == 401
    assert len(world.issuer.asked) == before + 1
    assert await world.statuses(minted()) == IN


async def test_known_keys_go_on_for_a_day_while_the_issuer_is_away(world: World) -> None:
    assert await world.statuses(minted()) == IN
    world.issuer.away = True
    ahead(world, 23 * 3600)
    late = int(world.clock.now().timestamp())
    token, unknown = minted(exp=late + 90_000), minted_next(exp=late + 90_000)
    assert await world.statuses(token) == IN
    answer = await world.call(unknown, "/v1/deals")
    assert (answer.status_code, answer.json()["code"]) == (503, "issuer_unavailable")
    assert await world.statuses(token) == IN
    ahead(world, 2 * 3600)
    answer = await world.call(token, "/v1/deals")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert await world.statuses(world.api_key) == IN
    world.issuer.away = False
    ahead(world, 31)
    assert await world.statuses(token) == IN


async def test_an_issuer_that_was_never_reached_is_503_and_keys_work(
    database_url: str, tmp_path: Path
) -> None:
    async with issuing() as issuer:
        issuer.away = True
        async with believing(database_url, tmp_path, issuer) as world:
            assert await world.statuses(minted()) == [503] * 4
            assert await world.statuses(world.api_key) == IN
            assert await world.statuses("rubbish") == [401] * 4
            issuer.answers["/jwks"], issuer.away = jwks(), False
            ahead(world, 31)
            assert await world.statuses(minted()) == IN
