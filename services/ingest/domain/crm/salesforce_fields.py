"""Which fields a change event of Salesforce tells, clears, or only names."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from services.ingest.domain.crm.model import RefreshReason

_BITMAP = re.compile(r"(\d+-)?0x.*", re.ASCII)
"""Fields as bits, which only the event's Avro schema can name."""


@dataclass(frozen=True, slots=True)
class Fields:
    """`values` are told, `None` for what was cleared. `untold` were changed to something that the
    event does not carry; where it is `blind`, nobody knows which. `changed` are all that the header
    names as changed; where it names none, those that are told are."""

    values: Mapping[str, Any]
    untold: Collection[str] = ()
    blind: bool = False
    changed: Collection[str] = ()

    def stayed(self, name: str) -> bool:
        """Whether a field that is never empty is as it was before."""
        return name not in (self.changed or {n for n, v in self.values.items() if v is not None})

    def unread(self, wanted: Collection[str]) -> RefreshReason | None:
        """Why the record has to be read, if it has to."""
        if not self.blind and not any(name in wanted for name in self.untold):
            return None
        return "partial" if self.values else "no_values"


def of_update(header: Mapping[str, Any], carried: Mapping[str, Any]) -> Fields:
    """Only what changed counts: relays that decode Avro carry all other fields as null."""
    changed, diffs = _names(header, "changedFields"), _names(header, "diffFields")
    nulled = _names(header, "nulledFields")
    listed = "changedFields" in header or "nulledFields" in header
    told = {
        name: value
        for name, value in carried.items()
        if name not in diffs and (value is not None or name in changed or not listed)
    }
    values = told | dict.fromkeys(nulled)
    silent = not (values or changed or diffs)
    return Fields(values, (changed | diffs) - values.keys(), silent or _hides(header), changed)


def of_record(header: Mapping[str, Any], carried: Mapping[str, Any]) -> Fields:
    """Of a whole record: what is null or left out is empty."""
    diffs = _names(header, "diffFields")
    values = {k: v for k, v in carried.items() if v is not None and k not in diffs}
    return Fields(values, diffs, blind=not values)


def _texts(header: Mapping[str, Any], name: str) -> list[str]:
    given = header.get(name)
    return [one for one in given if isinstance(one, str)] if isinstance(given, list) else []


def _names(header: Mapping[str, Any], name: str) -> set[str]:
    return {one for one in _texts(header, name) if not _BITMAP.fullmatch(one)}


def _hides(header: Mapping[str, Any]) -> bool:
    """Something was cleared, and only a bitmap tells what."""
    return any(_BITMAP.fullmatch(one) for one in _texts(header, "nulledFields"))
