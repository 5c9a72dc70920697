"""How many dead letters are open, by reason, over all tenants."""

from collections.abc import Mapping

from sqlalchemy import text

from libs.common.db.database import Database

_OPEN = text("""
    SELECT code, count(*) AS letters FROM ingest.dead_letters WHERE state = 'open'
    GROUP BY code ORDER BY letters DESC, code
""")


class LetterCounts:
    """`database` is a pool of the worker role."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self) -> Mapping[str, int]:
        async with self._database.across_tenants() as tx:
            return {row.code: row.letters for row in await tx.execute(_OPEN)}
