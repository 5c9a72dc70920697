"""Batches that hold something no reader can take in: element by element, none lost."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.contracts.errors import ContractViolation
from services.ingest.domain.batches import decode_delivery

DEEP = '{"a":' * 2_000 + "1" + "}" * 2_000
LISTS = "[" * 2_000 + "]" * 2_000
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def decoded(*parts: str) -> Any:
    return decode_delivery(f"[{','.join(parts)}]".encode(), 1_000)


def is_refused(value: Any) -> bool:
    return isinstance(value, ContractViolation) and value.code == "invalid_json"


@given(st.lists(VALUES, max_size=5), st.lists(VALUES, max_size=5), st.booleans())
def test_the_neighbours_of_a_deep_event_are_read_as_ever(
    before: list[Any], after: list[Any], spaced: bool
) -> None:
    parts = [json.dumps(value, indent=1 if spaced else None) for value in [*before, None, *after]]
    parts[len(before)] = DEEP if spaced else LISTS
    found = decoded(*parts)
    assert found[: len(before)] == before
    assert is_refused(found[len(before)])
    assert found[len(before) + 1 :] == after


def test_brackets_in_texts_of_a_deep_event_do_not_count() -> None:
    odd = json.dumps('\\"]}]}[{\\') + ":"
    deep = ("{" + odd) * 1_500 + '"]"' + "}" * 1_500
    assert [is_refused(value) for value in decoded(deep, "[]", deep, '"]"')] == [
        True, False, True, False,
    ]  # fmt: skip


def test_an_endless_integer_beside_a_deep_event_is_its_own_events_fault() -> None:
    assert decoded("9" * 5_000, DEEP)[0] == float("inf")


@pytest.mark.parametrize("twice", ['{"a":1,"a":1}', '{"b":[{"a":1,"\\u0061":2}]}'])
def test_a_key_that_stands_twice_is_its_own_events_fault(twice: str) -> None:
    before, found, deep, after = decoded('{"a":1}', twice, DEEP, '{"a":[{"a":2}]}')
    assert (before, is_refused(deep), after) == ({"a": 1}, True, {"a": [{"a": 2}]})
    assert isinstance(found, ContractViolation)
    assert (found.code, "'a'" in found.violations[0].detail) == ("duplicate_key", True)
    with pytest.raises(ContractViolation, match="'a' stands twice"):
        decode_delivery(twice.encode(), 1_000)


@pytest.mark.parametrize(
    "body",
    [
        "[" + DEEP,
        f"[{DEEP}}}]",
        f"[{DEEP},]",
        f"[{DEEP} 1]",
        f"[{DEEP}]]",
        f"[{DEEP}] 1",
        f"[{DEEP},nonsense]",
        "[" * 100_000,
        '[{"a":' * 2_000 + '"' + '\\"' * 100_000,
        DEEP,
    ],
)
def test_what_is_no_json_is_refused_whole(body: str) -> None:
    with pytest.raises(ContractViolation) as refused:
        decode_delivery(body.encode(), 1_000)
    assert refused.value.code == "invalid_json"


def test_no_more_is_read_than_may_come() -> None:
    assert len(decode_delivery(f"[{LISTS},{'1,' * 100_000}1]".encode(), 10)) == 11
