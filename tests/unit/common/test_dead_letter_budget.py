"""The budget of dead letters: whose they are decides what they cost."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from libs.common.eventlog.dead_letter import (
    Budget,
    Buried,
    DeadLetterBudgetExhausted,
    Payers,
    payers,
)
from libs.common.eventlog.port import Record

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def of(tenant: str | None, letters: int) -> Payers:
    return Counter({tenant: letters})


def spent(budget: Budget, who: Payers, now: float = 0) -> None:
    budget.check(who, now)
    budget.spend(who, now)


def test_one_tenant_never_exhausts_it() -> None:
    budget = Budget(100, 60)
    for _ in range(50):
        spent(budget, of("acme", 2_000))
    spent(budget, of(None, 90))
    with pytest.raises(DeadLetterBudgetExhausted):
        budget.check(of(None, 1), 0)


def test_what_fails_for_every_tenant_exhausts_it() -> None:
    budget = Budget(100, 60)
    for n in range(10):
        spent(budget, of(f"t{n}", 10))
    with pytest.raises(DeadLetterBudgetExhausted, match="more than 100 dead letters within 60 s"):
        budget.check(of("t10", 1), 0)


def test_a_batch_without_dead_letters_is_always_allowed() -> None:
    budget = Budget(1, 60)
    spent(budget, of(None, 1))
    budget.check(Counter(), 0)


def test_it_is_whole_again_after_the_window() -> None:
    budget = Budget(10, 60)
    spent(budget, of(None, 10), 0)
    spent(budget, of("acme", 5), 60)
    spent(budget, of(None, 9), 60)
    with pytest.raises(DeadLetterBudgetExhausted):
        budget.check(of(None, 1), 119)
    spent(budget, of(None, 10), 120)


def letter(code: str, *headers: tuple[str, bytes]) -> Buried:
    return Buried(Record("t", 0, 0, None, None, headers, NOW), code, "")


def test_contents_cost_their_tenant_and_bugs_cost_us() -> None:
    acme = ("ce_tenantid", b"acme")
    told = [letter(code, acme) for code in ("conflict", "invalid", "undecodable", "bug", "poison")]
    who = payers([*told, letter("undecodable")], {"conflict"}, {"invalid", "undecodable"})
    assert who == {"acme": 2, None: 3}
