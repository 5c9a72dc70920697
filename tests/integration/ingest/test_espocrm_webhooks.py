"""EspoCRM tells no time of a change: that of the receipt counts, and names it."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from libs.common.clock import FakeClock
from tests.integration.ingest.conftest import Api
from tests.integration.ingest.connecting import deliver, espocrm_signed, put, standard

pytestmark = pytest.mark.postgres
SECRET = "s3cret-of-espo"
UPDATE = "?event=Opportunity.update"


class Told(FakeClock):
    """The time of day is told by the test; what a request may take passes by itself."""

    def monotonic(self) -> float:
        return time.monotonic()


async def test_a_change_back_counts_and_a_list_sent_twice_at_once_does_not(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, clock = standard(api, "espo"), Told(datetime.now(UTC).replace(second=0))
    await put(api, own, kind="espocrm", secrets=[SECRET])
    monkeypatch.setattr(type(cast(Any, api.service.state)), "clock", clock)
    taken = [await counted(api, own, stage) for stage in ("b", "b")]
    for stage in ("a", "b"):
        clock.advance(timedelta(minutes=1))
        taken.append(await counted(api, own, stage))
    assert taken == [(1, 0), (0, 1), (1, 0), (1, 0)]


async def test_a_sample_shows_the_order_of_a_list(api: Api) -> None:
    own = standard(api, "espo")
    await put(api, own, kind="espocrm", secrets=[SECRET])
    records = [{"id": "op-1", "stage": stage} for stage in ("b", "a", "b")]
    sample = {"body": records, "headers": {}, "query": {"event": "Opportunity.update"}}
    answer = await api.client.post(f"/v1/connections/{own}/test", json=sample)
    events = answer.json()["events"]
    assert [one["sequence"] for one in events] == ["0", "1", "2"]
    assert len({one["id"] for one in events}) == 3


async def counted(api: Api, connection_id: str, stage: str) -> tuple[int, int]:
    """New events and duplicates of a delivery of one move."""
    body = json.dumps([{"id": "op-1", "stage": stage}]).encode()
    answer = await deliver(api, connection_id, body, espocrm_signed(body, SECRET), UPDATE)
    assert answer.status_code == 202, answer.text
    told = answer.json()
    return told["accepted"], told["duplicates"]
