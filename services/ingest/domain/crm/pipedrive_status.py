"""How Pipedrive's deals end and open again. Version 2 does not reliably name what changed, so that
an outcome may show by its times only; what shows by nothing is not told."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeGuard

from services.ingest.domain.crm.bodies import Told
from services.ingest.domain.crm.pipedrive_notice import Notice
from services.ingest.domain.crm.times import iso

_TIMES = ("won_time", "lost_time", "close_time")
_ENDS = {"won": ("won_time", "close_time"), "lost": ("lost_time", "close_time")}


def was(notice: Notice) -> Any:
    """The status before a change; `None` where nothing shows that it was another. Where times show
    it, `open` stands for all that the deal was before it ended, and `closed` for won or lost."""
    named = notice.before.get("status")
    if named is not None or notice.whole:
        return named
    status = notice.fields.get("status")
    if status == "open":
        return "closed" if any(_emptied(notice, name) for name in _TIMES) else None
    if not _ended(status):
        return None
    shown = any(name in notice.before for name in _TIMES) or _ended_now(notice, status)
    return "open" if shown else None


def outcome(notice: Notice, deal_id: str, was: Any, stage_id: Any) -> Iterable[Told]:
    """What came of a deal whose status was `was`. It is told at the time of the change, as its
    `won_time` may be set to one before moves, which would then open the deal again."""
    draft, record = notice.draft, notice.fields
    status, reason = record.get("status"), record.get("lost_reason") or None
    if status == "lost" and (was not in (None, "lost") or "lost_reason" in notice.before):
        yield draft.deal("deal.lost", deal_id, "/status", reason_text=reason)
    elif was in (None, status):
        return
    elif status == "won":
        yield draft.deal("deal.won", deal_id, "/status")
    elif status == "deleted":
        yield draft.deal("deal.deleted", deal_id, "/status")
    elif was == "deleted":
        yield draft.deal("deal.restored", deal_id, "/status")
    elif status == "open":
        yield draft.deal("deal.reopened", deal_id, "/status", stage_id=stage_id)


def unclear(notice: Notice) -> bool:
    """Whether the status may have changed, and neither `previous` nor a time shows it. An edit of a
    deal that ended before is clear by its time."""
    if notice.whole or was(notice) is not None:
        return False
    status = notice.fields.get("status")
    if _ended(status):
        return _ended_at(notice, status) is None
    return status != "open" or any(map(notice.before.get, (*_TIMES, "lost_reason")))


def _ended(status: Any) -> TypeGuard[str]:
    return isinstance(status, str) and status in _ENDS


def _emptied(notice: Notice, name: str) -> bool:
    return bool(notice.before.get(name)) and not notice.fields.get(name)


def _ended_now(notice: Notice, status: str) -> bool:
    """In the second of the change, or with the record's last one: times have whole seconds."""
    ended, at = _ended_at(notice, status), notice.draft.at
    moments = (iso(notice.fields.get("update_time")), at and at.replace(microsecond=0))
    return ended is not None and ended in moments


def _ended_at(notice: Notice, status: str) -> datetime | None:
    times = (iso(notice.fields.get(name)) for name in _ENDS[status])
    return next((at.replace(microsecond=0) for at in times if at is not None), None)
