"""The columns of a deal's state, shared by `deals` and `deal_history`, and how they travel."""

from typing import Any

import orjson

from libs.common.activities import Activity
from services.funnel.domain.model import DealState, Facts, JsonObject

FACTS = {
    "status": "text", "pipeline_id": "text", "stage_id": "text", "stage_class": "text",
    "stage_entered_at": "timestamptz", "created_at": "timestamptz", "closed_at": "timestamptz",
    "life": "int", "name": "text", "amount": "numeric", "currency": "text", "owner_id": "text",
    "team_id": "text", "account_id": "text", "region": "text", "product_line": "text",
    "customer_type": "text", "industry": "text", "source": "text", "channel_partner_id": "text",
    "expected_close_date": "date", "renewal_date": "date", "push_count": "int",
    "lost_reason": "text", "merged_into": "text", "attributes": "json",
}  # fmt: skip
"""By name as in `Facts`, in its order."""

ACTIVITY = {
    "first_activity_at": "timestamptz", "last_activity_at": "timestamptz",
    "last_activity_kind": "text", "last_customer_touch_at": "timestamptz",
    "next_planned_at": "timestamptz", "activity_count": "int",
}  # fmt: skip
ABSENT = (*((None,) * 7), 1, *((None,) * 14), 0, None, None, "{}")
"""The facts of a deal that is not there yet."""


def facts_row(facts: Facts) -> tuple[Any, ...]:
    return (*facts[:-1], orjson.dumps(facts.attributes, option=orjson.OPT_SORT_KEYS).decode())


def facts_of(row: Any) -> Facts:
    """Facts of a record that has all the columns."""
    attributes = JsonObject(orjson.loads(row["attributes"]))
    return Facts(**{name: row[name] for name in FACTS} | {"attributes": attributes})


def state_row(state: DealState | None) -> tuple[Any, ...]:
    """Facts, activity, `last_event_at` and `recorded_at`."""
    if state is None:
        return (*ABSENT, *Activity(), None, None)
    return (*facts_row(state.facts), *state.activity, state.last_event_at, state.recorded_at)


def state_of(row: Any) -> DealState:
    activity = Activity(*(row[name] for name in ACTIVITY))
    return DealState(
        row["deal_id"], facts_of(row), activity, row["last_event_at"], row["recorded_at"]
    )
