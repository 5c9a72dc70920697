"""Connections as clients see them: never a secret, only how many are live and since when."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.ingest.adapters.connection_counts import QUIET_HOURS
from services.ingest.domain.connections import ConnectionVersion, StoredConnection
from services.ingest.domain.crm.registry import CONNECTORS

_COUNTS = ("deliveries", "accepted", "duplicates", "rejected", "refused")


def shown(connection: StoredConnection) -> dict[str, Any]:
    return {
        "id": connection.connection_id,
        "version": connection.version,
        **connection.definition,
        "replay_guard": _replay_guard(connection),
        "live_secrets": len(connection.sealed),
        "secrets_changed_at": connection.sealed_at,
        "published_at": connection.published_at,
        "published_by": connection.published_by,
    }


def _replay_guard(connection: StoredConnection) -> str:
    """Without a signed time, ids are all that keeps an old delivery from counting twice."""
    signs = CONNECTORS[connection.definition["kind"]].signs_time
    return "signed_time" if signs else "dedup_only"


def shown_secrets(
    connection: StoredConnection, told: Sequence[tuple[datetime, datetime | None]]
) -> dict[str, Any]:
    """Of each secret, the newest first, all but itself."""
    ends = connection.definition["old_secret_expires_at"]
    return {
        "secrets": [
            {"added_at": at, "expires_at": ends if place else None, "last_matched_at": matched}
            for place, (at, matched) in enumerate(told)
        ]
    }


def shown_version(version: ConnectionVersion) -> dict[str, Any]:
    return {
        "id": version.connection_id,
        "version": version.version,
        **version.definition,
        "secrets_changed": version.secrets_changed,
        "deleted": version.deleted,
        "published_at": version.published_at,
        "published_by": version.published_by,
    }


def shown_traffic(counts: Mapping[Any, Any] | None) -> dict[str, Any]:
    """What came, and the silence since, if it is longer than usual."""
    held: Mapping[Any, Any] = counts or {}
    quiet = held.get("quiet_hours", 0)
    gap = (
        {"since": held["last_delivery_at"], "quiet_hours": quiet} if quiet >= QUIET_HOURS else None
    )
    return {
        "counts": {name: held.get(name, 0) for name in _COUNTS},
        "last_delivery_at": held.get("last_delivery_at"),
        "last_event_at": held.get("last_event_at"),
        "gap": gap,
    }


def shown_refreshes(waiting: int, first: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"needs_refresh": {"count": waiting, "records": list(first)}}
