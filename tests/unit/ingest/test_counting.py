"""What `/metrics` tells of the door: closed sets of labels, whatever senders call things."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from services.ingest.app import counting
from services.ingest.domain.decide import decide
from services.ingest.domain.examine import examine_binary, examine_structured, too_large
from services.ingest.domain.model import Candidate, Examined, Receipt

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RECEIPT = Receipt("acme", NOW)
TYPES = ("deal.won", "deal.reopened", "weather.changed", "other")
OUTCOMES = ("accepted", "duplicate", "conflict", "rejected")


def event(event_id: str, deal: object = "D-1", **other: Any) -> Examined:
    told = {"id": event_id, "source": f"/crm/{event_id}", "type": "deal.won"}
    return examine_structured(told | {"data": {"deal_id": deal}} | other, RECEIPT)


def counts(source: counting.WayIn) -> dict[tuple[str, str], float]:
    name, found = "headway_ingest_events_total", {}
    for event_type in TYPES:
        for outcome in OUTCOMES:
            labels = {"source": source, "event_type": event_type, "outcome": outcome}
            found[event_type, outcome] = REGISTRY.get_sample_value(name, labels) or 0.0
    return found


@pytest.mark.parametrize("source", ["api", "import"])
def test_events_are_counted_by_known_type_and_by_outcome(source: counting.WayIn) -> None:
    before = counts(source)
    again, other = event("a", source="/crm"), event("a", "D-2", source="/crm")
    headers = {"ce-id": "e", "ce-source": "/crm", "ce-type": "deal.reopened"}
    events = [
        again, again, other, event("b", 7), event("c", type="weather.changed"),
        event("d", type=7), examine_binary(headers, {}, RECEIPT), too_large(None, "too large"),
    ]  # fmt: skip
    counting.judged(source, events, decide(events, {}))
    counted = {key: value - before[key] for key, value in counts(source).items()}
    assert {key: value for key, value in counted.items() if value} == {
        ("deal.won", "accepted"): 1,
        ("deal.won", "duplicate"): 1,
        ("deal.won", "conflict"): 1,
        ("deal.won", "rejected"): 1,
        ("deal.reopened", "rejected"): 1,
        ("other", "accepted"): 1,
        ("other", "rejected"): 2,
    }


def age(end: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"headway_ingest_event_age_seconds_{end}", labels) or 0.0


def test_ages_are_those_that_sources_tell() -> None:
    told = [NOW - timedelta(seconds=90), NOW + timedelta(seconds=5)]
    events = [event(str(n), time=time.isoformat()) for n, time in enumerate(told)]
    events.append(event("untold"))
    count, seconds, young = age("count"), age("sum"), age("bucket", le="60.0")
    counting.came([e for e in events if isinstance(e, Candidate)], NOW)
    assert (age("count"), age("sum")) == (count + 2, seconds + 90)
    assert age("bucket", le="60.0") == young + 1
