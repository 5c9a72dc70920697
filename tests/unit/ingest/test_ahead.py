"""The flag of events far ahead, where nobody can tell whose clock counts."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from services.ingest.app.ahead import flagged
from services.ingest.app.ports import IndexUnavailable
from services.ingest.domain.examine import examine_structured
from services.ingest.domain.model import Candidate, Examined, Receipt

RECEIPT = Receipt("acme", datetime(2026, 3, 1, tzinfo=UTC))


class Scripted:
    def __init__(self, answer: bool | Exception) -> None:
        self.answer, self.asked = answer, 0

    async def has(self, tenant_id: str) -> bool:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def examined(type: str, time: str) -> Examined:
    event = {"specversion": "1.0", "id": time, "source": "/s", "type": type, "time": time}
    return examine_structured(event | {"data": {"deal_id": "D"}}, RECEIPT)


AHEAD = examined("deal.won", "2030-01-01T00:00:00Z")
ODD = examined("weather.changed", "2030-01-01T00:00:00Z")


def codes(events: Sequence[Examined]) -> list[str | None]:
    return [event.code for event in events]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (True, None),
        (False, "future"),
        (IndexUnavailable("away"), "future"),
        (TimeoutError(), "future"),
    ],
)
async def test_only_a_known_sandbox_drops_the_flag_and_nothing_else(
    answer: bool | Exception, expected: str | None
) -> None:
    found = await flagged([AHEAD, ODD], "acme", Scripted(answer), 1)
    assert codes(found) == [expected, "unknown_type"]
    assert isinstance(AHEAD, Candidate)
    assert isinstance(found[0], Candidate)
    assert found[0].envelope is AHEAD.envelope


async def test_nobody_is_asked_where_nothing_lies_ahead() -> None:
    sandboxes = Scripted(True)
    assert await flagged([examined("deal.won", "2026-03-01T00:00:00Z"), ODD], "acme", sandboxes, 1)
    assert sandboxes.asked == 0
