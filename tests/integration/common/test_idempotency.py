"""Kept answers of commands: under a lock, and for a day."""

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.db.database import Database
from libs.common.db.idempotency import KEPT, Answer, Idempotency, InProgress, KeyReused

pytestmark = pytest.mark.postgres
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ANSWER = Answer(202, b'{"n": 1}')


def kept(tenant: str, key: str, request: bytes = b"r") -> Idempotency:
    return Idempotency("alerts", tenant, key, request)


async def test_one_at_a_time_then_the_same_answer(database_url: str) -> None:
    tenant, api = f"t-{secrets.token_hex(4)}", Database(database_url, "headway_alerts_api")
    async with api.for_tenant(tenant) as tx:
        assert await kept(tenant, "k").begin(tx, NOW) is None
        async with api.for_tenant(tenant) as other:
            with pytest.raises(InProgress):
                await kept(tenant, "k").begin(other, NOW)
            assert await kept(tenant, "another").begin(other, NOW) is None
        await kept(tenant, "k").end(tx, ANSWER, NOW)
    async with api.for_tenant(tenant) as tx:
        assert await kept(tenant, "k").begin(tx, NOW + KEPT - timedelta(seconds=1)) == ANSWER
    async with api.for_tenant(tenant) as tx:
        with pytest.raises(KeyReused):
            await kept(tenant, "k", b"another").begin(tx, NOW)
    async with api.for_tenant(tenant) as tx:
        assert await kept(tenant, "k", b"another").begin(tx, NOW + KEPT) is None
        await kept(tenant, "k", b"another").end(tx, Answer(200, b"2"), NOW + KEPT)
    async with api.for_tenant(tenant) as tx:
        assert await kept(tenant, "k", b"another").begin(tx, NOW + KEPT) == Answer(200, b"2")
    await api.close()


async def test_what_is_rolled_back_was_never_said(database_url: str) -> None:
    tenant, api = f"t-{secrets.token_hex(4)}", Database(database_url, "headway_alerts_api")
    with pytest.raises(ZeroDivisionError):
        async with api.for_tenant(tenant) as tx:
            await kept(tenant, "k").end(tx, ANSWER, NOW)
            raise ZeroDivisionError
    async with api.for_tenant(tenant) as tx:
        assert await kept(tenant, "k").begin(tx, NOW) is None
    await api.close()


@pytest.mark.parametrize("schema", ["ingest", "funnel", "alerts"])
async def test_old_answers_are_thrown_away(database_url: str, schema: str) -> None:
    tenant, worker = f"t-{secrets.token_hex(4)}", Database(database_url, f"headway_{schema}_worker")
    async with worker.across_tenants() as tx:
        for key, age in (("old", KEPT), ("young", KEPT - timedelta(seconds=1))):
            await Idempotency(schema, tenant, key, b"r").end(tx, ANSWER, NOW - age)
    assert await Idempotency.forget(worker, schema, NOW) is False
    async with worker.across_tenants() as tx:
        long_ago = NOW - KEPT
        assert await Idempotency(schema, tenant, "old", b"r").begin(tx, long_ago) is None
        assert await Idempotency(schema, tenant, "young", b"r").begin(tx, NOW) == ANSWER
    await worker.close()


def test_schemas_without_the_table_are_refused() -> None:
    with pytest.raises(ValueError, match="reporting"):
        Idempotency("reporting", "t", "k", b"r")
