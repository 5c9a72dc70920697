"""A deal's timeline: what was said of it, and what each saying changed.

The union over the deals that ended in it: before a merge theirs, from it on its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.common.contracts import events as ev
from services.funnel.domain.fold import GroupFold, is_context
from services.funnel.domain.model import Facts, FoldEvent, JsonObject

_ATTRIBUTE = "attributes."


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one deal; `was` and `now` are `None` where there is no value."""

    deal_id: str
    field: str
    was: Any
    now: Any


@dataclass(frozen=True, slots=True)
class Moment:
    """An event and the changes that followed from it."""

    event: FoldEvent
    changes: Sequence[Change]

    @property
    def is_activity(self) -> bool:
        return isinstance(self.event.data, ev.ActivityData)

    @property
    def is_context(self) -> bool:
        return is_context(self.event)


def timeline(
    deal_id: str, known: Sequence[FoldEvent], valid_at: datetime, fold: GroupFold
) -> list[Moment]:
    """Oldest first, up to `valid_at`; `known` is the group's stream, `fold` knows it, unfolded."""
    moments: list[tuple[frozenset[str], Moment]] = []
    for event in known:
        if event.occurred_at > valid_at:
            break
        before = _facts(fold)
        about = frozenset() if is_context(event) else frozenset((fold.target(event),))
        fold.extend([event])
        changes = list(_changes(before, _facts(fold)))
        moments.append((about | {change.deal_id for change in changes}, Moment(event, changes)))
    held = united(deal_id, fold)
    return [_own(moment, held) for about, moment in moments if about & held]


def united(deal_id: str, fold: GroupFold) -> set[str]:
    """The deal and those that ended in it, as far as the fold has come."""
    return {deal for deal in fold.deals if deal_id in fold.lineage(deal)}


def _own(moment: Moment, deals: set[str]) -> Moment:
    return Moment(moment.event, [c for c in moment.changes if c.deal_id in deals])


def _facts(fold: GroupFold) -> dict[str, Mapping[str, Any]]:
    return {deal: _flat(held.facts(fold.context)) for deal, held in fold.deals.items()}


def _flat(facts: Facts) -> Mapping[str, Any]:
    fields = facts._asdict()
    attributes = fields.pop("attributes")
    return fields | {f"{_ATTRIBUTE}{name}": value for name, value in attributes.items()}


def _changes(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> Iterator[Change]:
    for deal_id, now in after.items():
        was = before.get(deal_id, {})
        for field in sorted(was.keys() | now.keys()):
            if not _same(field, was.get(field), now.get(field)):
                yield Change(deal_id, field, was.get(field), now.get(field))


def _same(field: str, was: Any, now: Any) -> bool:
    """Attributes are JSON, where `true` and `1` differ, as they do in history."""
    if field.startswith(_ATTRIBUTE):
        return JsonObject(value=was) == JsonObject(value=now)
    return bool(was == now)
