"""Leases: who does what only one process should do. Advice; effects are guarded otherwise."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.db.database import driver

SCHEMAS = ("funnel", "alerts", "ingest")
_HOLD = """INSERT INTO {schema}.leases (name, owner, token, expires_at)
    VALUES ($1, $2, 1, now() + $3 * interval '1 second')
    ON CONFLICT (name) DO UPDATE
    SET owner = EXCLUDED.owner, expires_at = EXCLUDED.expires_at,
        token = {schema}.leases.token + ({schema}.leases.owner <> EXCLUDED.owner)::int
    WHERE {schema}.leases.owner = EXCLUDED.owner OR {schema}.leases.expires_at < now()
    RETURNING token"""
_RELEASE = """UPDATE {schema}.leases SET expires_at = '-infinity'
    WHERE name = $1 AND owner = $2"""


@dataclass(frozen=True, slots=True)
class Lease:
    """A named lease of one owner, by the database's clock. Owners are unique among processes."""

    schema: str
    name: str
    owner: str
    seconds: float = 10

    async def hold(self, tx: AsyncConnection) -> int | None:
        """Take or renew it; the token grows with each new owner. `None`: somebody else has it."""
        conn = await driver(tx)
        token: int | None = await conn.fetchval(
            self._sql(_HOLD), self.name, self.owner, self.seconds
        )
        return token

    async def release(self, tx: AsyncConnection) -> None:
        """Let the next one begin at once; nothing happens if it is not ours."""
        await (await driver(tx)).execute(self._sql(_RELEASE), self.name, self.owner)

    def _sql(self, template: str) -> str:
        if self.schema not in SCHEMAS:
            raise ValueError(f"no leases in schema {self.schema!r}")
        return template.format(schema=self.schema)
