"""How many alerts one row for each clock would leave untold, on real deals (ADR 0050).

One rule for each owner: a loan that is hers more than fourteen days after it was created. Loans go
back and forth between owners, so they leave the scope of such a rule and enter it again while the
clock is the same.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from typing import Any

from libs.common.contracts.catalogue import parse
from services.alerts.domain.timeline import Facts
from services.funnel.domain.model import FoldEvent
from tests.real import bpic2012
from tests.real.data import file
from tests.unit.alerts.desk import Says, judged, rule
from tests.unit.alerts.facts import START, facts_of

EVERY_LOAN = 27
DAYS = 14
NOW = datetime(2012, 6, 1, tzinfo=UTC)


def loans() -> list[list[Mapping[str, Any]]]:
    """The events of each case of a part of the log."""
    rows = list(bpic2012.rows(file(bpic2012.FILE)))
    cases = set(sorted({row["case_id"] for row in rows})[::EVERY_LOAN])
    events = bpic2012.events(row for row in rows if row["case_id"] in cases)
    found = groupby(
        sorted(events, key=lambda e: (e["data"]["deal_id"], int(e["sequence"]))),
        key=lambda event: event["data"]["deal_id"],
    )
    return [list(own) for _, own in found]


def folded(loan: Sequence[Mapping[str, Any]]) -> Facts:
    """What alerts would read of it."""
    found = facts_of([_event(event) for event in loan], loan[0]["data"]["deal_id"])
    assert found is not None
    return found


def _event(event: Mapping[str, Any]) -> FoldEvent:
    at, data = datetime.fromisoformat(event["time"]), event["data"]
    parsed = parse(event["type"], data, strict=True)
    assert parsed is not None
    key = event["source"], event["id"], at, START, event["sequence"]
    return FoldEvent(data["deal_id"], event["type"], *key, parsed)


def stretches(loan: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """By owner, how often it was hers anew or still from the due instant on; worked out by hand."""
    due = datetime.fromisoformat(loan[0]["time"]) + timedelta(days=DAYS)
    said = [(e["time"], {**e["data"], **e["data"].get("changes", {})}) for e in loan]
    owned = [(datetime.fromisoformat(t), d["owner_id"]) for t, d in said if "owner_id" in d]
    begun = [next(same) for _, same in groupby(owned, key=lambda own: own[1])]
    ended = [*(after for (_, (after, _)) in pairwise(begun)), NOW]
    return Counter(o for (at, o), to in zip(begun, ended, strict=True) if max(at, due) < to)


def counted(facts: Facts, owner: str) -> int:
    """How many alerts the rule of this owner has of a loan."""
    hers = Says(f"deal.owner_id == '{owner}'", lambda deal: deal["owner_id"] == owner)
    of = rule("created_at", DAYS * 24, scope=hers)
    violations = judged(of, facts, NOW).violations
    assert len({found.event for found in violations}) <= 1
    return len(violations)


def test_one_alert_for_each_clock_would_leave_many_untold(
    record_property: Callable[[str, object], None],
) -> None:
    alerts = clocks = 0
    for loan in loans():
        facts = folded(loan)
        for owner, times in stretches(loan).items():
            assert counted(facts, owner) == times, (loan[0]["id"], owner)
            alerts, clocks = alerts + times, clocks + 1
    record_property("alerts", alerts)
    record_property("of them later ones of a clock", alerts - clocks)
    assert (alerts, alerts - clocks) == (935, 99)
