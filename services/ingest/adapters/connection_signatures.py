"""What connections have learned of how their CRM signs."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_LEARN = text("""
    UPDATE ingest.connections SET signature_seen = :version
    WHERE tenant_id = :tenant_id AND connection_id = :connection_id AND NOT deleted
        AND signature_seen IS NULL AND definition ->> 'kind' = 'hubspot'
        AND definition ->> 'public_url' = :public_url
        AND coalesce(definition ->> 'weakest_signature', 'v3') = 'v3'
""")


async def learn(tx: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """`rows` are (tenant_id, connection_id, public_url, version), in key order. What is known is
    not written again, nor what was learned by settings that its owner has changed since."""
    await tx.execute(_LEARN, rows)
