"""Pipedrive's deals. Their status is apart from their stage: a won deal stays where it was won."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.ingest.domain.crm.bodies import Puzzling, Told
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.fields import changes, ident, name_of
from services.ingest.domain.crm.model import Refresh
from services.ingest.domain.crm.pipedrive_notice import Notice
from services.ingest.domain.crm.pipedrive_status import outcome, unclear, was
from services.ingest.domain.crm.times import iso

_TABLE = {
    "title": "name", "value": "amount", "currency": "currency", "stage_id": "stage_id",
    "pipeline_id": "pipeline_id", "user_id": "owner_id", "owner_id": "owner_id",
    "org_id": "account_id", "expected_close_date": "expected_close_date",
}  # fmt: skip
_PLACES = ("stage_id", "pipeline_id")
_NOT_OPEN = ("won", "lost", "deleted")


def told(notice: Notice) -> Iterable[Told]:
    match notice.action:
        case "create":
            return _created(notice)
        case "change":
            return _changed(notice)
        case "delete":
            return _gone(notice)
        case "merge":
            return _merged(notice)
    return ()


def _created(notice: Notice) -> Iterable[Told]:
    deal_id, record = notice.draft.connection.deal(notice.id), notice.fields
    yield notice.draft.created(deal_id, changes(record, _TABLE, notice.draft.connection))
    if record.get("status") in _NOT_OPEN:
        yield from outcome(notice, deal_id, "open", None)


def _changed(notice: Notice) -> Iterable[Told]:
    """`before` is not reliably complete, so the whole record is told, open deals with their place;
    the stage of a closed one would reopen it."""
    draft, record = notice.draft, notice.fields
    if not record:
        raise Puzzling("missing_record", "a change without the record")
    deal_id = draft.connection.deal(notice.id)
    claimed = _claimed(notice)
    given = changes(record, _TABLE, draft.connection)
    place = {name: given.pop(name) for name in _PLACES if name in given}
    is_open = record.get("status") not in _NOT_OPEN
    before = was(notice)
    moved_at = _moved_at(notice) if is_open or before is not None else None
    if "stage_id" in place and moved_at is not None:
        yield _move(replace(draft, at=moved_at[0]), deal_id, place, claimed)
    if is_open and (moved_at is None or moved_at[0] != draft.at or "stage_id" not in place):
        given |= place
    if given:
        held = {name: claimed[name] for name in given if name in claimed}
        yield draft.deal("deal.updated", deal_id, changes=given, previous=held or None)
    yield from outcome(notice, deal_id, before, place.get("stage_id"))
    if unclear(notice):
        yield Refresh("deal", notice.id, "partial")


def _claimed(notice: Notice) -> dict[str, Any]:
    return changes(notice.before, _TABLE, notice.draft.connection)


def _moved_at(notice: Notice) -> tuple[datetime | None] | None:
    """When the deal moved, as far as it is told; `None` if it did not. `stage_change_time` has
    whole seconds: one in the second of the event itself must not put it before its neighbours."""
    names = (name_of(vendor, _TABLE, notice.draft.connection) for vendor in notice.before)
    if not any(name in _PLACES for name in names):
        return None
    at, moved = notice.draft.at, iso(notice.fields.get("stage_change_time"))
    if at is None or moved is None:
        return (at or moved,)
    return (min(at, moved) if moved < at.replace(microsecond=0) else at,)


def _move(draft: Draft, deal_id: str, place: Mapping[str, Any], claimed: Mapping[str, Any]) -> Told:
    came_from = ident(claimed.get("stage_id"))
    return draft.deal("deal.stage_changed", deal_id, "/stage", **place, from_stage_id=came_from)


def _gone(notice: Notice) -> Iterable[Told]:
    """In v2 a merge is the deletion of the one that ends, and a change of the other."""
    draft = notice.draft
    deal_id = draft.connection.deal(notice.id)
    into = ident(notice.meta.get("merged_to_id")) or ident(notice.fields.get("merged_to_id"))
    if into is None or into == notice.id:
        return [draft.deal("deal.deleted", deal_id)]
    return [draft.deal("deal.merged", draft.connection.deal(into), merged_deal_ids=[deal_id])]


def _merged(notice: Notice) -> Iterable[Told]:
    """v1 tells of a merge with the survivor's record, which names what ended in it."""
    draft, into = notice.draft, ident(notice.fields.get("id")) or notice.id
    ended = ident(notice.fields.get("merge_what_id"))
    if ended is None or ended == into:
        return [Refresh("deal", into, "partial")]
    survivor, merged = draft.connection.deal(into), draft.connection.deal(ended)
    return [draft.deal("deal.merged", survivor, merged_deal_ids=[merged])]
