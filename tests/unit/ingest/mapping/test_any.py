"""Whatever a mapping says and a file holds: verdicts or a refusal, never an accident."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from services.ingest.domain.mapping.compiled import UnusableMapping, compiled
from services.ingest.domain.mapping.document import MappingDocument
from services.ingest.domain.mapping.lines import examine_mapped
from services.ingest.domain.mapping.table import BadHeader
from services.ingest.domain.model import Candidate, Rejection
from services.ingest.domain.rows import Line
from tests.unit.ingest.crm.checks import ANYTHING
from tests.unit.ingest.mapping.made import CEL, RECEIPT, rows

_SOURCE = st.sampled_from(
    [
        "a", "b c", "row.a", "row['b c']", "'x'", "7", "row.a + '-' + row['b c']", "row", "true",
        "row.a == 'x'", "row.a in ['1', '2']", "size(row.a)", "int(row.a)", "double(row.a) / 0.0",
        "timestamp(row.a)", "{'k': row.a}", "[row.a, 1]", "{1: 2}", "b'x'", "null",
        "duration('1s')",
        "row.gone", "row[", "body.a", "headers['x']", "row.a.matches('(a+)+$')", "type(row)", "",
    ]
) | st.text(max_size=10)  # fmt: skip
_READING = st.fixed_dictionaries(
    {"from": _SOURCE},
    optional={
        "as": st.sampled_from(
            ["text", "amount", "day", "instant", "integer", "number", "boolean", "json"]
        ),
        "lookup": st.sampled_from(["t", "gone"]),
        "default": st.sampled_from(["x", 1, True, ""]),
        "clear": st.booleans(),
    },
)
_SPEC = _SOURCE | _READING | st.fixed_dictionaries({"value": ANYTHING}) | st.integers() | ANYTHING
_DATA = st.fixed_dictionaries(
    {"deal_id": _SPEC},
    optional={
        "amount": _SPEC, "stage_id": _SPEC, "expected_close_date": _SPEC, "changes": ANYTHING,
        "attributes": st.dictionaries(st.text(max_size=3), _SPEC, max_size=2) | _SPEC,
    },
)  # fmt: skip
_EVENT = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["deal.created", "deal.updated", "deal.won", "'deal.lost'"])
        | _SPEC,
        "data": _DATA,
    },
    optional={"when": _SOURCE, "id": _SPEC, "time": _SPEC, "sequence": _SPEC},
)
_SETTINGS: dict[str, Any] = {
    "zone": st.sampled_from(["UTC", "Europe/Berlin", "x"]),
    "decimal": st.sampled_from([".", ","]),
    "date_formats": st.lists(
        st.sampled_from(["iso", "%d.%m.%Y", "epoch_s", "%I %p", "%"]), min_size=1, max_size=3
    ),
    "lookup": st.just({"t": {"1": "one", "x": 2}}),
    "empty": st.just(["-"]),
}
_TABLES = st.fixed_dictionaries(
    {"kind": st.just("csv"), "events": st.lists(_EVENT, min_size=1, max_size=3)},
    optional=_SETTINGS,
)
_BODIES = st.fixed_dictionaries(
    {"kind": st.just("json"), "events": st.lists(_EVENT, min_size=1, max_size=3)},
    optional=_SETTINGS | {"rows": st.sampled_from(["a", "a.b", "", "."])},
)
_CELL = st.sampled_from(
    ["", "x", "1", "1.5", "2026-03-02", "1e999", "-", "9" * 400, "\x00", "\udcff", "02.03.2026"]
) | st.text('a",;\n', max_size=4)


@settings(max_examples=300)
@given(_TABLES, st.lists(st.lists(_CELL, min_size=1, max_size=3), max_size=4))
def test_any_mapping_over_any_table(definition: dict[str, Any], table: list[list[str]]) -> None:
    with suppress(ValidationError, UnusableMapping, BadHeader):
        by = compiled(MappingDocument.model_validate(definition), CEL)
        text = "a,b c\n" + "\n".join(",".join(cells) for cells in table)
        for _, found in rows(text.encode("utf-8", "surrogateescape"), by):
            _storable(found)


@settings(max_examples=300)
@given(_BODIES, ANYTHING)
def test_any_mapping_over_any_body(definition: dict[str, Any], body: Any) -> None:
    with suppress(ValidationError, UnusableMapping):
        by = compiled(MappingDocument.model_validate(definition), CEL)
        _storable(examine_mapped(Line(1, json.dumps(body).encode()), by, "/m", RECEIPT))


def _storable(found: Any) -> None:
    assert all(isinstance(one, Candidate | Rejection) for one in found)
    for one in found:
        if isinstance(one, Rejection):
            assert len(found) == 1
            one.detail.encode()
            assert "\x00" not in one.detail
