"""What funnel publishes: `deal.state_changed`, `deal.watermark`, context events as they came."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from libs.common.contracts.deals import decimal_string
from libs.common.contracts.envelope import Envelope, to_headers
from libs.common.contracts.topics import CONTEXT, DEALS
from libs.common.db.outbox import OutboxRow
from libs.common.ids import uuid5
from services.funnel.app.model import Catalogue, Cause, Change, Incoming
from services.funnel.domain.model import DealState, Facts

SOURCE = "/headway/funnel"
_SCALARS = (
    "stage_class", "stage_entered_at", "created_at", "closed_at", "owner_id", "team_id",
    "account_id", "region", "product_line", "customer_type", "industry", "source",
    "channel_partner_id", "expected_close_date", "push_count", "renewal_date", "lost_reason",
)  # fmt: skip


def state_fields(state: DealState, catalogue: Catalogue) -> dict[str, Any]:
    """The state as clients see it, less `version`; instants, dates and decimals as values."""
    facts = state.facts
    return {
        "deal_id": state.deal_id,
        "pipeline_id": facts.pipeline_id,
        "name": facts.name,
        "status": facts.status,
        "life": facts.life,
        "stage_id": facts.stage_id,
        "stage_name": catalogue.stage_name(facts.pipeline_id, facts.stage_id),
        **{name: getattr(facts, name) for name in _SCALARS},
        "amount": _money(facts),
        **state.activity._asdict(),
        "merged_into": facts.merged_into,
        "attributes": facts.attributes,
        "last_event_at": state.last_event_at,
        "recorded_at": state.recorded_at,
    }


def _money(facts: Facts) -> dict[str, Any] | None:
    """Without the zeros that its column or its source put behind it: one amount, one spelling."""
    if facts.amount is None:
        return None
    return {"amount": facts.amount.normalize(), "currency": facts.currency}


def deal_rows(changes: Sequence[Change], catalogues: Mapping[str, Catalogue]) -> list[OutboxRow]:
    """One record per change, in the order given."""
    spelled: dict[int, dict[str, Any]] = {}  # what one record ends with, the next begins with
    return [_deal_row(change, catalogues[change.tenant_id], spelled) for change in changes]


def _deal_row(
    change: Change, catalogue: Catalogue, spelled: dict[int, dict[str, Any]]
) -> OutboxRow:
    after, before = state_fields(change.after, catalogue), None
    if change.before is not None:
        before = spelled.get(id(change.before)) or state_fields(change.before, catalogue)
    spelled[id(change.after)] = after
    value = {
        "deal_id": change.deal_id,
        "version": change.version,
        "state": after | {"version": change.version},
        "changed": _changed(before, after),
        "cause": _cause(change.cause),
        "corrected": change.corrected_from is not None,
        "corrected_from": change.corrected_from,
    }
    return OutboxRow(
        tenant_id=change.tenant_id,
        topic=DEALS,
        key=f"{change.tenant_id}:{change.deal_id}".encode(),
        value=json_bytes(value),
        headers=to_headers(_envelope(change)),
    )


def _changed(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> dict[str, Any]:
    if before is None:
        return {n: {"from": None, "to": v} for n, v in after.items() if v not in (None, {})}
    return {n: {"from": before[n], "to": v} for n, v in after.items() if before[n] != v}


def _cause(cause: Cause) -> dict[str, Any]:
    return {
        "id": cause.id,
        "source": cause.source,
        "type": cause.type,
        "occurred_at": cause.occurred_at,
        "data": orjson.Fragment(cause.data),
    }


def _envelope(change: Change) -> Envelope:
    """Everything in it follows from the change, so a repeat is byte-identical."""
    cause = change.cause
    return Envelope(
        tenant_id=change.tenant_id,
        source=SOURCE,
        id=str(uuid5(change.tenant_id, change.deal_id, str(change.version))),
        type="deal.state_changed",
        occurred_at=cause.occurred_at,
        recorded_at=cause.recorded_at,
        data=b"",
        subject=change.deal_id,
        origin="live" if cause.origin == "live" else "backfill",
        correlation_id=cause.correlation_id or cause.id,
        causation_id=cause.id,
    )


def context_rows(new: Sequence[Incoming]) -> list[OutboxRow]:
    """Every new event that is neither a deal's nor a deal's activity, untouched."""
    return [
        OutboxRow(
            tenant_id=item.envelope.tenant_id,
            topic=CONTEXT,
            key=f"{item.envelope.tenant_id}:{item.kind}:{item.subject}".encode(),
            value=item.envelope.data,
            headers=to_headers(item.envelope),
        )
        for item in new
        if item.kind != "deal" and not item.envelope.type.startswith("deal.")
    ]


def watermark_row(tenant_id: str, watermark: datetime, partition: int) -> OutboxRow:
    """Everything accepted live before `watermark` has been published before this record."""
    envelope = Envelope(
        tenant_id=tenant_id,
        source=SOURCE,
        id=str(uuid5("watermark", str(partition), watermark.isoformat())),
        type="deal.watermark",
        occurred_at=watermark,
        recorded_at=watermark,
        data=b"",
    )
    return OutboxRow(
        tenant_id=tenant_id,
        topic=DEALS,
        key=None,
        value=json_bytes({"watermark": watermark, "partition": partition}),
        headers=to_headers(envelope),
        partition=partition,
    )


def json_bytes(value: Any) -> bytes:
    """JSON with instants in UTC (`Z`) and decimals as text."""
    return orjson.dumps(value, default=_decimal, option=orjson.OPT_UTC_Z)


def _decimal(value: object) -> str:
    if isinstance(value, Decimal):
        return decimal_string(value)
    raise TypeError(f"no JSON form for {type(value)}")
