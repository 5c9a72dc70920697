"""Whole records of a vendor."""

from collections.abc import Mapping
from typing import Any

from libs.common.contracts.cloudevents import IncomingEvent
from services.ingest.domain.crm.bodies import Puzzling
from services.ingest.domain.crm.drafts import Draft
from services.ingest.domain.crm.fields import ident, spelled


def named(record: Mapping[str, Any], *names: str) -> str:
    """The id of a record, under the first of these names that has one."""
    for name in names:
        if (given := ident(record.get(name))) is not None:
            return given
    raise Puzzling("missing_id", f"{names[0]} names no record")


def without(record: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The record without what differs from one attempt to deliver it to the next: under the id of
    the first, another body would be a conflict."""
    return {name: value for name, value in record.items() if name not in names}


def account(
    draft: Draft, account_id: str, record: Mapping[str, Any], table: Mapping[str, str]
) -> list[IncomingEvent]:
    """`account.upserted` with what the record tells, if that is of use. It cannot clear a field."""
    given = {
        table[name]: spelled(table[name], value, draft.connection)
        for name, value in record.items()
        if name in table
    }
    told = {name: value for name, value in given.items() if value is not None}
    return [draft.event("account.upserted", {"account_id": account_id, **told})] if told else []
