"""A key gets a successor: overlap, what is refused, one transaction, the audit trail."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from libs.common.db.database import Database
from services.ingest.adapters import rotation
from tests.integration.ingest.conftest import Api

pytestmark = pytest.mark.postgres
WHOLE = {"name": "ci", "scopes": ["admin", "events:write"]}


async def made(api: Api, **more: Any) -> dict[str, Any]:
    answer = await api.client.post("/v1/api-keys", json=WHOLE | more)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def rotated(api: Api, key_id: str, **body: Any) -> dict[str, Any]:
    answer = await api.client.post(f"/v1/api-keys/{key_id}/rotate", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def refusal(api: Api, key_id: str, **body: Any) -> tuple[int, str]:
    answer = await api.client.post(f"/v1/api-keys/{key_id}/rotate", json=body)
    return answer.status_code, answer.json()["code"]


async def listed(api: Api) -> dict[str, dict[str, Any]]:
    items = (await api.client.get("/v1/api-keys")).json()["items"]
    return {key["id"]: key for key in items}


async def works(api: Api, key: str) -> int:
    return (await api.with_key(key).get("/v1/tenants/self")).status_code


def instant(told: str) -> datetime:
    return datetime.fromisoformat(told)


async def trail_of(url: str, key_id: str) -> list[tuple[str, str]]:
    database = Database(url, "headway_ingest_worker", pool_size=1)
    async with database.across_tenants() as tx:
        rows = await tx.execute(
            text("SELECT action, actor FROM ingest.audit WHERE object = :o ORDER BY audit_id"),
            {"o": key_id},
        )
        trail = [(row.action, row.actor) for row in rows]
    await database.close()
    return trail


async def test_both_keys_work_during_the_overlap(api: Api) -> None:
    old = await made(api)
    before = datetime.now(UTC)
    new = await rotated(api, old["id"])
    assert {name: new[name] for name in WHOLE} == WHOLE
    assert (new["replaces"], new["expires_at"], new["revoked_at"]) == (old["id"], None, None)
    assert (await works(api, old["key"]), await works(api, new["key"])) == (200, 200)
    shown = await listed(api)
    ends = instant(shown[old["id"]]["expires_at"])
    assert timedelta() <= ends - before - timedelta(days=1) < timedelta(minutes=5)
    assert instant(new["replaced_expires_at"]) == ends
    assert shown[new["id"]]["replaces"] == old["id"]
    assert new["key"] not in str(shown)


async def test_without_overlap_the_old_key_ends_at_once(api: Api) -> None:
    old = await made(api)
    new = await rotated(api, old["id"], overlap="PT0S")
    assert (await works(api, old["key"]), await works(api, new["key"])) == (401, 200)


async def test_an_overlap_never_makes_a_key_live_longer_and_a_successor_ends_when_it_would(
    api: Api,
) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    old = await made(api, expires_at=soon.isoformat())
    new = await rotated(api, old["id"], overlap="P30D")
    shown = await listed(api)
    assert instant(shown[old["id"]]["expires_at"]) == instant(new["expires_at"]) == soon


async def test_a_key_has_one_successor_which_can_be_rotated(api: Api) -> None:
    first = await made(api)
    second = await rotated(api, first["id"])
    assert await refusal(api, first["id"]) == (409, "key_replaced")
    third = await rotated(api, second["id"], overlap="PT0S")
    works_now = [await works(api, key["key"]) for key in (first, second, third)]
    assert works_now == [200, 401, 200]


async def test_of_rotations_at_once_one_succeeds(api: Api) -> None:
    old = await made(api)
    path = f"/v1/api-keys/{old['id']}/rotate"
    answers = await asyncio.gather(*(api.client.post(path, json={}) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    successors = [key for key in (await listed(api)).values() if key["replaces"] == old["id"]]
    assert len(successors) == 1


async def test_a_revoked_or_expired_key_is_409(api: Api) -> None:
    revoked, expired = await made(api), await made(api)
    await api.client.delete(f"/v1/api-keys/{revoked['id']}")
    await rotated(api, expired["id"], overlap="PT0S")
    assert await refusal(api, revoked["id"]) == (409, "key_revoked")
    assert await refusal(api, expired["id"]) == (409, "key_expired")


async def test_a_key_may_rotate_itself(api: Api) -> None:
    old = await made(api)
    path = f"/v1/api-keys/{old['id']}/rotate"
    answer = await api.with_key(old["key"]).post(path, json={"overlap": "PT1H"})
    assert (answer.status_code, await works(api, answer.json()["key"])) == (201, 200)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        *(
            ({"overlap": told}, "/overlap")
            for told in ("P31D", "-P1D", "1d", "P1M", "PT", "", "PT0S\n", 5, None)
        ),
        ({"name": "other"}, "/name"),
        ({"scopes": ["admin"]}, "/scopes"),
    ],
)
async def test_what_does_not_fit_is_refused(api: Api, body: dict[str, Any], pointer: str) -> None:
    old = await made(api)
    answer = await api.client.post(f"/v1/api-keys/{old['id']}/rotate", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_rotation_is_for_admins_of_the_tenant(api: Api) -> None:
    old, limited = await made(api), await made(api, scopes=["config:write"])
    path = f"/v1/api-keys/{old['id']}/rotate"
    assert (await api.with_key(limited["key"]).post(path, json={})).status_code == 403
    rival = await api.new_tenant(api.tenant + "-rival")
    assert (await rival.post(path, json={})).status_code == 404
    assert (await api.operator.post(path, json={})).status_code == 403
    assert await refusal(api, "nothing") == (404, "not_found")
    headers = {"Idempotency-Key": "k"}
    assert (await api.client.post(path, json={}, headers=headers)).status_code == 422
    assert (await listed(api))[old["id"]]["expires_at"] is None


async def test_the_trail_tells_both_halves(api: Api, database_url: str) -> None:
    old = await made(api)
    new = await rotated(api, old["id"])
    actors = {actor for _, actor in await trail_of(database_url, old["id"])}
    assert [action for action, _ in await trail_of(database_url, old["id"])] == [
        "api_key.created",
        "api_key.rotated",
    ]
    assert await trail_of(database_url, new["id"]) == [("api_key.created", *actors)]
    assert all(actor.startswith("key:") for actor in actors)


async def test_a_successor_that_cannot_be_stored_leaves_the_old_key_alone(
    api: Api, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: Any) -> None:
        raise RuntimeError("planted")

    old = await made(api)
    monkeypatch.setattr(rotation, "insert_key", failing)
    answer = await api.client.post(f"/v1/api-keys/{old['id']}/rotate", json={"overlap": "PT0S"})
    assert answer.status_code == 500
    assert (await works(api, old["key"]), (await listed(api))[old["id"]]["expires_at"]) == (
        200,
        None,
    )
    assert [action for action, _ in await trail_of(database_url, old["id"])] == ["api_key.created"]
