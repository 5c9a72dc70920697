"""The rule language as authors meet it: what holds, what fails, what is refused."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.contracts.values import clean_text
from libs.common.expr.cel import Cel
from libs.common.expr.port import ExpressionFailed, InvalidExpression, Result

CEL = Cel()
DEAL: dict[str, Any] = {
    "amount": 12_000, "rate": 1.5, "name": "Acme", "nothing": None, "ok": True, "tags": ["a", "b"],
    "created_at": datetime(2026, 1, 2, tzinfo=UTC), "attributes": {"tier": 1},
}  # fmt: skip


def answer(source: str, result: Result = "bool", **more: Any) -> Any:
    return CEL.compile(source, ["deal"], result).evaluate({"deal": DEAL | more})


def refusal(source: str) -> InvalidExpression:
    with pytest.raises(InvalidExpression) as raised:
        CEL.compile(source, ["deal"], "bool")
    return raised.value


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("deal.amount >= 10000.5", True),
        ("deal.amount == 12000.0", True),
        ("deal.rate < 2", True),
        ("deal.amount < 10000 || !deal.ok", False),
        ("deal.ok && deal.amount % 5 == 0", True),
        ("deal.ok ? false : true", False),
        ("has(deal.nothing)", True),
        ("has(deal.unheard)", False),
        ("has(deal.created_at)", True),
        ("has(deal.attributes.tier)", True),
        ("has(deal.attributes.other)", False),
        ("deal.nothing == null", True),
        ("deal.name != null", True),
        ("'a' in deal.tags", True),
        ("'c' in deal.tags", False),
        ("deal.name in ['Acme', 'Beta']", True),
        ("deal.name.startsWith('Ac') && deal.name.endsWith('me')", True),
        ("deal.name.contains('cm') && deal.name.matches('^A.*e$')", True),
        ("deal['name'] == 'Acme'", True),
        ("size(deal.tags) == 2", True),
        ("'b' in deal.tags && size(deal.tags) > 1", True),
        ("deal.created_at < timestamp('2026-02-01T00:00:00Z')", True),
        ("deal.created_at + duration('72h') == timestamp('2026-01-05T00:00:00Z')", True),
        ("timestamp(deal['created_at']) == deal.created_at", True),
        ("deal.name == 'now' // owner", False),
        ("deal.unheard == 1 || true", True),
    ],
)
def test_true_or_false(source: str, expected: bool) -> None:
    assert answer(source) is expected


@pytest.mark.parametrize(
    "source",
    [
        "deal.unheard == 1",
        "deal.name < 1",
        "deal.amount",
        "deal.amount / 0 == 1",
        "deal.amount + 9223372036854775807 > 0",
        "deal.name.matches('((a{100}){100}){100}')",
    ],
)
def test_no_answer(source: str) -> None:
    with pytest.raises(ExpressionFailed):
        answer(source)


@pytest.mark.parametrize("value", [2**70, object(), "\ud800"])
def test_a_value_that_the_language_does_not_know_fails_the_evaluation(value: Any) -> None:
    with pytest.raises(ExpressionFailed):
        answer("deal.odd == 1", odd=value)


@pytest.mark.parametrize(
    "source",
    [
        r"deal.name.matches('[\u0000')",
        "deal.name.matches('[\x00')",
        r"deal.name.matches('[' + deal.zeros)",
        r"deal.name.matches('[" + r"\u0000" * 300 + "')",
    ],
)
def test_what_a_failure_says_can_be_stored(source: str) -> None:
    """A message repeats the pattern: PostgreSQL has no U+0000, and columns want an end."""
    with pytest.raises(ExpressionFailed) as raised:
        answer(source, zeros="\x00" * 2_000)
    assert clean_text(raised.value.detail).startswith("invalid regular expression")
    assert len(raised.value.detail) <= 300


def test_a_name_that_nobody_knows_is_told_in_short() -> None:
    assert len(refusal(f"{'x' * 1_500} == 1").detail) <= 300


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("deal.name + '!'", "Acme!"),
        ("deal.amount", "12000"),
        ("deal.rate", "1.5"),
        ("deal.ok", "true"),
        ("deal.nothing", ""),
    ],
)
def test_text(source: str, text: str) -> None:
    assert answer(source, "text") == text


@pytest.mark.parametrize("source", ["deal.tags", "deal.long", r"'a\u0000b'", "'a\x00b'"])
def test_no_text(source: str) -> None:
    with pytest.raises(ExpressionFailed):
        answer(source, "text", long="x" * 1_001)


@pytest.mark.parametrize(
    ("source", "code", "line", "column"),
    [
        ("deal.amount >", "syntax", 1, 14),
        ("", "syntax", 1, 1),
        ("'\ud800' == 'a'", "syntax", 1, 2),
        ("deal.ok &&\n nope == 1", "unknown_name", 2, 2),
        ("has(deal.ok) && nope == 1", "unknown_name", 1, 17),
        ("deal.ok && now > 1", "not_supported_yet", 1, 12),
        ("days_since(deal.created_at) > 3", "not_supported_yet", 1, 1),
        ("1 + 'a' == 2", "type", 1, 3),
        ("deal", "type", None, None),
        ("1", "type", None, None),
        ("'" + "x" * 4_096 + "' == ''", "too_long", None, None),
        ("'" + "é" * 3_000 + "' == ''", "too_long", None, None),
        ("(" * 17 + "true" + ")" * 17, "too_complex", None, None),
        ("deal" + ".a" * 800, "too_complex", None, None),
        ("deal.tags.exists(t, t == 'b')", "too_complex", 1, 11),
        ("deal.ok && [1].all(n, n > 0)", "too_complex", 1, 16),
    ],
)
def test_refused(source: str, code: str, line: int | None, column: int | None) -> None:
    found = refusal(source)
    assert (found.code, found.line, found.column) == (code, line, column)


WORDS = ["deal", ".", "has(", "(", ")", "[", "'", '"', "&&", "!", "?", ":", "in", "1", "now", "\n"]


@given(st.one_of(st.text(), st.lists(st.sampled_from(WORDS)).map("".join)))
def test_garbage_is_refused_or_answered(source: str) -> None:
    with suppress(InvalidExpression, ExpressionFailed):
        CEL.compile(source, ["deal"], "text").evaluate({"deal": DEAL})


def test_threads_share_an_expression() -> None:
    shared = CEL.compile("deal.created_at < deal.until && deal.amount > 5", ["deal"], "bool")
    until = datetime(2026, 3, 1, tzinfo=UTC)

    def judged(amount: int) -> bool:
        found = shared.evaluate({"deal": DEAL | {"amount": amount, "until": until}})
        assert isinstance(found, bool)
        return found

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(judged, range(500))) == [amount > 5 for amount in range(500)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("deal.attributes", {"tier": 1}),
        (
            "{'a': [deal.amount, 1.5, null, {'b': deal.ok}]}",
            {"a": [12_000, 1.5, None, {"b": True}]},
        ),
        ("deal.created_at", "2026-01-02T00:00:00+00:00"),
        ("deal.nothing", None),
        ("size(deal.tags)", 2),
    ],
)
def test_any_json(source: str, expected: object) -> None:
    found = answer(source, "json")
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("source", ["b'x'", "duration('1s')", "{1: 2}", "type(1)", "[deal.gone]"])
def test_what_json_cannot_say_is_no_answer(source: str) -> None:
    with pytest.raises(ExpressionFailed):
        answer(source, "json")
