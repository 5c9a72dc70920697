"""What each field of the catalogue asks for, read from its schema: the author need not say it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from libs.common.contracts.catalogue import CATALOGUE
from libs.common.contracts.events import ATTRIBUTE, DealCreated
from services.ingest.domain.mapping.document import As

OPEN = ("attributes", "changes", "previous", "criteria")
"""Fields that hold fields."""


@dataclass(frozen=True, slots=True)
class Fields:
    """Of one type: how its fields are spelled, and which it needs."""

    spelled: Mapping[str, As]
    needed: frozenset[str]


@cache
def fields_of(event_type: str) -> Fields | None:
    """`None` for a type that the catalogue does not know."""
    model = CATALOGUE.get(event_type)
    if model is None:
        return None
    schema = model.model_json_schema()
    spelled = {name: _as(given) for name, given in schema["properties"].items()}
    return Fields(spelled, frozenset(schema.get("required", ())))


def inner(name: str, field: str) -> As:
    """How a field inside `changes`, `attributes` … is spelled."""
    if name not in ("changes", "previous") or field.startswith(ATTRIBUTE):
        return "json"
    held = fields_of(DealCreated.event_type)
    return held.spelled.get(field, "json") if held else "json"


def _as(schema: Mapping[str, Any]) -> As:
    kinds = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    first = kinds[0] if kinds else {}
    match first:
        case {"format": "date"}:
            return "day"
        case {"format": "date-time"}:
            return "instant"
        case {"type": "string", "pattern": str(pattern)} if pattern.startswith(r"^\d"):
            return "amount"
        case {"type": "integer"}:
            return "integer"
        case {"type": "number"}:
            return "number"
        case {"type": "boolean"}:
            return "boolean"
        case {"type": "string"}:
            return "text"
    return "json"
