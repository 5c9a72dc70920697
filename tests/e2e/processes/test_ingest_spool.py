"""The broker goes away in every way that there is while senders go on: each 202 is kept, in order,
answers stay quick, and once the broker is back the spool is empty within half a minute."""

import os
from collections.abc import Callable

import pytest

from tests.e2e.processes.outage import Outages

pytestmark = [pytest.mark.e2e, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.fault]
LONG = float(os.environ.get("HEADWAY_TEST_OUTAGE_SECONDS", "120"))
"""Longer than every timeout of a client; 600 for the run that is kept as evidence."""
Property = Callable[[str, object], None]


@pytest.mark.timeout(200)
def test_killed_and_back_after_20_seconds(outages: Outages) -> None:
    with outages.begun() as outage:
        outages.broker.kill()
        outage.lasts(20)
        outages.broker.start()
        outage.ends()
    assert outage.traffic.refused == []
