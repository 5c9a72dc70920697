"""Where an event is: what waiting for the fold says of another body under the id, and when."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.clock import SystemClock
from services.ingest.app.status import StatusReader
from services.ingest.domain.status import Trace, status_of

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
INDEXED = Trace("indexed", "/crm", 3, 7, NOW)
FOLDED = Trace("folded", "/crm", 3, 7, NOW, NOW + timedelta(seconds=1))
CONFLICT = Trace("dead", "/crm", code="conflict", detail="another event came first")
DEAD = replace(CONFLICT, code="bug")


class Told:
    """The traces of an event, as they become one look after the other; the last ones stay."""

    def __init__(self, *looks: Sequence[Trace]) -> None:
        self._looks = list(looks)
        self.reader = StatusReader(self, SystemClock())

    async def traces(self, tenant_id: str, event_id: str, source: str | None) -> Sequence[Trace]:
        return self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]

    async def folded(self) -> tuple[str, bool] | None:
        async def gone() -> bool:
            return False

        status = await self.reader.folded("t", "e", None, 5, gone)
        return None if status is None else (status.state, status.folded_at is not None)


async def test_the_fold_is_told_before_a_letter_that_only_the_funnel_could_write_is_read() -> None:
    """While PostgreSQL was away the door took both bodies. Nobody knows of the second before the
    funnel has read it, nor here before its letter has come: until then the fold is the truth."""
    told = Told([INDEXED], [FOLDED], [FOLDED, CONFLICT])
    assert await told.folded() == ("folded", True)
    assert await told.folded() == ("conflict", True), "with the fate of the first"


async def test_a_conflict_that_the_door_saw_waits_for_the_fold_of_the_first() -> None:
    told = Told([INDEXED, CONFLICT], [INDEXED, CONFLICT], [INDEXED, FOLDED, CONFLICT])
    assert await told.folded() == ("conflict", True)


@pytest.mark.parametrize(
    ("traces", "state"),
    [
        ([INDEXED], "published"),
        ([replace(INDEXED, partition=None, offset=None)], "spooled"),
        ([DEAD], "dead"),
        ([FOLDED, DEAD], "folded"),
        ([DEAD, CONFLICT], "conflict"),
        ([INDEXED, CONFLICT], "conflict"),
    ],
)
def test_states(traces: Sequence[Trace], state: str) -> None:
    status = status_of("e", traces)
    assert status is not None
    assert status.state == state
