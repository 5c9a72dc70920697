"""When channels of CRMs expire, as their connections say: told of all of them together."""

from datetime import datetime
from math import inf

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common import metrics

_LOOK = text("""
    SELECT count(*) FILTER (WHERE expires_at <= CAST(:now AS timestamptz)) AS expired,
        extract(epoch FROM min(expires_at) FILTER (WHERE expires_at > CAST(:now AS timestamptz))
            - CAST(:now AS timestamptz)) AS seconds
    FROM (SELECT CAST(definition ->> 'channel_expires_at' AS timestamptz) AS expires_at
        FROM ingest.connections WHERE NOT deleted) c
""")


async def tell(tx: AsyncConnection, now: datetime) -> None:
    """How many have expired, and seconds until the next does. One that expired long ago must not
    hide the next, so that one gauge of the earliest would not do."""
    found = (await tx.execute(_LOOK, {"now": now})).one()
    metrics.INGEST_CHANNELS_EXPIRED.set(found.expired)
    metrics.INGEST_CHANNEL_EXPIRY.set(inf if found.seconds is None else float(found.seconds))
