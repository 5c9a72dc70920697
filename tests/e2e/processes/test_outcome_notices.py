"""The judges of the process tests notice what they are there for: each planted fault is told."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from libs.common.ids import uuid5
from tests.e2e.processes.outcome import differences, judge
from tests.e2e.processes.topics import Kept

TENANT, DEAL = "acme", "D-1"
STATE = {
    "deal_id": DEAL, "stage_id": "offer", "version": 3, "created_at": "2024-03-04T08:00:00Z",
    "amount": {"amount": "12.50", "currency": "EUR"}, "attributes": {},
}  # fmt: skip


def record(version: int, offset: int) -> Kept:
    value = {"deal_id": DEAL, "version": version, "state": STATE | {"version": version}}
    headers = (("ce_id", str(uuid5(TENANT, DEAL, str(version))).encode()),)
    return Kept(0, offset, b"acme:D-1", orjson.dumps(value), headers)


GOOD = [record(1, 0), record(2, 1), record(1, 2), record(2, 3), record(3, 4)]
"""Three versions; the first two were appended twice, as after a crash before the mark."""


def test_repetitions_to_the_byte_are_no_fault() -> None:
    assert judge(TENANT, DEAL, GOOD, STATE) == []


def _stale(records: list[Kept]) -> list[Kept]:
    return [r for r in records if r.data["version"] < 3]


def _gap(records: list[Kept]) -> list[Kept]:
    return [r for r in records if r.data["version"] != 2]


def _swapped(records: list[Kept]) -> list[Kept]:
    return [records[1], records[0], *records[2:]]


def _other_repeat(records: list[Kept]) -> list[Kept]:
    return [*records, replace(records[0], value=records[0].value + b" ")]


def _other_header(records: list[Kept]) -> list[Kept]:
    headers = (*records[0].headers, ("ce_time", b"now"))
    return [*records, replace(records[0], headers=headers)]


def _random_id(records: list[Kept]) -> list[Kept]:
    return [*records[:-1], replace(records[-1], headers=(("ce_id", b"random"),))]


def _none(_: list[Kept]) -> list[Kept]:
    return []


@pytest.mark.parametrize(
    "plant", [_none, _stale, _gap, _swapped, _other_repeat, _other_header, _random_id]
)
def test_a_planted_fault_in_the_records_is_told(
    plant: Callable[[list[Kept]], list[Kept]],
) -> None:
    assert judge(TENANT, DEAL, plant(list(GOOD)), STATE) != []


@pytest.mark.parametrize("change", [{"stage_id": "lead"}, {"amount": None}, {"new": 1}])
def test_an_answer_that_says_otherwise_than_its_last_record_is_told(change: dict[str, Any]) -> None:
    assert len(judge(TENANT, DEAL, GOOD, {**STATE, **change})) == 1


def test_lost_added_and_changed_rows_are_told() -> None:
    wanted = {TENANT: {"visits": [("D-1", 1), ("D-2", 1)]}}
    assert differences(wanted, wanted) == []
    for found in ([("D-1", 1)], [*wanted[TENANT]["visits"], ("D-3", 1)], [("D-1", 1), ("D-2", 2)]):
        assert len(differences({TENANT: {"visits": found}}, wanted)) == 1


def test_a_comparison_of_nothing_is_refused() -> None:
    with pytest.raises(AssertionError, match="of nothing"):
        differences({TENANT: {"visits": []}}, {TENANT: {"visits": []}})
