"""Connections as clients see them: never a secret, only how many are live and since when."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.ingest.domain.connections import ConnectionVersion, StoredConnection
from services.ingest.domain.counters import Counted
from services.ingest.domain.crm.hubspot_signatures import weakest_of
from services.ingest.domain.crm.registry import CONNECTORS

_COUNTS = ("deliveries", "accepted", "duplicates", "rejected", "refused")


def shown(connection: StoredConnection) -> dict[str, Any]:
    return {
        "id": connection.connection_id,
        "version": connection.version,
        **connection.definition,
        "signature_seen": connection.signature_seen,
        "replay_guard": _replay_guard(connection),
        "live_secrets": len(connection.sealed),
        "secrets_changed_at": connection.sealed_at,
        "published_at": connection.published_at,
        "published_by": connection.published_by,
    }


def _replay_guard(connection: StoredConnection) -> str:
    """Without a signed time, ids are all that keeps an old delivery from counting twice."""
    kind, told = connection.definition["kind"], connection.definition
    signs = CONNECTORS[kind].signs_time
    if kind == "hubspot":
        signs = weakest_of(told["weakest_signature"], connection.signature_seen) == "v3"
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
    """What came, and what seems to be missing: a silence that is longer than usual, numbers."""
    held: Mapping[Any, Any] = counts or {}
    return {
        "counts": {name: held.get(name, 0) for name in _COUNTS},
        "last_delivery_at": held.get("last_delivery_at"),
        "last_event_at": held.get("last_event_at"),
        "gap": _gap(held) or None,
    }


def _gap(held: Mapping[Any, Any]) -> dict[str, Any]:
    gap: dict[str, Any] = {}
    if held.get("silent"):
        habits = {name: held[name] for name in ("quiet_hours", "longest_pause_hours")}
        gap = {"since": held["last_delivery_at"], **habits}
    if missing := held.get("missing", 0):
        gap["missing_count"] = missing
    return gap


def shown_numbers(traffic: dict[str, Any], counted: Counted | None) -> dict[str, Any]:
    """`traffic` with the numbers that are missing, and with what the source has counted."""
    told = None
    if counted is not None:
        told = {
            "highest": counted.highest,
            "given_up": counted.given_up,
            "restarts": counted.restarts,
            "restarted_at": counted.restarted_at,
        }
    missing = [{"from": first, "to": last} for first, last in counted.missing] if counted else []
    gap = {**(traffic["gap"] or {}), "missing": missing} if missing else traffic["gap"]
    return {**traffic, "gap": gap, "counted": told}


def shown_refreshes(waiting: int, first: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"needs_refresh": {"count": waiting, "records": list(first)}}
