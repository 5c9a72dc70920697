"""Numbers as people write them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.mapping.decimals import Mark, reader
from services.ingest.domain.mapping.faults import Unfit


@pytest.mark.parametrize(
    ("mark", "written", "read"),
    [
        (".", "1,234.50", "1234.50"),
        (".", "1.234", "1.234"),
        (".", " $ 12 ", "12"),
        (".", "1'234'567", "1234567"),
        (".", "-5", "-5"),
        (".", "−5", "-5"),
        (".", ".5", "0.5"),
        (".", "+3", "3"),
        (".", "007", "007"),
        (".", "", None),
        (".", None, None),
        (".", 12.5, "12.5"),
        (".", 1e3, "1000.0"),
        (".", 12, "12"),
        (",", "1.234,50", "1234.50"),
        (",", "1.234", "1234"),
        (",", "1\u202f234,5 €", "1234.5"),
        (",", "1,5", "1.5"),
    ],
)
def test_read(mark: Mark, written: object, read: str | None) -> None:
    assert reader(mark)(written) == read


@pytest.mark.parametrize(
    ("mark", "written"),
    [
        (".", "1 234 567,8"),
        (".", "1,23"),
        (".", "1,234,56"),
        (".", "1,234 567"),
        (".", "1e3"),
        (".", "12.5.1"),
        (".", "-"),
        (".", "$"),
        (".", "٣"),
        (".", True),
        (".", float("nan")),
        (".", 10**400),
        (".", [1]),
        (",", "1.23"),
        (",", "1,234.5"),
    ],
)
def test_what_could_mean_something_else_is_refused(mark: Mark, written: object) -> None:
    with pytest.raises(Unfit):
        reader(mark)(written)


@given(
    st.decimals(min_value=0, max_value=10**15, places=2, allow_nan=False),
    st.sampled_from([(".", ","), (".", " "), (".", "'"), (",", "."), (",", " "), (",", "\u00a0")]),
)
def test_any_amount_grouped_or_not_is_read_back(amount: Decimal, marks: tuple[Mark, str]) -> None:
    mark, group = marks
    english = f"{amount:,.2f}"
    written = english.translate({ord(","): group, ord("."): mark})
    assert Decimal(reader(mark)(written) or "") == amount
    assert Decimal(reader(mark)(f"{amount:f}".replace(".", mark)) or "") == amount


@given(
    st.text(max_size=12) | st.text("0123456789.,' -+€e", max_size=12), st.sampled_from([".", ","])
)
def test_nothing_but_a_number_or_a_refusal_comes_out(written: str, mark: Mark) -> None:
    try:
        read = reader(mark)(written)
    except Unfit:
        return
    assert read is None or Decimal(read).is_finite()
