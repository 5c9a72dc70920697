"""A sandbox that lives through the loan log, and what its alerts have other than the oracle."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from tests.e2e.processes.stack import until
from tests.e2e.real.site import Answer, Site, Tenant
from tests.real import bpic2012, oracle_stalled
from tests.real.oracle_stalled import Stalled

LIMIT = timedelta(days=30)
RULE_ID = "stalled"
RULE = {
    "name": "Open deal more than 30 days in its stage",
    "scope": "deal.status == 'open'",
    "clock": {"start": "stage_entered_at", "limit": "P30D"},
    "catch_up": "fire_late",
    "severity": "warning",
}
_SEVERAL = 5


def lender(site: Site, name: str) -> Tenant:
    """A sandbox tenant with the pipeline and the rule."""
    tenant = site.tenant(name, bpic2012.ZONE, bpic2012.CURRENCY, sandbox=True)
    tenant.define(bpic2012.PIPELINE_ID, bpic2012.PIPELINE)
    made = tenant.http.put(f"/v1/rules/{RULE_ID}", json=RULE)
    assert made.status_code == 201, made.text
    return tenant


def settle(tenant: Tenant, seconds: float = 300) -> None:
    until("settled", lambda: tenant.get("/v1/sandbox/clock")["settled"], seconds)


def moved(tenant: Tenant, to: datetime, seconds: float = 300) -> list[Answer]:
    """Every alert, once the clock stands there and all has settled."""
    answer = tenant.http.post("/v1/sandbox/clock", json={"now": to.isoformat()})
    assert answer.status_code == 202, answer.text
    settle(tenant, seconds)
    return every_alert(tenant)


def every_alert(tenant: Tenant) -> list[Answer]:
    return tenant.items("/v1/alerts")


def told(alerts: Iterable[Answer]) -> list[Answer]:
    """What alerts say, whenever they were seen: nothing that depends on the clock's steps."""
    seen = ("id", "detected_at", "version", "episode")
    said = [{name: of for name, of in alert.items() if name not in seen} for alert in alerts]
    return sorted(said, key=repr)


@dataclass
class Expectation:
    """The oracle's stays, for comparison at any instant."""

    stays: Any

    @classmethod
    def of(cls, table: Any) -> "Expectation":
        return cls(oracle_stalled.stays(table, LIMIT))

    def due_by(self, now: datetime) -> list[Stalled]:
        return oracle_stalled.as_of(self.stays, now)

    def faults(self, alerts: Iterable[Answer], now: datetime) -> list[str]:
        """What the alerts have other than the oracle, told shortly."""
        listed = list(alerts)
        found = {(a["subject"]["id"], a["evidence"]["clock"]["start_event_id"]): a for a in listed}
        wanted = {(s.deal, f"{s.deal}-{s.row}"): s for s in self.due_by(now)}
        told = (
            [f"{len(listed) - len(found)} alerts of one clock"] if len(found) < len(listed) else []
        )
        told += [f"missing: {key}" for key in sorted(wanted.keys() - found.keys())[:_SEVERAL]]
        told += [f"too much: {key}" for key in sorted(found.keys() - wanted.keys())[:_SEVERAL]]
        both = sorted(found.keys() & wanted.keys())
        return told + [f for key in both for f in differing(found[key], wanted[key])]


def differing(alert: Answer, stay: Stalled) -> list[str]:
    """Each value that is not the oracle's."""
    clock, facts, pairs = alert["evidence"]["clock"], alert["evidence"]["facts"], _pairs(stay)
    found = {
        "state": alert["state"],
        "resolution": alert["resolution"],
        "started_at": _instant(alert["started_at"]),
        "resolved_at": _instant(alert["resolved_at"]),
        "start": _instant(clock["start"]),
        "due_at": _instant(clock["due_at"]),
        "source": clock["start_event_source"],
        "elapsed": clock["elapsed_seconds"],
        "limit": clock["limit"],
        "segments": [(_instant(s["from"]), _instant(s["to"])) for s in clock["segments"]],
        "stage": facts["stage_id"],
        "status": facts["status"],
        "owner": facts["owner_id"],
        "amount": float(facts["amount"]["amount"]),
        "entered": _instant(facts["stage_entered_at"]),
        "others": [alert[name] for name in ("rule_id", "severity", "late", "corrections")],
    }
    return [
        f"{stay.deal}-{stay.row} {name}: {found[name]} for {value}"
        for name, value in pairs.items()
        if found[name] != value
    ]


def _pairs(stay: Stalled) -> dict[str, Any]:
    over = stay.until is not None
    return {
        "state": "resolved" if over else "firing",
        "resolution": "cleared" if over else None,
        "started_at": stay.due,
        "resolved_at": stay.until,
        "start": stay.entered,
        "due_at": stay.due,
        "source": "/eventlogs/bpic2012",
        "elapsed": LIMIT // timedelta(seconds=1),
        "limit": "P30D",
        "segments": [(stay.entered, stay.due)],
        "stage": stay.stage,
        "status": "open",
        "owner": stay.owner,
        "amount": stay.requested,
        "entered": stay.entered,
        "others": [RULE_ID, "warning", False, []],
    }


def _instant(text: str | None) -> Any:
    return None if text is None else pd.Timestamp(text)


def days(first: datetime, last: datetime) -> list[datetime]:
    """Every midnight from the day after the first instant until none is later than the last."""
    begin = datetime(first.year, first.month, first.day, tzinfo=UTC) + timedelta(days=1)
    return [begin + timedelta(days=n) for n in range((last - begin).days + 2)]
