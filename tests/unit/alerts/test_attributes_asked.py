"""Which rules may read attributes: for the others these are not read from the database."""

from datetime import UTC, datetime
from typing import Any

import pytest

from libs.common.expr.cel import Cel
from services.alerts.app.compiling import Compiler, StoredRule

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
CLOCK = {"start": "created_at", "limit": "P1D"}


def asks(**definition: Any) -> bool:
    given = {"name": "r", "scope": "true", "clock": CLOCK, **definition}
    stored = StoredRule("t", "r", 1, given, "live", AT, AT, AT, "test", 1, AT)
    return Compiler(Cel()).rule(stored).attributes


@pytest.mark.parametrize(
    "definition",
    [
        {"scope": "deal.attributes.tier == 'gold'"},
        {"scope": "has(deal.attributes)"},
        {"scope": "deal['attributes']['tier'] == 'gold'"},
        {"scope": "'attributes' in deal"},
        {"labels": {"owner": "deal.owner_id", "tier": "deal.attributes.tier"}},
        {"summary": "{{ deal.attributes }}"},
    ],
)
def test_a_rule_that_may_read_them_asks(definition: dict[str, Any]) -> None:
    assert asks(**definition)


@pytest.mark.parametrize(
    "definition",
    [
        {},
        {"scope": "deal.status == 'open' && deal.name != 'deal.attributes'"},
        {"labels": {"owner": "deal.owner_id"}, "summary": "{{deal.name}}: attributes"},
    ],
)
def test_others_do_not(definition: dict[str, Any]) -> None:
    assert not asks(**definition)
