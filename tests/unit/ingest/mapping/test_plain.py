"""What is too plain for a compiler means what the compiler says that it means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.mapping import plain
from tests.unit.ingest.mapping.made import CEL

_TEXT = st.text("abA_ é.", max_size=4)
_ROW = st.fixed_dictionaries({"a": _TEXT, "b c": _TEXT})
_REFERENCE = st.sampled_from(["row.a", "row['b c']", 'row["a"]'])
_QUOTED = st.builds("{0}{1}{0}".format, st.sampled_from(["'", '"']), _TEXT)
_ATOM = st.one_of(
    st.builds("{} {} {}".format, _REFERENCE, st.sampled_from(["==", "!="]), _QUOTED),
    st.builds("{}.startsWith({})".format, _REFERENCE, _QUOTED),
    st.builds("{} in [{}, {}]".format, _REFERENCE, _QUOTED, _QUOTED),
)


@given(st.lists(_ATOM, min_size=1, max_size=3).map(" && ".join), _ROW)
def test_comparisons(source: str, row: dict[str, str]) -> None:
    known = plain.truth(source)
    assert known is not None
    expected = CEL.compile(source, ["row"], "bool").evaluate({"row": row})
    assert known({"row": row}) is expected


@given(st.lists(_REFERENCE | _QUOTED, min_size=2, max_size=4).map(" + ".join), _ROW)
def test_joined_texts(source: str, row: dict[str, str]) -> None:
    known = plain.joined(source)
    assert known is not None
    expected = CEL.compile(source, ["row"], "json").evaluate({"row": row})
    assert known({"row": row}) == expected


@pytest.mark.parametrize(
    "source",
    [
        "row.a == 'x' || row.a == 'y'", "!(row.a == 'x')", "row.a == 'x' &&", "row.a == 'it\\'s'",
        "row.a == row.b", "row.a == 1", "body.a == 'x'", "row.a.b == 'x'",
        "row.a.endsWith('x')", "true",
        "row.a.startsWith('x') == true",
        "row.a == 'x' ? true : false", "row.a in []",
    ],
)  # fmt: skip
def test_all_else_is_left_to_the_compiler(source: str) -> None:
    assert plain.truth(source) is None


@pytest.mark.parametrize("source", ["row.a + 1", "row.a", "a + '-'", "row.a - 'x'", "row.a + row"])
def test_sums_of_anything_else_are_left_to_the_compiler(source: str) -> None:
    assert plain.joined(source) is None


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("deal", ("row", "deal")),
        ("row.deal", ("row", "deal")),
        ("row['Close Date']", ("row", "Close Date")),
        ("body.a.b", ("body", "a", "b")),
        ("headers['x-event']", ("headers", "x-event")),
        ("row", None),
        ("true", None),
        ("row.a.size()", None),
        ("'text'", None),
        ("row.a[0]", None),
    ],
)
def test_references(source: str, path: tuple[str, ...] | None) -> None:
    assert plain.path_of(source) == path
