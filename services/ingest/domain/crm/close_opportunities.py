"""Close's opportunities: their status is both the stage and, by its type, the outcome."""

from collections.abc import Iterable, Mapping
from typing import Any

from services.ingest.domain.crm.bodies import Puzzling, Told
from services.ingest.domain.crm.close_entry import Entry
from services.ingest.domain.crm.fields import changes, ident

_TABLE = {
    "lead_name": "name", "value": "amount", "value_currency": "currency", "status_id": "stage_id",
    "pipeline_id": "pipeline_id", "user_id": "owner_id", "lead_id": "account_id",
    "date_won": "expected_close_date", "value_period": "attributes.value_period",
}  # fmt: skip
_STATUS = {"status_id", "status_type"}
_OUTCOMES = {"won": "deal.won", "lost": "deal.lost"}


def told(entry: Entry) -> Iterable[Told]:
    match entry.action:
        case "created":
            return _created(entry)
        case "updated":
            return _updated(entry)
        case "deleted":
            return [entry.draft.deal("deal.deleted", _deal(entry))]
    return ()


def _deal(entry: Entry) -> str:
    return entry.draft.connection.deal(entry.object_id)


def _created(entry: Entry) -> Iterable[Told]:
    record = _spelled({"lead_id": entry.lead_id, **entry.data}, entry)
    yield entry.draft.created(_deal(entry), changes(record, _TABLE, entry.draft.connection))
    yield from _outcome(entry, _deal(entry))


def _updated(entry: Entry) -> Iterable[Told]:
    if not entry.data:
        raise Puzzling("missing_record", "an update without the opportunity")
    names = entry.changed | ({"pipeline_id"} if "status_id" in entry.changed else set())
    now = {name: value for name, value in entry.data.items() if name in names}
    connection = entry.draft.connection
    claimed = changes(_spelled(entry.before, entry), _TABLE, connection)
    claimed["stage_id"] = ident(claimed.get("stage_id"))
    given = changes(_spelled(now, entry), _TABLE, connection)
    yield from entry.draft.changed(_deal(entry), given, claimed)
    if entry.changed & _STATUS:
        yield from _outcome(entry, _deal(entry))


def _outcome(entry: Entry, deal_id: str) -> Iterable[Told]:
    draft, status = entry.draft, entry.data.get("status_type")
    if status in ("won", "lost"):
        yield draft.deal(_OUTCOMES[status], deal_id, "/status")
    elif status == "active" and entry.before.get("status_type") in ("won", "lost"):
        stage = changes({"status_id": entry.data.get("status_id")}, _TABLE, draft.connection)
        yield draft.deal("deal.reopened", deal_id, "/status", stage_id=stage.get("stage_id"))


def _spelled(record: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    """Money is in cents. While an opportunity is active, `date_won` is the day its winning is
    expected on; afterwards it says when it was won."""
    spelled = {name: value for name, value in record.items() if name != "date_won"}
    if "date_won" in record and entry.data.get("status_type") == "active":
        spelled["date_won"] = record["date_won"]
    if "value" in record:
        spelled["value"] = _from_cents(record["value"])
    return spelled


def _from_cents(value: Any) -> Any:
    cents = ident(value)
    if cents is None or not cents.removeprefix("-").isdecimal() or not cents.isascii():
        return value
    sign, digits = ("-", cents[1:]) if cents.startswith("-") else ("", cents)
    return f"{sign}{digits[:-2] or '0'}.{digits[-2:].zfill(2)}"
