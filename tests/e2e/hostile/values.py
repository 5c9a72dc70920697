"""JSON that no event may carry, as text: what JSON cannot say, what cannot be stored, what no
catalogue means."""

from collections.abc import Iterator, Mapping

DEPTH, DIGITS, KEYS = 100_000, 5_000, 30_000
NEVER: Mapping[str, bytes] = {
    "depth of lists": b"[" * DEPTH + b"]" * DEPTH,
    "depth of objects": b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
    "depth without end": b"[" * DEPTH,
    "an integer of many digits": b"9" * DIGITS,
    "a negative integer of many digits": b"-" + b"9" * DIGITS,
    "a fraction of many digits": b"0." + b"9" * DIGITS + b"e999999999",
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "1e999": b"1e999",
    "-1e999": b"-1e999",
    "half a surrogate pair": rb'"\ud800"',
    "the other half": rb'"a\udc00"',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "no UTF-8": b'"\xff\xfe"',
    "U+0000": rb'"a\u0000b"',
    "a bare control character": b'"a\x00b"',
    "a key with U+0000": rb'{"a\u0000":1}',
    "a key of half a pair": rb'{"\ud83d":1}',
    "a key twice": b'{"a":1,"a":2}',
    "many keys": b"{" + b",".join(b'"k%d":1' % n for n in range(KEYS)) + b"}",
}
"""Wherever they stand."""
_LONG = b'"' + b"x" * 70_000 + b'"'
ABSURD: Mapping[str, tuple[bytes, ...]] = {
    "time": (
        b'"0000-01-01T00:00:00Z"', b'"0001-01-01T00:00:00+14:00"', b'"9999-12-31T23:59:59-14:00"',
        b'"9999-12-31T23:59:59Z"', b'"2026-02-30T00:00:00Z"', b'"2026-03-01T25:00:00Z"',
        b'"2026-03-01T00:00:00+99:99"', b'"2026-03-01T00:00:00 Mars/Olympus"', b'"tomorrow"',
        b'"2026-03-01"', b'"+292278994-08-17T07:12:55Z"', b"1772355600", b"{}", _LONG,
    ),
    "amount": (
        b"1e308", b'"1e308"', b"-1e308", b'"' + b"9" * 400 + b'"', b'"NaN"', b'"Infinity"',
        b'"1,5"', '"٣"'.encode(), b'"0x10"', b"true", b"[]", b'"0.00000000000001"',
    ),
    "currency": (b'"ZZZ"', b'"eur"', b'"EURO"', b'""', b"7", '"€"'.encode(), _LONG),
    "expected_close_date": (b'"0000-01-01"', b'"9999-99-99"', b'"2026-02-30"', b"20260302", _LONG),
    "deal_id": (b'""', b"7", b"[]", _LONG),
    "id": (b'""', b"7", b"{}", _LONG),
    "source": (b'""', b"7", _LONG),
    "type": (b'""', b"7", _LONG),
    "sequence": (b'"1.5"', b'"-"', b'"' + b"9" * 30 + b'"', b'"1e3"', b"[]"),
    "specversion": (b'"0.3"', b"1"),
    "name": (b"7", b"{}", _LONG),
    "attributes": (b"[]", b"7", _LONG, b'{"a":' + _LONG + b"}"),
    "no_such_field": (b"1",),
}  # fmt: skip
"""By the place where they are refused."""
PLACES = ("name", "attributes.note", "amount", "time", "id", "deal_id", "sequence")
"""Where each of `NEVER` is put."""
ENVELOPE = ("specversion", "id", "source", "type", "time", "sequence")
_FIELDS: Mapping[str, bytes] = {
    "specversion": b'"1.0"', "id": b'"%ID"', "source": b'"/hostile"', "type": b'"deal.created"',
    "time": b'"2026-03-01T09:00:00Z"',
}  # fmt: skip
_DATA: Mapping[str, bytes] = {"deal_id": b'"D-%ID"', "pipeline_id": b'"b2b"', "stage_id": b'"lead"'}


def data(place: str, value: bytes) -> bytes:
    """Data of an event as JSON; `value` at `place`, if it is one of the data's."""
    name, _, inner = place.partition(".")
    fields = dict(_DATA)
    if name not in ENVELOPE:
        fields[name] = b'{"%b":%b}' % (inner.encode(), value) if inner else value
    return _object(fields)


def event(event_id: str, place: str = "name", value: bytes = b'"Pumps"') -> bytes:
    """A structured event as JSON, sound but for what stands at `place`."""
    fields = dict(_FIELDS) | ({place: value} if place in ENVELOPE else {})
    whole = _object({**fields, "data": data(place, value)})
    return whole.replace(b"%ID", event_id.encode())


def bad() -> Iterator[tuple[str, str, bytes]]:
    """Name, place and value of all of them."""
    for name, value in NEVER.items():
        for place in PLACES:
            yield f"{name} as {place}", place, value
    for place, values in ABSURD.items():
        for number, value in enumerate(values):
            yield f"{place} {number}: {value[:30].decode('latin-1')}", place, value


def _object(fields: Mapping[str, bytes]) -> bytes:
    return b"{" + b",".join(b'"%b":%b' % (n.encode(), v) for n, v in fields.items()) + b"}"
