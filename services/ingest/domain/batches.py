"""Deliveries of many events: one that no reader should take in costs no neighbour its place."""

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from services.ingest.domain.decoding import KeyTwice, TooDeep, decode, decode_by, integer, whole

_SPACE = re.compile(r"[ \t\n\r]*")
_PART = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]+|[\]}]+', re.DOTALL)
"""A text, or a run of brackets; a text without an end reaches to the body's, so none is read
twice."""
_DECODER = json.JSONDecoder(object_pairs_hook=whole, parse_int=integer)


def decode_delivery(content: bytes, limit: int) -> Any:
    """JSON of a request. In a list, what nests too deep or says a key twice is a `TooDeep` or a
    `KeyTwice` in its place; of such a list at most one more than `limit` elements are read."""
    try:
        return decode(content)
    except (TooDeep, KeyTwice):
        if not content.lstrip(b"\xef\xbb\xbf \t\n\r").startswith(b"["):
            raise
        return decode_by(lambda text: list(islice(_elements(text), limit + 1)), content)


def _elements(text: str) -> Iterator[Any]:
    """Elements of a list that holds at least one."""
    place = _past(text, _past(text, 0) + 1)
    while True:
        value, place = _element(text, place)
        yield value
        place = _past(text, place)
        if text[place : place + 1] != ",":
            break
        place = _past(text, place + 1)
    if text[place : place + 1] != "]":
        raise json.JSONDecodeError("Expecting ',' delimiter", text, place)
    if _past(text, place + 1) != len(text):
        raise json.JSONDecodeError("Extra data", text, place + 1)


def _element(text: str, place: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, place)
    except RecursionError:
        return TooDeep(), _end(text, place)
    except KeyTwice as twice:
        return twice, _end(text, place)


def _end(text: str, place: int) -> int:
    """Where the list or object ends that begins at `place`, whatever it holds."""
    depth = 0
    for part in _PART.finditer(text, place):
        run = part[0]
        if run[0] in "[{":
            depth += len(run)
        elif run[0] in "]}":
            depth -= len(run)
            if depth <= 0:
                return part.end() + depth
    raise json.JSONDecodeError("Unterminated list or object", text, place)


def _past(text: str, place: int) -> int:
    """The next place that is no space."""
    found = _SPACE.match(text, place)
    return found.end() if found else place
