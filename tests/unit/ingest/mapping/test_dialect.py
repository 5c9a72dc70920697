"""A file's text to records, whatever it holds."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.mapping.dialect import MAX_RECORD, Record, records
from services.ingest.domain.mapping.document import Dialect

PLAIN = Dialect()


def read(text: str, dialect: Dialect = PLAIN) -> list[Record]:
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return list(records(((line, False) for line in lines), dialect))


def cells(text: str, dialect: Dialect = PLAIN) -> list[Any]:
    return [list(r.cells) if r.fault is None else r.fault[0] for r in read(text, dialect)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a,b\r\n1,2\r\n", [["a", "b"], ["1", "2"]]),
        ('1,"x\ny"\n2,z\n', [["1", "x\ny"], ["2", "z"]]),
        ('1,"x\r\ny"\r\n2,z', [["1", "x\r\ny"], ["2", "z"]]),
        ('a"b,"c""d"\n', [['a"b', 'c"d']]),
        ("\n\n1", [[""], [""], ["1"]]),
        ('"a"b,c\n1,2\n', ["invalid_csv", ["1", "2"]]),
        ('1,"never\n2,3\n4,5\n', ["invalid_csv", ["2", "3"], ["4", "5"]]),
        ('1,"open\n2,3\n4,"mid"dle"\n5,6', ["invalid_csv", ["2", "3"], "invalid_csv", ["5", "6"]]),
    ],
)
def test_records(text: str, found: list[Any]) -> None:
    assert cells(text) == found


def test_records_are_numbered_as_a_spreadsheet_does() -> None:
    assert [r.number for r in read('h\n"a\nb\nc"\nd\n')] == [1, 2, 3]


def test_another_dialect() -> None:
    other = Dialect(delimiter=";", quote="'")
    assert cells("'a;b';\"c\"\n", other) == [["a;b", '"c"']]
    assert cells('a"\tb\n', Dialect(delimiter="\t", quote=None)) == [['a"', "b"]]


def test_a_quote_that_is_open_for_too_long_costs_its_own_row() -> None:
    filler = "x" * 1_000 + "\n"
    text = '1,"open\n' + filler * (MAX_RECORD // 1_000 + 2) + 'last,"one"\n'
    found = cells(text)
    assert found[0] == "invalid_csv"
    assert (found[1], found[-1]) == (["x" * 1_000], ["last", "one"])


_CELL = st.text("ab\",;\n\r'x ", max_size=6)


@given(
    st.lists(st.lists(_CELL, min_size=2, max_size=4), min_size=1, max_size=5),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(['"', "'"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_any_writer_wrote_is_read_back(
    table: list[list[str]], delimiter: str, quote: str, end: str
) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(
        file, delimiter=delimiter, quotechar=quote, lineterminator=end, quoting=csv.QUOTE_ALL
    )
    writer.writerows(table)
    assert cells(file.getvalue(), Dialect(delimiter=delimiter, quote=quote)) == table


@given(st.text('ab",\n\r', max_size=60))
def test_every_line_is_somewhere_and_none_twice(text: str) -> None:
    """Whatever quotes do, the texts of all records are the file again."""
    lines = text.split("\n")
    assert "\n".join(r.text for r in records(((x, False) for x in lines), PLAIN)) == text
