"""Events as careless and hostile senders write them: near the catalogue, and far from it."""

import json
from typing import Any

from hypothesis import strategies as st

from libs.common.contracts.catalogue import CATALOGUE
from libs.common.testing.contract_schemas import EXAMPLES, place

_TELLING = (
    *("", "x", "12", "12.50", "-1", "1e3", "NaN", "null", "true", "yes", "[]", "{}", '"x"'),
    *("2026-06-30", "2026-06-30T00:00:00Z", "2026-06-30T24:00:00+00:00", "1899-12-31T23:00:00Z"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "EUR", "eur", "nps", "call"),
    *("\x00", "\ud800", "\u00a0", "%C0%A0", "٣", '{"deal_id":"d"}', "attributes.", "x" * 201),
)
"""Texts that somebody may take for something else."""
_NUMBERS = (0, -1, 1, 2**53, 2**63, 2**64, 10**400, 1.0, -0.0, 0.1, 1e308, 5e-324, float("nan"))
texts = st.sampled_from(_TELLING) | st.text(max_size=20)
scalars = (
    st.none() | st.booleans() | texts | st.sampled_from(_NUMBERS) | st.integers() | st.floats()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
types = st.sampled_from(sorted(CATALOGUE)) | st.just("weather.changed")
ATTRIBUTES = ("id", "source", "time", "subject", "sequence", "correlationid", "traceparent")
_EXAMPLES: dict[str, Any] = {
    name: json.loads(place(name, EXAMPLES).read_text("utf-8"))["data"] for name in CATALOGUE
}


@st.composite
def datas(draw: st.DrawFn, event_type: str) -> Any:
    """The example of a type with some of its fields bent, its text, or anything at all."""
    example = _EXAMPLES.get(event_type, {"deal_id": "d"})
    match draw(st.sampled_from(("field", "field", "nested", "text", "any"))):
        case "field":
            return example | draw(_bent(example))
        case "nested":
            name = draw(st.sampled_from(sorted(example)))
            return example | {name: draw(st.dictionaries(st.sampled_from(_NESTED), values))}
        case "text":
            return json.dumps(example)
        case _:
            return draw(values)


_NESTED = ("amount", "currency", "stage_id", "expected_close_date", "attributes.x", "id", "nope")


def _bent(example: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(sorted(example)), values, min_size=1, max_size=2)


@st.composite
def structured(draw: st.DrawFn) -> dict[str, Any]:
    """An event in structured mode."""
    kind = draw(types)
    event = {"id": "e-1", "source": "/crm", "type": kind, "data": draw(datas(kind))}
    return event | draw(st.dictionaries(st.sampled_from(ATTRIBUTES), scalars, max_size=2))


@st.composite
def binary(draw: st.DrawFn) -> tuple[dict[str, str], Any]:
    """An event in binary mode: headers as the server hands them on, and the decoded body."""
    kind = draw(types)
    bent = draw(st.dictionaries(st.sampled_from(ATTRIBUTES), _header_texts, max_size=2))
    headers = {"id": "e-1", "source": "/crm", "type": kind} | bent
    return {f"ce-{name}": value for name, value in headers.items()}, draw(datas(kind))


_header_texts = st.sampled_from(("lone%ff", "%C0%A0", "%C3%A9", "%", "%zz", "a%00b", "+1", "é"))
