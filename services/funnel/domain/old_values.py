"""Old values as sources claim them, beside what our own log had there.

A claim is never believed: it is compared where a timeline is read, and changes nothing of a deal.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from libs.common.contracts import events as ev
from services.funnel.domain.deal import DealFold
from services.funnel.domain.model import FoldEvent, JsonObject

_Field = tuple[str, str]


@dataclass(frozen=True, slots=True)
class OldValue:
    """`held` is what the fold had in `field` just before the event; `None` is no value."""

    field: str
    claimed: Any
    held: Any
    mismatch: bool


@dataclass(frozen=True, slots=True)
class _Claim:
    """`now` is the value that the event gives the field, if it gives one."""

    field: str
    was: Any
    now: Any

    def repeats(self, other: "_Claim") -> bool:
        return same(self.field, self.was, other.was) and same(self.field, self.now, other.now)


class OldValues:
    """Judges the claims of a group's events, one after another in total order."""

    def __init__(self) -> None:
        self._told: set[_Field] = set()
        self._last: dict[_Field, tuple[_Claim, OldValue]] = {}

    def of(self, event: FoldEvent, deal_id: str, deal: DealFold | None) -> tuple[OldValue, ...]:
        """Of an event that is about to fold into `deal`; `None` while nothing was said of it."""
        judged = tuple(self._judged(claim, deal_id, deal) for claim in _claims(event.data))
        if isinstance(event.data, ev.DealUpdated):
            self._told |= {(deal_id, name) for name in event.data.changes}
        return judged

    def _judged(self, claim: _Claim, deal_id: str, deal: DealFold | None) -> OldValue:
        """A change that is told again is judged as when it was told first: meanwhile the log has
        what it changed to."""
        place, held = (deal_id, claim.field), _held(deal, claim.field)
        last = self._last.get(place)
        if last and claim.repeats(last[0]) and same(claim.field, held, claim.now):
            return last[1]
        known = held is not None or place in self._told or (deal is not None and deal.created)
        differs = known and not _agrees(claim, held, deal)
        self._last[place] = claim, OldValue(claim.field, claim.was, held, differs)
        return self._last[place][1]


def same(field: str, one: Any, other: Any) -> bool:
    """Attributes are JSON, where `true` and `1` differ, as they do in history."""
    if field.startswith(ev.ATTRIBUTE):
        return JsonObject(value=one) == JsonObject(value=other)
    return bool(one == other)


def _agrees(claim: _Claim, held: Any, deal: DealFold | None) -> bool:
    """A closed deal may also be claimed to be where it was closed: there are CRMs in which it stays
    in its stage."""
    if same(claim.field, claim.was, held):
        return True
    if deal is None or claim.field != "stage_id":
        return False
    return deal.stage_class in ("won", "lost") and bool(claim.was == deal.last_open_stage)


def _held(deal: DealFold | None, field: str) -> Any:
    """The deal's own value, without what its account or owner would fill in."""
    if deal is None:
        return None
    if field.startswith(ev.ATTRIBUTE):
        return deal.attributes.get(field.removeprefix(ev.ATTRIBUTE))
    return deal.fields[field] if field in deal.fields else getattr(deal, field)


def _claims(data: ev.EventData) -> Iterator[_Claim]:
    match data:
        case ev.DealStageChanged(from_stage_id=str(came_from)):
            yield _Claim("stage_id", came_from, data.stage_id)
        case ev.DealUpdated(previous=previous) if previous:
            now = data.typed_changes()
            for field in sorted(filter(_is_field, previous)):
                yield _Claim(field, _read(field, previous), now.get(field))


def _is_field(name: str) -> bool:
    is_attribute = name.startswith(ev.ATTRIBUTE) and name != ev.ATTRIBUTE
    return is_attribute or name in ev.DealFields.model_fields


def _read(field: str, previous: Mapping[str, Any]) -> Any:
    """In the field's type; what cannot be read so stays as it came, for nobody has checked it."""
    try:
        return ev.typed_changes({field: previous[field]})[field]
    except ValidationError:
        return previous[field]
