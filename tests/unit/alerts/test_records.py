"""What is published of an alert's life is wholly within its contract."""

from libs.common.contracts.alerts import AlertRecord
from libs.common.contracts.envelope import from_headers
from libs.common.contracts.topics import ALERT_EVENTS
from services.alerts.app.records import record_rows, shown
from services.alerts.domain.reconcile import Moment
from tests.unit.alerts.desk import OFFER, Desk, rule
from tests.unit.alerts.facts import created, facts_of, h, moved

MOMENT = Moment(h(40), h(40), h(40), sandbox=True)


def lived() -> Desk:
    """An alert that is raised, moves, and ends."""
    desk = Desk(rule(limit=10, scope=OFFER, summary="{{elapsed}}"))
    late, early = moved(10, "offer", "late"), moved(5, "offer", "early")
    desk.look(facts_of([created(0), late]), h(25))
    desk.look(facts_of([created(0), early, late]), h(25))
    desk.look(facts_of([created(0), early, late, moved(30, "signed")]), h(35))
    return desk


def test_every_field_of_an_alert_is_one_of_its_contract() -> None:
    for told in lived().records:
        value = {"alert_id": told.alert.alert_id, "version": told.alert.version}
        record = AlertRecord.model_validate({**value, "alert": shown(told.alert)}, extra="forbid")
        assert set(shown(told.alert)) == set(record.alert.model_fields_set)


def test_a_life_is_told_with_its_own_instants() -> None:
    rows = [r for r in record_rows("t", lived().records, MOMENT) if r.topic == ALERT_EVENTS]
    told = [from_headers(row.headers, row.value) for row in rows]
    assert [(envelope.type, envelope.occurred_at) for envelope in told] == [
        ("alert.fired", h(20)), ("alert.corrected", h(15)), ("alert.resolved", h(30)),
    ]  # fmt: skip
    assert len({envelope.id for envelope in told}) == 3
    assert {(envelope.subject, row.key) for envelope, row in zip(told, rows, strict=True)} == {
        ("d1", b"t:d1")
    }


def test_a_repetition_is_byte_identical() -> None:
    records = lived().records
    assert record_rows("t", records, MOMENT) == record_rows("t", records, MOMENT)
