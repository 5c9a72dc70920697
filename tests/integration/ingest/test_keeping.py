"""What deliveries bring besides events, in PostgreSQL: what it refuses, and why."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from libs.common.db.database import Database
from libs.common.logging.told import told
from services.ingest.adapters.keeping import SqlKeeper, letter_id
from services.ingest.app.ports import Unkeepable
from services.ingest.domain.crm.model import Refresh
from services.ingest.domain.letters import Letter
from services.ingest.domain.put_aside import PutAside

pytestmark = pytest.mark.postgres
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
async def keeper(database_url: str) -> AsyncIterator[SqlKeeper]:
    database = Database(database_url, "headway_ingest_worker", statement_timeout=5)
    yield SqlKeeper(database)
    await database.close()


def letter(**more: Any) -> Letter:
    told = {"detail": "no number", "body": b'{"deal_id":"of the body"}'} | more
    return Letter("t", "/connections/c", None, "amount", headers=[], **told)


def aside(*letters: Letter, record_id: str = "7") -> PutAside:
    return PutAside("t", "c", AT, letters, [Refresh("deal", record_id, "gap")])


@pytest.mark.parametrize(
    "bad",
    [
        aside(letter(detail="secret \x00")),
        aside(letter(detail="secret \ud800")),
        aside(letter(), record_id="secret \x00"),
    ],
)
async def test_what_it_refuses_is_told_without_what_was_sent(
    keeper: SqlKeeper, bad: PutAside
) -> None:
    with pytest.raises(Unkeepable) as refused:
        await keeper.keep(bad)
    assert "Unkeepable" in told(refused.value)
    assert "secret" not in told(refused.value)
    await keeper.keep(aside(letter()))


async def test_a_letter_says_its_deal_or_its_body_does(
    keeper: SqlKeeper, database_url: str
) -> None:
    said, silent = letter(deal_id="D1", named="1"), letter(named="2")
    await keeper.keep(aside(said, silent))
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch(
        "SELECT dead_letter_id, deal_id FROM ingest.dead_letters WHERE dead_letter_id = ANY($1)",
        [letter_id(said), letter_id(silent)],
    )
    await connection.close()
    found = {row["dead_letter_id"]: row["deal_id"] for row in rows}
    assert found == {letter_id(said): "D1", letter_id(silent): "of the body"}
