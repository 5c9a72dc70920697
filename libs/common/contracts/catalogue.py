"""From a type's name and raw JSON to its model, and from an event to its key in the log."""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from libs.common.contracts import events
from libs.common.contracts.errors import ContractViolation, Violation

MAX_ATTRIBUTES_BYTES = 64 * 1024


def _leaves(base: type[events.EventData]) -> Iterator[type[events.EventData]]:
    for child in base.__subclasses__():
        if "event_type" in vars(child):
            yield child
        yield from _leaves(child)


CATALOGUE: dict[str, type[events.EventData]] = {m.event_type: m for m in _leaves(events.EventData)}
"""Every known type; any other type is stored and skipped."""

_CODES = {"missing": "missing_field", "extra_forbidden": "unknown_field"}


def parse(event_type: str, data: Any, *, strict: bool) -> events.EventData | None:
    """Model of `data` (decoded JSON or its bytes); `None` for an unknown type.

    `strict` refuses unknown fields, as writers must. Raises `ContractViolation`.
    """
    model = CATALOGUE.get(event_type)
    if model is None:
        return None
    check = model.model_validate_json if isinstance(data, bytes | str) else model.model_validate
    try:
        return check(data, extra="forbid" if strict else "ignore")
    except ValidationError as error:
        raise ContractViolation(*map(_violation, error.errors(include_url=False))) from None


def _violation(error: Any) -> Violation:
    pointer = "/data" + "".join(f"/{_escape(str(part))}" for part in error["loc"])
    named = re.match(r"Value error, unknown field in changes: (.*)", error["msg"], re.S)
    if named:
        return Violation(
            "unknown_field", f"/data/changes/{_escape(named[1])}", "not a field of deal.created"
        )
    code = _CODES.get(error["type"], "invalid_field")
    return Violation(code, pointer, error["msg"].removeprefix("Value error, "))


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


_BY_PREFIX = {
    "deal": ("deal_id",),
    "activity": ("deal_id", "lead_id", "account_id"),
    "lead": ("lead_id",),
    "account": ("account_id",),
    "usage": ("account_id",),
    "survey": ("account_id",),
    "order": ("account_id",),
    "user": ("user_id",),
    "team": ("team_id",),
}


def subject_of(event_type: str, event_id: str, data: events.EventData | None) -> tuple[str, str]:
    """`(kind, id)` of what the event is about; it keys the log and the events of a deal."""
    fields = _BY_PREFIX.get(event_type.partition(".")[0], ())
    for field in fields if data is not None else ():
        if value := getattr(data, field):
            return field.removesuffix("_id"), value
    return "event", event_id


def log_key(tenant_id: str, subject_id: str) -> bytes:
    """`tenant:id`, the record key on `headway.crm.events.v1`."""
    return f"{tenant_id}:{subject_id}".encode()
