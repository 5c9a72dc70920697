"""A seeded story of a real tenant, told event by event: its records are the oracle's."""

from datetime import UTC, datetime

import pytest

from tests.e2e.processes.alert_story import Event, ending_lately
from tests.e2e.processes.oracle_alerts import Oracle
from tests.e2e.processes.sandbox import RULES, Reading, definition
from tests.e2e.processes.topics import Kept
from tests.integration.alerts.lived import quiet
from tests.integration.alerts.rig import Said, Site

pytestmark = pytest.mark.postgres


def _at(event: Event) -> datetime:
    return datetime.fromisoformat(event["time"])


def _said(event: Event) -> Said:
    return Said(event["type"], _at(event), event["data"], id=event["id"])


async def _published(site: Site) -> Oracle:
    """The rules, and an oracle that knows since when they hold."""
    rules = []
    for rule in RULES:
        shown = await site.rule(rule.rule_id, dict(definition(rule)))
        since = datetime.fromisoformat(shown["effective_from"])
        rules.append(rule._replace(since=since))
    return Oracle(rules)


async def _read(site: Site) -> Reading:
    return Reading.of(
        [
            Kept(record.partition, record.offset, record.key, record.value or b"", record.headers)
            for record in await site.raw()
        ]
    )


async def test_a_real_tenants_records_are_the_oracles(real: Site) -> None:
    oracle = await _published(real)
    for events in ending_lately(4, 60):
        await real.say(*map(_said, events))
        await quiet(real)
        oracle.hear(events)
        oracle.judge(datetime.now(UTC))
    reading = await _read(real)
    assert reading.differences(oracle.told) == []
    assert reading.repeats == 0
    told = [record for of in oracle.told.values() for record in of]
    assert {(one.type, one.resolution) for one in told} >= {
        ("alert.fired", None), ("alert.resolved", "cleared"), ("alert.resolved", "superseded"),
        ("alert.corrected", "retracted"), ("alert.corrected", None),
    }  # fmt: skip
