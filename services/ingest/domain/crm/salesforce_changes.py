"""What a change of one record in Salesforce means."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from libs.common.contracts.cloudevents import IncomingEvent
from services.ingest.domain.crm import salesforce
from services.ingest.domain.crm.bodies import Told
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.model import Refresh
from services.ingest.domain.crm.records import account
from services.ingest.domain.crm.salesforce_fields import Fields, of_record, of_update

READ = ("Opportunity", "Account", *salesforce.ACTIVITIES)
_WHOLE = ("CREATE", "UNDELETE", "SNAPSHOT")


def told(
    entity: str,
    kind: str,
    record_id: str,
    header: Mapping[str, Any],
    carried: Mapping[str, Any],
    draft: Draft,
) -> Sequence[Told]:
    """Events, and the record where it has yet to be read; nothing for what is of no use."""
    if entity == "Opportunity" and kind == "DELETE":
        return [draft.deal("deal.deleted", draft.connection.deal(record_id))]
    if entity not in READ or kind not in (*_WHOLE, "UPDATE"):
        return []
    fields = (of_update if kind == "UPDATE" else of_record)(header, carried)
    if entity in salesforce.ACTIVITIES:
        return _activity(entity, kind, record_id, fields, draft)
    wanted: Collection[str] = salesforce.ACCOUNT
    if entity == "Opportunity":
        events = _deal(kind, record_id, fields, draft)
        wanted = {*salesforce.OPPORTUNITY, *salesforce.OUTCOME, *draft.connection.field_map}
    else:
        events = account(draft, record_id, fields.values, salesforce.ACCOUNT)
    reason = fields.unread(wanted)
    return [*events, *([Refresh(entity, record_id, reason)] if reason else [])]


def _deal(kind: str, record_id: str, fields: Fields, draft: Draft) -> list[IncomingEvent]:
    deal_id, record = draft.connection.deal(record_id), fields.values
    ours = salesforce.fields(record, draft)
    match kind:
        case "CREATE":
            made = draft.created(deal_id, ours)
            return [made, *salesforce.end(deal_id, record, draft)]
        case "UPDATE":
            moved = draft.changed(deal_id, ours)
            return [*moved, *salesforce.end_told(deal_id, fields, draft)]
    back = [draft.deal("deal.restored", deal_id, "/back")] if kind == "UNDELETE" else []
    return [*back, *salesforce.whole(deal_id, record, ours, draft)]


def _activity(
    entity: str, kind: str, record_id: str, fields: Fields, draft: Draft
) -> Sequence[Told]:
    """A change names what an activity is about only if that changed: else it has to be read. A
    task that is told whole again has not been done again."""
    if kind in ("UNDELETE", "SNAPSHOT"):
        return []
    values, new = fields.values, kind == "CREATE"
    if new or any(name in values for name in salesforce.TELLING):
        event = salesforce.activity(entity, record_id, values, draft, new=new)
        if event is not None:
            return [event]
    if new:
        return []
    relevant = fields.unread(salesforce.TELLING) or any(
        name in values for name in (*salesforce.TELLING, *salesforce.ABOUT)
    )
    return [Refresh(entity, record_id, "partial")] if relevant else []
