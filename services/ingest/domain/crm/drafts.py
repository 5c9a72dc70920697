"""Events as connectors write them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.common.contracts.cloudevents import IncomingEvent
from services.ingest.domain.crm.fields import whole
from services.ingest.domain.crm.model import Connection

_PLACES = ("stage_id", "pipeline_id")


@dataclass(frozen=True, slots=True)
class Draft:
    """Makes the events of one occurrence at the source: `id` names it, `at` is when it happened.

    `None` for `id` makes a hash of the event's contents its id, `None` for `at` makes the receipt
    its time. An occurrence that means several events gives each a suffix to its id.
    """

    connection: Connection
    id: str | None
    at: datetime | None
    sequence: int | None = None
    actor: str | None = None

    def event(self, type_: str, data: Mapping[str, Any], suffix: str = "") -> IncomingEvent:
        return IncomingEvent(
            id=None if self.id is None else self.id + suffix,
            source=self.connection.source,
            type=type_,
            time=self.at,
            subject=None,
            sequence=self.sequence,
            data=dict(data),
        )

    def skipped(self, type_: str, raw: Any) -> IncomingEvent:
        """What Headway has no use for yet: stored under the vendor's name of it, and skipped."""
        return IncomingEvent(
            self.id, self.connection.source, type_, self.at, None, self.sequence, raw
        )

    def deal(self, type_: str, deal_id: str, suffix: str = "", **data: Any) -> IncomingEvent:
        """An event of a deal, with its actor if one is known; fields of `None` are left out."""
        given = {"deal_id": deal_id, "actor_id": self.actor} | data
        kept = {name: value for name, value in given.items() if value is not None}
        return self.event(type_, kept, suffix)

    def created(self, deal_id: str, fields: Mapping[str, Any], suffix: str = "") -> IncomingEvent:
        """`deal.created`; `fields` as `deal.updated` spells changes."""
        return self.event("deal.created", {"deal_id": deal_id, **whole(fields)}, suffix)

    def changed(
        self, deal_id: str, changes: Mapping[str, Any], previous: Mapping[str, Any] | None = None
    ) -> list[IncomingEvent]:
        """A change of place as `deal.stage_changed`, all else as `deal.updated`.

        `previous` is what the source claims about the time before; it is kept, never believed.
        """
        claimed = previous or {}
        rest = {name: value for name, value in changes.items() if name not in _PLACES}
        events = []
        if changes.get("stage_id") is not None:
            place = {name: changes[name] for name in _PLACES if changes.get(name) is not None}
            came_from = claimed.get("stage_id")
            events.append(
                self.deal("deal.stage_changed", deal_id, "/stage", **place, from_stage_id=came_from)
            )
        elif changes.get("pipeline_id") is not None:
            rest["pipeline_id"] = changes["pipeline_id"]
        if rest:
            held = {name: claimed[name] for name in rest if name in claimed}
            events.append(self.deal("deal.updated", deal_id, changes=rest, previous=held or None))
        return events
