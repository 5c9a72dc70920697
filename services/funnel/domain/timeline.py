"""A deal's timeline: what was said of it, and what each saying changed.

The union over the deals that ended in it: before a merge theirs, from it on its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from libs.common.contracts import events as ev
from services.funnel.domain.fold import GroupFold, is_context
from services.funnel.domain.model import Facts, FoldEvent
from services.funnel.domain.old_values import OldValue, OldValues, same


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one deal; `was` and `now` are `None` where there is no value."""

    deal_id: str
    field: str
    was: Any
    now: Any


@dataclass(frozen=True, slots=True)
class Moment:
    """An event, the changes that followed from it, and the old values that its source claims."""

    event: FoldEvent
    changes: Sequence[Change]
    old_values: Sequence[OldValue] = ()

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
    old_values = OldValues()
    for event in known:
        if event.occurred_at > valid_at:
            break
        moments.append(_moment(event, fold, old_values))
    held = united(deal_id, fold)
    return [_own(moment, held) for about, moment in moments if about & held]


def _moment(
    event: FoldEvent, fold: GroupFold, old_values: OldValues
) -> tuple[frozenset[str], Moment]:
    """Fold the event; with the deals that it is about or that it changed."""
    before = _facts(fold)
    target = None if is_context(event) else fold.target(event)
    claimed = () if target is None else old_values.of(event, target, fold.deals.get(target))
    fold.extend([event])
    changes = list(_changes(before, _facts(fold)))
    about = {change.deal_id for change in changes} | ({target} if target is not None else set())
    return frozenset(about), Moment(event, changes, claimed)


def united(deal_id: str, fold: GroupFold) -> set[str]:
    """The deal and those that ended in it, as far as the fold has come."""
    return {deal for deal in fold.deals if deal_id in fold.lineage(deal)}


def _own(moment: Moment, deals: set[str]) -> Moment:
    return replace(moment, changes=[c for c in moment.changes if c.deal_id in deals])


def _facts(fold: GroupFold) -> dict[str, Mapping[str, Any]]:
    return {deal: _flat(held.facts(fold.context)) for deal, held in fold.deals.items()}


def _flat(facts: Facts) -> Mapping[str, Any]:
    fields = facts._asdict()
    attributes = fields.pop("attributes")
    return fields | {f"{ev.ATTRIBUTE}{name}": value for name, value in attributes.items()}


def _changes(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> Iterator[Change]:
    for deal_id, now in after.items():
        was = before.get(deal_id, {})
        for field in sorted(was.keys() | now.keys()):
            if not same(field, was.get(field), now.get(field)):
                yield Change(deal_id, field, was.get(field), now.get(field))
