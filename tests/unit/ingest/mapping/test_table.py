"""Tables: headers that fit or do not, rows of every kind of damage."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.mapping.dialect import Record
from services.ingest.domain.mapping.table import BadHeader
from tests.unit.ingest.mapping.made import CHANGED, mapping, records, verdicts

BY = mapping()
GOOD = ['{"deal_id":"D1","stage_id":"x"}']


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("deal,Stage", "lacks: 'stage'; it has: 'deal', 'Stage'"),
        ("deal;stage", "its delimiter seems to be ';', not ','"),
        ("deal\tstage", "its delimiter seems to be"),
        ("deal,stage,stage", "twice"),
        ("deal,\x00", "'\\x00'"),
    ],
)
def test_a_header_that_does_not_fit_is_told_before_any_row(header: str, told: str) -> None:
    with pytest.raises(BadHeader) as raised:
        verdicts(f"{header}\nD1,x\n", BY)
    assert told in str(raised.value)


def test_columns_that_may_be_missing_are_empty_then() -> None:
    by = mapping({**CHANGED, "id": "row['Row ID']", "when": "row.gone == ''"}, optional=["gone"])
    assert verdicts("deal,stage,Row ID\nD1,x,7\n", by) == [(2, GOOD)]


def test_columns_that_expressions_name_are_needed() -> None:
    by = mapping({**CHANGED, "when": "row['A b'] == 'x' || size(row.c) > 1"})
    assert by.columns == {"deal", "stage", "A b", "c"}


def test_a_file_without_a_header() -> None:
    by = mapping(dialect={"columns": ["deal", "stage"]})
    assert verdicts("D1,x\n", by) == [(1, GOOD)]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (b"D1", "ragged_row"),
        (b"D1,x,y", "ragged_row"),
        (b'D1,"x', "invalid_csv"),
        (b"D1,\xff", "invalid_encoding"),
        (b"D1,\xed\xa0\x80", "invalid_encoding"),
        (b"D1,a\x00b", "invalid_text"),
        (b"D1," + b"x" * 2_000_000, "too_large"),
        (b"D1," + b"x" * 300_000, "too_large"),
        (b'D1,"' + b"x" * 300_000 + b'"', "invalid_csv"),
        (b"D1," + b"x" * 300, "invalid_field"),
        (b"D1,", "missing_field"),
    ],
)
def test_a_damaged_row_is_rejected_and_its_neighbours_are_not(row: bytes, code: str) -> None:
    body = b"deal,stage\nD1,x\n" + row + b"\nD1,x\n"
    assert verdicts(body, BY) == [(2, GOOD), (3, [code]), (4, GOOD)]


def test_cells_beyond_the_header_may_be_empty_and_blank_rows_are_skipped() -> None:
    assert verdicts("deal,stage\n\n , \nD1,x,,\n", BY) == [(4, GOOD)]


@pytest.mark.parametrize(
    ("encoding", "bom"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16", codecs.BOM_UTF16_LE),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("windows-1252", b""),
        ("iso-8859-15", b""),
    ],
)
def test_encodings_and_byte_order_marks(encoding: str, bom: bytes) -> None:
    by = mapping(dialect={"encoding": encoding})
    name = "utf-16-le" if encoding == "utf-16" else encoding
    body = bom + "deal,stage\nD1,Müller €\n".encode(name)
    assert verdicts(body, by) == [(2, ['{"deal_id":"D1","stage_id":"Müller €"}'])]


def test_a_wrong_encoding_is_told() -> None:
    with pytest.raises(BadHeader):
        verdicts("deal,stage\n".encode("utf-16"), BY)
    wide = mapping(dialect={"encoding": "utf-16-le"})
    body = "deal,stage\nD1,".encode("utf-16-le") + b"\x00\xd8" + "\nD1,x\n".encode("utf-16-le")
    assert verdicts(body, wide) == [(2, ["invalid_encoding"]), (3, GOOD)]


_PIECE = st.sampled_from(["a", "é", '"', ",", "\n", "\r\n", '""', "\x00", "\udcff"])


@given(st.lists(_PIECE, max_size=40).map("".join), st.integers(0, 12), st.integers(1, 5))
def test_reading_goes_on_behind_any_checkpoint(text: str, done: int, at_once: int) -> None:
    body = text.encode("utf-8", "surrogateescape")
    whole = records(body, BY).read(1_000, 1 << 30)
    again = records(body, BY)
    again.skip(done)
    rest: list[Record] = []
    while some := again.read(at_once, 1 << 30):
        rest += some
    assert rest == whole[done:]
