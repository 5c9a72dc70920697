"""A sandbox lives through the loan log: its alerts are those that plain pandas names."""

from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import pytest

from tests.e2e.real import stalling
from tests.e2e.real.site import Site
from tests.e2e.real.stalling import LIMIT, Expectation
from tests.real import bpic2012, oracle_bpic
from tests.real.data import file

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.timeout(900)]
PATIENCE = 1_800
"""Seconds for what takes minutes on a quiet machine."""
BIG_STEPS = (
    datetime(2011, 11, 20, 12, tzinfo=UTC),
    datetime(2011, 12, 31, 23, tzinfo=UTC),
    datetime(2012, 2, 15, 12, tzinfo=UTC),
    datetime(2012, 5, 1, tzinfo=UTC),
    datetime(2012, 5, 15, tzinfo=UTC),
)
"""The last two are beyond the log, and beyond the last alert that it leads to."""
SOME = pytest.param(27, id="every 27th case")
"""As in the variants: the same part of the log, with deals of all its months."""
WHOLE = pytest.param(1, id="every case", marks=[pytest.mark.scale, pytest.mark.timeout(7_200)])


def part(every: int) -> tuple[list[Any], Any]:
    """Some cases of the log as events, and the same as a table."""
    path = file(bpic2012.FILE)
    rows = list(bpic2012.rows(path))
    cases = set(sorted({row["case_id"] for row in rows})[::every])
    events = list(bpic2012.events(row for row in rows if row["case_id"] in cases))
    return events, oracle_bpic.log(path, cases)


def moments(table: Any) -> list[datetime]:
    """The big steps, and every midnight from the first instant at which something may be due."""
    first, last = (table.t.min() + LIMIT).to_pydatetime(), table.t.max().to_pydatetime()
    return sorted({*stalling.days(first, last), *BIG_STEPS})


@pytest.mark.parametrize("every", [SOME, WHOLE])
def test_daily_steps_and_big_steps_tell_what_pandas_names(
    site: Site, every: int, record_property: Callable[[str, object], None]
) -> None:
    """Two tenants with the same events: one lives day by day, the other in big steps."""
    events, table = part(every)
    wanted, steps, begun = Expectation.of(table), moments(table), perf_counter()
    daily, giant = (stalling.lender(site, name) for name in (f"daily-{every}", f"giant-{every}"))
    for tenant in (daily, giant):
        tenant.import_(events, PATIENCE)
        stalling.settle(tenant, PATIENCE)
        assert stalling.every_alert(tenant) == []
    record_property("cases", table.deal.nunique())
    record_property("imported and folded twice after s", round(perf_counter() - begun))
    for step in steps:
        alerts = stalling.moved(daily, step, PATIENCE)
        assert wanted.faults(alerts, step) == [], step
        if step in BIG_STEPS:
            others = stalling.moved(giant, step, PATIENCE)
            assert stalling.told(others) == stalling.told(alerts), step
            record_property(f"alerts at {step:%Y-%m-%d}", len(alerts))
    record_property(
        f"{len(steps)} steps, {len(BIG_STEPS)} big ones, after s", round(perf_counter() - begun)
    )
    assert {alert["state"] for alert in alerts} == {"firing", "resolved"}
    assert len({alert["subject"]["id"] for alert in alerts}) > 20
