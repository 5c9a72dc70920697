"""First wins: repetitions and collisions against the index and inside one delivery."""

from datetime import UTC, datetime
from typing import Any

from services.ingest.domain.decide import decide
from services.ingest.domain.examine import examine_structured
from services.ingest.domain.model import Candidate, Decision, EventKey, Examined, Receipt

LIVE = Receipt("acme", datetime(2026, 3, 2, tzinfo=UTC))


def examined(event_id: str, stage: Any = "a", source: str = "/crm") -> Examined:
    data = {"deal_id": "D", "stage_id": stage}
    event = {"id": event_id, "source": source, "type": "deal.stage_changed", "data": data}
    return examine_structured(event, LIVE)


def shown(decision: Decision) -> list[tuple[str, str | None]]:
    return [(verdict.status, verdict.code) for verdict in decision.verdicts]


def index_of(*events: Examined) -> dict[EventKey, bytes]:
    return {event.key: event.body_hash for event in events if isinstance(event, Candidate)}


def test_a_new_event_enters() -> None:
    decision = decide([examined("1")], {})
    assert shown(decision) == [("accepted", None)]
    assert [c.envelope.id for c in decision.fresh] == ["1"]


def test_an_indexed_event_is_a_duplicate_and_nothing_else_happens() -> None:
    decision = decide([examined("1")], index_of(examined("1")))
    assert shown(decision) == [("duplicate", None)]
    assert not decision.fresh
    assert not decision.conflicts


def test_another_body_under_an_indexed_id_is_kept_aside() -> None:
    decision = decide([examined("1", "b")], index_of(examined("1", "a")))
    assert shown(decision) == [("duplicate", "conflict")]
    assert not decision.fresh
    assert [c.envelope.id for c in decision.conflicts] == ["1"]


def test_a_delivery_is_judged_against_itself() -> None:
    events = [examined("1"), examined("1"), examined("1", "b"), examined("2"), examined("3", 7)]
    decision = decide(events, {})
    assert shown(decision) == [
        ("accepted", None),
        ("duplicate", None),
        ("duplicate", "conflict"),
        ("accepted", None),
        ("rejected", "invalid_field"),
    ]
    assert [c.envelope.id for c in decision.fresh] == ["1", "2"]


def test_a_rejected_event_takes_no_id() -> None:
    assert shown(decide([examined("1", 7), examined("1", "a")], {}))[1] == ("accepted", None)


def test_the_source_is_part_of_the_identity() -> None:
    events = [examined("1", source="/crm"), examined("1", source="/mail")]
    assert shown(decide(events, {})) == [("accepted", None), ("accepted", None)]
