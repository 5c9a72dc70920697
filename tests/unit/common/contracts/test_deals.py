"""Records of `headway.deals.v1`: money as text, `from` by its name, unknown fields ignored."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from libs.common.contracts.deals import Change, Money, Watermark, decimal_string, to_json
from libs.common.contracts.topics import DEALS, TOPICS, dlq


@pytest.mark.parametrize(
    ("amount", "text"),
    [("12000", "12000.00"), ("12000.5", "12000.50"), ("0.123456", "0.123456"), ("1E+3", "1000.00"),
     ("0", "0.00"), ("12000.000000", "12000.000000")],
)  # fmt: skip
def test_money_has_at_least_two_places_and_no_exponent(amount: str, text: str) -> None:
    assert decimal_string(Decimal(amount)) == text
    assert to_json(Money(amount=Decimal(amount), currency="EUR")) == (
        f'{{"amount":"{text}","currency":"EUR"}}'.encode()
    )


def test_a_change_is_from_one_value_to_another() -> None:
    assert to_json(Change(from_=1, to=None)) == b'{"from":1,"to":null}'
    assert Change.model_validate({"from": 1, "to": 2}).from_ == 1


def test_an_instant_without_an_offset_is_no_watermark() -> None:
    with pytest.raises(ValidationError):
        Watermark.model_validate({"watermark": "2026-01-01T00:00:00", "partition": 0})


def test_each_consumed_topic_has_its_dead_letters() -> None:
    assert TOPICS[dlq(DEALS)].partitions == TOPICS[DEALS].partitions
    assert TOPICS[dlq(DEALS)].producers == ("alerts", "reporting")
    assert dlq("headway.alerts.state.v1") not in TOPICS, "nobody of ours reads that one"
