"""A sandbox lives through the loan log: its alerts are those that plain pandas names."""

from collections.abc import Callable, Iterator
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
EVERY_LOAN = 27
"""As in the variants: the same part of the log, with deals of all its months."""
MOMENTS = (
    datetime(2011, 11, 20, 12, tzinfo=UTC),
    datetime(2011, 12, 31, 23, tzinfo=UTC),
    datetime(2012, 2, 15, 12, tzinfo=UTC),
    datetime(2012, 5, 1, tzinfo=UTC),
)


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    opened = Site.open(tmp_path_factory.mktemp("stalled"))
    yield opened
    opened.close()


def part(every: int) -> tuple[list[Any], Any]:
    """Some cases of the log as events, and the same as a table."""
    path = file(bpic2012.FILE)
    rows = list(bpic2012.rows(path))
    cases = set(sorted({row["case_id"] for row in rows})[::every])
    events = list(bpic2012.events(row for row in rows if row["case_id"] in cases))
    return events, oracle_bpic.log(path, cases)


def test_daily_steps_and_big_steps_tell_what_pandas_names(
    site: Site, record_property: Callable[[str, object], None]
) -> None:
    events, table = part(EVERY_LOAN)
    wanted = Expectation.of(table)
    first, last = (table.t.min() + LIMIT).to_pydatetime(), table.t.max().to_pydatetime()
    steps = [*stalling.days(first, last), last + 2 * LIMIT]
    big = steps[30:-1:50] + steps[-1:]
    daily, giant = (stalling.lender(site, name) for name in ("daily", "giant"))
    for tenant in (daily, giant):
        tenant.import_(events)
        stalling.settle(tenant)
        assert stalling.every_alert(tenant) == []
    begun = perf_counter()
    for step in steps:
        stalling.move(daily, step)
        alerts = stalling.every_alert(daily)
        assert wanted.faults(alerts, step) == [], step
        if step in big:
            stalling.move(giant, step)
            others = stalling.every_alert(giant)
            assert sorted(map(stalling.said, others), key=repr) == sorted(
                map(stalling.said, alerts), key=repr
            )
    record_property("days", len(steps))
    record_property("stepped in s", round(perf_counter() - begun))
    record_property("alerts", len(alerts))
    ended = {alert["state"] for alert in alerts}
    assert ended == {"firing", "resolved"}
    assert len({alert["subject"]["id"] for alert in alerts}) > 20


@pytest.mark.scale
def test_the_whole_log_in_big_steps(
    site: Site, record_property: Callable[[str, object], None]
) -> None:
    events, table = part(1)
    wanted = Expectation.of(table)
    tenant, begun = stalling.lender(site, "loans"), perf_counter()
    tenant.import_(events, seconds=800)
    stalling.settle(tenant, 800)
    record_property("imported and folded after s", round(perf_counter() - begun))
    for moment in MOMENTS:
        stalling.move(tenant, moment, 600)
        record_property(f"settled at {moment:%Y-%m-%d} after s", round(perf_counter() - begun))
        alerts = stalling.every_alert(tenant)
        assert wanted.faults(alerts, moment) == [], moment
        record_property(f"alerts at {moment:%Y-%m-%d}", len(alerts))
