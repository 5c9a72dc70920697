"""The text of a body, or of a part of it, as it came: blanks, escapes and spelling of numbers.

Only texts that were read already, once a dead letter is made of them.
"""

import json
import re
from collections.abc import Collection, Iterator, Sequence

from services.ingest.domain.crm import zoho
from services.ingest.domain.crm.model import Kind, Place

_BLANK = re.compile(r"[ \t\n\r]*")
_JSON = json.JSONDecoder(parse_int=str, parse_float=str)
_LISTS: Collection[Kind] = ("hubspot", "espocrm", "generic")
"""Kinds whose parts are the elements of the body's list, where it is one. Of others, and of a
mapping's `rows`, parts are made of several places of the body."""
_HIDDEN = '"***"'
_BOM = "\ufeff"


class Untouched:
    """Of one body. SOAP names a session with which one could act as the user: none of it is
    kept."""

    def __init__(self, kind: Kind, body: bytes) -> None:
        self._kind, self._body = kind, body
        self._elements: Sequence[str] | None = None

    def at(self, place: Place) -> bytes | None:
        """The part at this place; `None` where it does not stand so in the body."""
        if place is None or self._kind == "salesforce_outbound":
            return None
        try:
            return self._whole() if place == "whole" else self._element(place)
        except (ValueError, LookupError, RecursionError):
            return None

    def _whole(self) -> bytes:
        if self._kind != "zoho":
            return self._body
        return hidden(self._body.decode(), zoho.SECRET).encode()

    def _element(self, place: int) -> bytes | None:
        if self._kind not in _LISTS:
            return None
        if self._elements is None:
            self._elements = ()
            self._elements = elements(self._body.decode())
        return self._elements[place].encode()


def elements(text: str) -> list[str]:
    """Of a list; raises `ValueError` for what is none."""
    return [text[start:end] for start, end in _values(text, "[")]


def hidden(text: str, names: Collection[str]) -> str:
    """An object without the values of these fields, however their names are spelled; raises
    `ValueError` for what is none."""
    pieces, kept, name = list[str](), 0, ""
    for number, (start, end) in enumerate(_values(text, "{")):
        if number % 2 == 0:
            name = json.loads(text[start:end])
        elif name in names:
            pieces += [text[kept:start], _HIDDEN]
            kept = end
    return "".join([*pieces, text[kept:]])


def _values(text: str, opening: str) -> Iterator[tuple[int, int]]:
    """Where each value in a list begins and ends, or each name and value in an object."""
    at = _after_blanks(text, 1 if text.startswith(_BOM) else 0)
    if text[at : at + 1] != opening:
        raise ValueError(f"does not begin with {opening}")
    at = _after_blanks(text, at + 1)
    while text[at : at + 1] not in ("]", "}"):
        _, end = _JSON.raw_decode(text, at)
        yield at, end
        at = _after_blanks(text, end)
        if text[at : at + 1] in (",", ":"):
            at = _after_blanks(text, at + 1)


def _after_blanks(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return at if found is None else found.end()
