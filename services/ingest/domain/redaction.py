"""Bodies without what is said of people: their structure, numbers, times and ids stay.

What stays has to be known to be harmless; every other text becomes a pseudonym. The name of a field
decides first, then what the text looks like.
"""

import re
from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from services.ingest.domain.pseudonyms import Pseudonyms

HIDDEN = "***"
_SECRET = re.compile(
    r"token|secret|passw|session|signature|authori[sz]|api_?key|query_params|organizationid", re.I
)
_PERSONAL = re.compile(r"phone|mobile|whatsapp|mail|passport", re.I)
_PERSONAL_WORDS = frozenset({"cell", "fax", "tel", "wa", "ssn", "tax", "vat", "iban", "handy"})
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_ID_NAME = re.compile(r"(^|_|[a-z])(id|ids|Id|Ids|ID|guid|uuid)$|^I[dD]s?$|^transactionKey$")
_ID = re.compile(r"(?=.*\d)(?!.*//)[A-Za-z0-9*][A-Za-z0-9_.:/*=-]{0,199}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.I)
_WORD_NAMES = frozenset(
    {
        "action", "entity", "object", "object_type", "objecttype", "objecttypeid", "event",
        "eventname", "event_type", "type", "_type", "subscriptiontype", "propertyname",
        "fromobjecttypeid", "toobjecttypeid", "associationtype", "changesource", "change_source",
        "changeflag", "sourceid", "status", "status_type", "module", "operation", "version",
        "kind", "direction", "value_period", "changetype", "entityname", "namesingular",
        "tasksubtype", "parenttype", "timezone", "timezone_name", "dealtype", "customer_type",
        "forecast_category", "code", "verdict", "outcome", "specversion",
    }
)  # fmt: skip
_LISTS_OF_NAMES = frozenset(
    {
        "changed_fields", "changedfields", "nulledfields", "difffields", "updatedfields",
        "affected_fields",
    }
)  # fmt: skip
_WORD = re.compile(r"(?!.*//)[A-Za-z0][A-Za-z0-9_.:/+-]{0,99}", re.ASCII)
_FIELD = re.compile(r"[@$_]?[A-Za-z0-9_][A-Za-z0-9_.$:-]{0,99}", re.ASCII)
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?\s?(Z|[+-]\d\d:?\d\d)?)?|\d\d:\d\d(:\d\d)?"
    r"|(1[3-9]|2[01])\d{11}", re.ASCII,
)  # fmt: skip
"""ISO 8601, times of a day, milliseconds since 1970 of the years from 2011 to 2039, in which no
telephone number of 13 digits begins like that."""
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,5})|-?(0|[1-9]\d{0,14})\.\d{1,2}", re.ASCII)
"""Of whole ones only those too short for a telephone number."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """`words` are the ids, stages and pipelines that the delivery is known to tell of."""

    pseudonyms: Pseudonyms
    words: Set[str] = frozenset()

    def of(self, value: Any, name: str = "") -> Any:
        """JSON without what is said of people; `name` is of the field that holds it."""
        if isinstance(value, dict):
            return self._object(value, name)
        if isinstance(value, list):
            return [self.of(one, name) for one in value]
        if value is None or isinstance(value, bool):
            return value
        if _SECRET.search(name):
            return HIDDEN
        if isinstance(value, str):
            return value if self.stays(value, name) else self.pseudonyms.text(value)
        if is_personal(name):
            return self.pseudonyms.number(int(value)) if abs(value) < 10**30 else 0
        return value

    def stays(self, text: str, name: str) -> bool:
        if not text.strip() or text in ("true", "false"):
            return True
        if "@" in text or is_personal(name):
            return False
        if text in self.words or _TIME.fullmatch(text) or _UUID.fullmatch(text):
            return True
        return self._known(text, name) or bool(_NUMBER.fullmatch(text))

    def _known(self, text: str, name: str) -> bool:
        lower = name.lower()
        if lower in _WORD_NAMES or lower in _LISTS_OF_NAMES or lower.endswith(_CURRENCY):
            return bool(_WORD.fullmatch(text) or _NUMBER.fullmatch(text)) and not looks_dialled(
                text
            )
        return bool(_ID_NAME.search(name)) and is_id(text)

    def _object(self, value: dict[str, Any], name: str) -> dict[str, Any]:
        """What holds secrets or names of fields does so for all within it. HubSpot names a value
        in the field beside it."""
        inherits = _SECRET.search(name) or name.lower() in _LISTS_OF_NAMES
        told = value.get("propertyName")
        beside = {"propertyValue": told} if isinstance(told, str) else {}
        return {
            self._field(key): self.of(inner, name if inherits else beside.get(key, key))
            for key, inner in value.items()
        }

    def _field(self, key: str) -> str:
        plain = _FIELD.fullmatch(key) and not looks_dialled(key)
        return key if plain or key in self.words else self.pseudonyms.text(key)


def is_personal(name: str) -> bool:
    """Whether a field of this name holds by what a person is reached or known."""
    parts = {part.lower() for part in _PARTS.findall(name)}
    return bool(_PERSONAL.search(name) or parts & _PERSONAL_WORDS)


_CURRENCY = ("currency", "currency_code", "currencycode", "currencyisocode")


def is_id(text: str) -> bool:
    """What people are not called, nor dial."""
    return bool(_ID.fullmatch(text) or _UUID.fullmatch(text)) and not looks_dialled(text)


_DIALLED = re.compile(r"(?<![A-Za-z0-9])\+?\d[\d/.() -]{5,}", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d(:\d\d([.,]\d{1,9})?)?", re.ASCII)
_FEWEST_DIGITS = 6


def looks_dialled(text: str) -> bool:
    """Whether a telephone number with its separators stands in it; plain digits may be an id."""
    bare = _INSTANT.sub("T", _UUID.sub("u", text))
    return any(
        not run.isdecimal() and sum(map(str.isdecimal, run)) >= _FEWEST_DIGITS
        for run in _DIALLED.findall(bare)
    )
