"""From what a row holds to what a field takes. Nothing is `None`; rubbish is `Unfit`."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from services.ingest.domain.mapping import decimals
from services.ingest.domain.mapping.document import As, MappingDocument
from services.ingest.domain.mapping.faults import Unfit, quoted
from services.ingest.domain.mapping.instants import times

Spell = Callable[[Any], Any]
_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def spellings(document: MappingDocument) -> Mapping[As, Spell]:
    """By what is asked for."""
    read = times(document.date_formats, document.zone)
    amount = decimals.reader(document.decimal)
    return {
        "text": text,
        "amount": amount,
        "day": read.day,
        "instant": read.instant,
        "integer": integer,
        "number": lambda value: _number(amount(value)),
        "boolean": boolean,
        "json": json_value,
    }


def text(value: Any) -> str | None:
    """Ids arrive as numbers too: `7`, `7.0` and `"7"` are one."""
    match value:
        case str():
            return value.strip() or None
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) < 2**63:
            return str(int(value))
        case float():
            return repr(value)
        case int() if abs(value) < 10**40:
            return str(value)
    raise Unfit(f"{quoted(value)} is no text")


def integer(value: Any) -> int | None:
    given = text(value) if not isinstance(value, bool) else "true"
    if given is None:
        return None
    if not _INTEGER.fullmatch(given):
        raise Unfit(f"{quoted(value)} is no integer")
    if not -(2**63) <= (number := int(given)) < 2**63:
        raise Unfit(f"{quoted(value)} is no integer of 64 bits")
    return number


def boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    given = text(value)
    if given is None:
        return None
    if given.lower() not in _TRUTHS:
        raise Unfit(f"{quoted(value)} is neither true nor false")
    return _TRUTHS[given.lower()]


def json_value(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip() or None
    return value


def _number(given: str | None) -> int | float | None:
    if given is None:
        return None
    whole = "." not in given and len(given) < 17
    return int(given) if whole else float(given)
