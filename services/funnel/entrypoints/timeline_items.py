"""The items of a deal's timeline and their places in it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from services.funnel.domain.alerts import ShownAlert
from services.funnel.domain.model import FoldEvent
from services.funnel.domain.old_values import OldValue
from services.funnel.domain.timeline import Change, Moment

Key = tuple[datetime, bool, tuple[Any, ...], int]
"""The place of an item: its instant, whether it is an alert (those come after all events of their
instant), then the event's place in the total order or the alert's id, then its own number."""
Placed = tuple[Key, dict[str, Any]]


def items(moments: Sequence[Moment], alerts: Sequence[ShownAlert]) -> list[Placed]:
    """All items, oldest first."""
    placed = [item for moment in moments for item in _of_event(moment)]
    placed += [_of_alert(alert) for alert in alerts]
    return sorted(placed, key=lambda item: item[0])


def key_of(place: Sequence[Any]) -> Key:
    """The place that a cursor's JSON holds."""
    at, is_alert, rest, number = place
    return datetime.fromisoformat(at), is_alert, tuple(rest), number


def _of_event(moment: Moment) -> Iterator[Placed]:
    at, *rest = moment.event.order
    for number, item in enumerate(_said_and_changed(moment)):
        yield (at, False, tuple(rest), number), item


def _said_and_changed(moment: Moment) -> Iterator[dict[str, Any]]:
    """The saying itself, then its changes; read from the end the changes come first."""
    kind = "activity" if moment.is_activity else "event"
    said = moment.event.data.model_dump(mode="json", exclude_unset=True)
    yield _head(moment.event, kind) | {"data": said} | _claimed(moment.old_values)
    for change in moment.changes:
        yield _head(moment.event, "change") | _changed(change)


def _head(event: FoldEvent, kind: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "at": event.occurred_at,
        "recorded_at": event.recorded_at,
        "event_id": event.id,
        "source": event.source,
        "type": event.type,
        "actor_id": getattr(event.data, "actor_id", None),
    }


def _claimed(old_values: Sequence[OldValue]) -> dict[str, Any]:
    """Only of what carries a claim; an old value is null where there is none."""
    if not old_values:
        return {}
    each = [
        {"field": one.field, "claimed": one.claimed, "ours": one.held, "mismatch": one.mismatch}
        for one in old_values
    ]
    return {"old_values": each, "old_value_mismatch": any(one.mismatch for one in old_values)}


def _changed(change: Change) -> dict[str, Any]:
    return {"deal_id": change.deal_id, "field": change.field, "from": change.was, "to": change.now}


def _of_alert(shown: ShownAlert) -> Placed:
    """The alert where its violation began; its event is the one that started the clock."""
    alert, claim = shown.alert, shown.claim
    source, event_id = claim.event
    item = {
        "kind": "alert",
        "at": claim.started_at,
        "recorded_at": alert.detected_at,
        "event_id": event_id,
        "source": source,
        "type": "alert.fired",
        "actor_id": None,
        "deal_id": alert.deal_id,
        "alert": _facts(shown),
    }
    return (claim.started_at, True, (alert.alert_id,), 0), item


def _facts(shown: ShownAlert) -> dict[str, Any]:
    ended = {"resolved_at": shown.claim.resolved_at, "resolution": shown.claim.resolution}
    return {"id": shown.alert.alert_id, "state": shown.state, **shown.alert.texts, **ended}
