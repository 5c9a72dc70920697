"""What names a change of EspoCRM, and orders it, where it tells no time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any

from services.ingest.domain.crm.bodies import digest, happened
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.fields import ident
from services.ingest.domain.crm.model import Connection, Delivery
from services.ingest.domain.crm.times import iso

_AT_ONCE = timedelta(minutes=1)
"""EspoCRM sends what is due of a webhook once in a run of its job, and runs it no more often."""


@dataclass(frozen=True, slots=True)
class Sending:
    """A delivery, and what its URL says of it: `Opportunity.update` is an entity and an action."""

    event: str
    body: str
    period: int | None
    """The number of the `_AT_ONCE` in which it was received, since 1970."""

    @property
    def entity(self) -> str:
        return self.event.split(".")[0]

    @property
    def action(self) -> str:
        """Empty where the URL does not say."""
        return [*self.event.split("."), ""][1]


def sending(delivery: Delivery, event: str) -> Sending:
    at = delivery.received_at
    period = None if at is None else int(at.timestamp() // _AT_ONCE.total_seconds())
    return Sending(event, sha256(delivery.body).hexdigest(), period)


def draft(part: Mapping[str, Any], place: int, sent: Sending, connection: Connection) -> Draft:
    """A record at this place of its list.

    A creation happens once, and a time names a change: one of whole seconds, in which a record may
    change twice, so that its contents name it too. But EspoCRM leaves `modifiedAt` out of changes,
    and tells of a deletion the id alone. Then the time is that of the receipt, the place orders
    what a list tells, and the body and the minute name it: a record may come to a state again, and
    no change must be lost for that. The same body within a minute is the same sending. What EspoCRM
    tries again after ten minutes cannot be told from a change back: it enters again, and says what
    is known. What other keys would lose is measured in ADR 0018.
    """
    modified = happened("modifiedAt", part.get("modifiedAt"), iso)
    created = happened("createdAt", part.get("createdAt"), iso)
    at = (created or modified) if sent.action == "create" else (modified or created)
    named = (sent.event, ident(part.get("id")), part)
    actor = ident(part.get("modifiedById"))
    if at is not None or sent.action == "create":
        return Draft(connection, digest(*named), at, actor=actor)
    return Draft(connection, digest(*named, sent.body, sent.period, place), None, place, actor)
