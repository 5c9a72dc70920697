"""From a type's name and raw JSON to its model, and from an event to its key in the log."""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from libs.common.contracts import events
from libs.common.contracts.cloudevents import canonical
from libs.common.contracts.errors import ContractViolation, Violation, pointer

MAX_ATTRIBUTES_BYTES = 64 * 1024


def _leaves(base: type[events.EventData]) -> Iterator[type[events.EventData]]:
    for child in base.__subclasses__():
        if "event_type" in vars(child):
            yield child
        yield from _leaves(child)


CATALOGUE: dict[str, type[events.EventData]] = {m.event_type: m for m in _leaves(events.EventData)}
"""Every known type; any other type is stored and skipped."""

_CODES = {
    "missing": "missing_field",
    "extra_forbidden": "unknown_field",
    "unknown_field": "unknown_field",
}


def parse(event_type: str, data: Any, *, strict: bool) -> events.EventData | None:
    """Model of `data`; `None` for an unknown type.

    Bytes are raw JSON, everything else is decoded already: a text is a JSON string, and no model.
    `strict` is for writers: unknown fields, oversized attributes and what is only like a boolean
    or a number are refused. Raises `ContractViolation`.
    """
    model = CATALOGUE.get(event_type)
    if model is None:
        return None
    check = model.model_validate_json if isinstance(data, bytes) else model.model_validate
    try:
        parsed = check(data, extra="forbid" if strict else "ignore", context=strict)
    except ValidationError as error:
        raise ContractViolation(*map(_violation, error.errors(include_url=False))) from None
    if strict:
        _name_attributes(parsed)
        _limit_attributes(parsed)
    return parsed


def _violation(error: Any) -> Violation:
    code = _CODES.get(error["type"], "invalid_field")
    return Violation(
        code, pointer(("data", *error["loc"])), error["msg"].removeprefix("Value error, ")
    )


def _name_attributes(event: events.EventData) -> None:
    """What has no name could be set and never cleared, since `attributes.` names nothing."""
    if isinstance(event, events.DealCreated) and "" in event.attributes:
        raise ContractViolation(
            Violation("invalid_field", "/data/attributes/", "an attribute must have a name")
        )


def _limit_attributes(event: events.EventData) -> None:
    """A deal's attributes are bounded in all; this is the share of one event."""
    match event:
        case events.DealCreated(attributes=attributes):
            where, given = "/data/attributes", attributes
        case events.DealUpdated(changes=changes):
            where = "/data/changes"
            given = {k: v for k, v in changes.items() if k.startswith(events.ATTRIBUTE)}
        case _:
            return
    if len(canonical(given)) > MAX_ATTRIBUTES_BYTES:
        detail = f"attributes must not exceed {MAX_ATTRIBUTES_BYTES} bytes"
        raise ContractViolation(Violation("attributes_too_large", where, detail))


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
