"""The demo tenant's rules, and its alerts."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.standalone.client import Api, Refused

_POLL_SECONDS = 0.3
SHOWN = 8
OPEN = {"state": ["firing", "acknowledged"]}
RULES: Mapping[str, Mapping[str, Any]] = {
    "stalled": {
        "name": "Open deal too long in its stage",
        "scope": "deal.status == 'open' && deal.pipeline_id == 'b2b'",
        "clock": {"start": "stage_entered_at", "limit": "P60D"},
        "severity": "warning",
        "labels": {"owner": "deal.owner_id", "stage": "deal.stage_id"},
        "summary": "{{elapsed}} in {{deal.stage_name}}",
    },
    "idle": {
        "name": "Open deal that nobody has worked on",
        "scope": "deal.status == 'open'",
        "clock": {"start": "last_activity_at", "limit": "P14D"},
        "severity": "critical",
        "labels": {"owner": "deal.owner_id"},
        "summary": "no activity for {{elapsed}}, and none planned",
    },
    "first-call": {
        "name": "New deal without a first call or meeting",
        "scope": "deal.status == 'open'",
        "clock": {
            "start": "created_at",
            "limit": "P3D",
            "met_by": {"activity": {"kinds": ["call", "meeting", "demo", "visit"]}},
        },
        "severity": "info",
        "labels": {"owner": "deal.owner_id"},
        "summary": "no call or meeting within {{limit}} of its creation",
    },
}


@dataclass(frozen=True, slots=True)
class OpenAlerts:
    """How many alerts are open, by rule, and the newest of them."""

    by_rule: Mapping[str, int]
    newest: Sequence[Mapping[str, Any]]


async def define_rules(api: Api) -> None:
    """Define the rules where they are missing; a user's own edits stay."""
    for rule_id, rule in RULES.items():
        try:
            await api.get(f"/v1/rules/{rule_id}")
        except Refused as refusal:
            if refusal.status != 404:
                raise
            await api.put(f"/v1/rules/{rule_id}", rule)


async def open_alerts(api: Api) -> OpenAlerts:
    """The open alerts, once every deal has been judged by every rule."""
    counts: dict[str, int] = {}
    for rule in [rule async for rule in api.pages("/v1/rules", {})]:
        counts[rule["id"]] = await _judged(api, rule["id"])
    newest = await api.get("/v1/alerts", {**OPEN, "limit": SHOWN})
    return OpenAlerts(counts, newest["items"])


async def _judged(api: Api, rule_id: str) -> int:
    """The open alerts of a rule that no deal waits for any more."""
    while True:
        status = (await api.get(f"/v1/rules/{rule_id}"))["status"]
        if status["judging"] is None:
            return int(status["open_alerts"])
        await asyncio.sleep(_POLL_SECONDS)
